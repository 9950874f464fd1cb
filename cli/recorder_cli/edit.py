"""`recorder edit`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click

from recorder.core.edit import Edit, EditError, Ending
from recorder.core.places import check_place
from recorder.core.retime import Times
from recorder.log.edit import Edits, edit_recording

from .errors import Exit, Failure, note, warn
from .reading import salvage_option
from .text import count

_MOST = 1e6
_ID = "An id, or how it begins. May be given again."


def _place(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    try:
        return value and check_place(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _spans(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Places with `..` between them."""
    spans: list[tuple[str, str]] = []
    for value in values:
        first, dots, last = value.partition("..")
        if not dots:
            raise click.BadParameter(f"{value!r} is no span; 3..7 and 1.5s..4s are")
        try:
            spans.append((check_place(first), check_place(last)))
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return tuple(spans)


def _pairs(_ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Texts with `=` between them."""
    for value in values:
        name, equals, _ = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r} is not {param.metavar}")
    return dict(value.split("=", 1) for value in values)


def _least(least: float) -> Callable[[click.Context, click.Parameter, float | None], float | None]:
    """A number of at least that much, and small enough for ns to be a number too."""

    def check(_ctx: click.Context, _param: click.Parameter, value: float | None) -> float | None:
        if value is None or least <= value <= _MOST:
            return value
        raise click.BadParameter(f"{value:g} is not from {least:g} to {_MOST:g}")

    return check


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e9)


@click.command
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--stream", "streams", multiple=True, metavar="ID", help=f"Change only this one. {_ID}")
@click.option("--keep", multiple=True, metavar="ID", help=f"Copy only this stream. {_ID}")
@click.option("--drop", multiple=True, metavar="ID", help=f"Leave this stream out. {_ID}")
@click.option("--cut", callback=_place, metavar="PLACE", help="The first event that does not come any more.")
@click.option(
    "--end",
    type=click.Choice(get_args(Ending)),
    default="failed",
    show_default=True,
    help="How a cut stream ends.",
)
@click.option("--trim", "trims", callback=_spans, multiple=True, metavar="PLACE..PLACE", help="Leave events out.")
@click.option(
    "--scale", type=float, callback=_least(1e-6), default=1.0, metavar="X", help="All times: 2 is half as fast."
)
@click.option("--gap", type=float, callback=_least(0), metavar="S", help="Chunks come this far apart.")
@click.option("--idle-limit", type=float, callback=_least(0), metavar="S", help="No silence is longer.")
@click.option(
    "--shift", type=float, callback=_least(-_MOST), default=0.0, metavar="S", help="All that comes, so much later."
)
@click.option(
    "--rename", callback=_pairs, multiple=True, metavar="ID=NEW", help="Another id for a stream or a call."
)
@click.option("--tag", "tags", callback=_pairs, multiple=True, metavar="NAME=VALUE", help="Set a tag.")
@click.option("--untag", multiple=True, metavar="NAME", help="Take a tag away.")
@salvage_option
def edit(source: Path, target: Path, salvage: bool, **changes: Any) -> None:
    """Copy a recording with changes: cut, trimmed, renamed, re-timed, streams left out.

    IN is a file or a directory and is never changed; OUT, a new .jsonl file, holds whole streams, is sealed, and
    says that it was edited. A PLACE is 12 (event 12, from 0), -1 (the last), 50%, text_delta, text_delta:3 (the
    third after the first) or 2.5s (what arrives then or later), in the stream as it was.

    What is done to a stream: --trim, --cut, then the times: --scale, --gap, --idle-limit, --shift. Waits and the
    times of later attempts go with them. A stream that does not have the PLACE stays as it is. What is left out
    by --trim leaves its time behind as silence.

    \b
    recorder edit text.jsonl cut.jsonl --cut text_delta:20 --end truncated
    recorder edit text.jsonl slow.jsonl --trim 3..7 --shift 2 --gap 0.05
    recorder edit recordings/ one.jsonl --keep 7c2f --tag case=slow
    """
    edits = _edits(**changes)
    if edits == Edits(streams=edits.streams, edit=Edit(end=edits.edit.end)):
        raise click.UsageError("nothing to do; name a change, such as --cut or --drop")
    try:
        copied = edit_recording(source, target, edits, salvage=salvage, report=warn)
    except EditError as error:
        raise Failure(f"{source}: {error}", Exit.USAGE) from None
    left_out = f", {copied.dropped} left out" if copied.dropped else ""
    note(f"{target}: {count(copied.streams, 'stream')}, {copied.changed} changed{left_out}")


def _edits(
    *,
    cut: str | None,
    end: Ending,
    trims: tuple[tuple[str, str], ...],
    scale: float,
    gap: float | None,
    idle_limit: float | None,
    shift: float,
    tags: dict[str, str],
    untag: tuple[str, ...],
    **named: Any,
) -> Edits:
    """`named`: fields of `Edits`."""
    times = Times(scale=scale, gap=_ns(gap), limit=_ns(idle_limit), shift=round(shift * 1e9))
    edit = Edit(trims=trims, cut=cut, end=end, times=times)
    return Edits(tags={**dict.fromkeys(untag), **tags}, edit=edit, **named)
