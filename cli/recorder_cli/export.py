"""`recorder export`."""

from __future__ import annotations

from pathlib import Path

import click

from recorder.interop import EXPORTS, Refused, export_streams

from .errors import Exit, Failure, note, warn
from .reading import one_stream, path_argument, salvage_option, streams_of
from .text import count


@click.command
@path_argument
@click.argument("stream", metavar="[STREAM]", required=False)
@click.option("--to", "form", type=click.Choice(list(EXPORTS)), required=True, help="The format.")
@click.option(
    "-o", "--output", "target", type=click.Path(path_type=Path), help="Where to.  [default: standard output]"
)
@salvage_option
def export(path: Path, stream: str | None, form: str, target: Path | None, salvage: bool) -> None:
    """Write recordings in the formats of other tools.

    \b
    sse        the body of each stream, byte for byte
    http       the same behind its status and headers, as curl -i prints it
    har        HAR 1.2: all streams in one file, with the times that it can hold
    vcr        a cassette for vcrpy: all streams in one file, without times
    asciicast  the text of each stream in its own time: asciinema play FILE

    STREAM is an id or the beginning of one. sse, http and asciicast hold one stream each: without STREAM, -o is a
    directory that gets a file for each. What is there already is not written over. recorder import reads all of
    them again but asciicast.

    \b
    recorder export recordings/ --to har -o streams.har
    recorder export recordings/ 7c2f --to asciicast -o answer.cast
    """
    streams = (
        streams_of([path], salvage=salvage) if stream is None else [one_stream(path, stream, salvage=salvage)]
    )
    try:
        written = export_streams(streams, form, target, single=stream is not None, report=warn)
    except Refused as refused:
        hint = f"; {refused.hint}" if refused.hint else ""
        raise Failure(f"{path}: {refused.reason}{hint}", Exit.USAGE) from None
    if target is not None:
        note(f"{target}: {count(len(written), 'file')}")
