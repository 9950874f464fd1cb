"""`recorder export` of streams, each as another tool would have kept it."""

from __future__ import annotations

from pathlib import Path

import click

from recorder.interop import Refused, export_streams

from .errors import Exit, Failure, note, warn
from .reading import one_stream, streams_of
from .text import count


def write_streams(
    paths: tuple[Path, ...], stream: str | None, form: str, target: Path | None, *, salvage: bool
) -> None:
    """Raises Failure for what the format cannot hold, or is there already."""
    if stream is None:
        found = streams_of(paths, salvage=salvage)
    elif len(paths) == 1:
        found = iter([one_stream(paths[0], stream, salvage=salvage)])
    else:
        raise click.UsageError("--stream is of one PATH")
    try:
        written = export_streams(found, form, target, single=stream is not None, report=warn)
    except Refused as refused:
        hint = f"; {refused.hint}" if refused.hint else ""
        raise Failure(f"{', '.join(map(str, paths))}: {refused.reason}{hint}", Exit.USAGE) from None
    if target is not None:
        note(f"{target}: {count(len(written), 'file')}")
