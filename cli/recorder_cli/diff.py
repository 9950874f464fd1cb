"""`recorder diff`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import click

from recorder.hygiene.diff import PARTS, Part
from recorder.hygiene.diff import diff as compare
from recorder.log.reader import RecordingError

from .diff_text import print_diff, summary
from .errors import Exit, note
from .output import on_terminal, write_json
from .reading import Problems, salvage_option

_LINE = 120
"""Columns, where there is no terminal to ask."""


def parts_of(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[Part, ...]:
    """An option's value: names with commas between them."""
    named = value.split(",") if value else []
    if unknown := [name for name in named if name not in PARTS]:
        raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(PARTS)}")
    return tuple(part for part in PARTS if not named or part in named)


def columns_here() -> int:
    """How wide what is printed may be."""
    return shutil.get_terminal_size((_LINE, 0)).columns if on_terminal() else _LINE


@click.command
@click.argument("before", metavar="A", type=click.Path(path_type=Path))
@click.argument("after", metavar="B", type=click.Path(path_type=Path))
@click.option("--only", callback=parts_of, metavar="PARTS", help="structure,text,timing or some of them.")
@click.option("--ignore", multiple=True, metavar="FIELD", help="Of request bodies, as replays do: metadata.run")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SHARE",
    help="Times that differ by no more are the same: 0.1 is 10 %.",
)
@click.option("--full", is_flag=True, help="Abbreviate nothing.")
@click.option("--json", "as_json", is_flag=True, help="All that differs, as JSON.")
@salvage_option
def diff(before: Path, after: Path, full: bool, as_json: bool, **options: Any) -> Exit:
    """Compare two recordings: structure, text and timing of each stream.

    A and B are files, directories or globs. Streams are paired by request and attempt, equal ones in the order in
    which they were sent; what has no partner is told (- only in A, + only in B). Exits with 1 when they differ.

    structure is the status, how it ended, names of headers, blocks, stop reason, types and order of events and the
    fields of their payloads; text the words of each block, numbers of deltas and of tokens; timing the
    milestones and gaps. Ids and values of headers are not compared.

    \b
    recorder diff old.jsonl new.jsonl
    recorder diff recordings/ recordings-live/ --only structure
    """
    problems = Problems()
    try:
        found = compare(before, after, report=problems.report, **options)
    except RecordingError:
        problems.tell()
        raise
    both = found.same + len(found.changed)
    problems.tell() if both + len(found.removed) and both + len(found.added) else problems.finish()
    if as_json:
        import msgspec

        write_json(msgspec.to_builtins(found), indent=2)
    else:
        print_diff(found, room=columns_here(), full=full)
        note(f"{summary(found, ('A', 'B'))}.")
    return Exit.CHECK_FAILED if found.differs else Exit.OK
