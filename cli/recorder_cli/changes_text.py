"""Changed recordings, file by file, in words: what `recorder fixtures update` and `review` print."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click
from msgspec.structs import replace

from recorder.hygiene.diff import Diff
from recorder.hygiene.review import FileChange

from .diff import columns_here
from .diff_text import in_words, print_diff
from .errors import note
from .output import in_colour, write_json
from .text import count, visible

Command = TypeVar("Command", bound=Callable[..., Any])
_COLOURS = {"new": "green", "removed": "red", "changed": "yellow"}


def how_options(command: Command) -> Command:
    """How much is said of each file."""
    command = click.option("--json", "as_json", is_flag=True, help="All that differs, as JSON.")(command)
    command = click.option("--full", is_flag=True, help="Abbreviate nothing, and show times.")(command)
    return click.option("--brief", is_flag=True, help="One line for each file, and no more.")(command)


def print_changes(found: Iterable[FileChange], *, brief: bool, full: bool, as_json: bool) -> None:
    """A line for each file, and below it what differs in its streams."""
    changes = list(found)
    if as_json:
        import msgspec

        write_json(msgspec.to_builtins(changes), indent=2)
        return
    for change in changes:
        kind = change.kind if not in_colour() else click.style(change.kind, fg=_COLOURS[change.kind])
        click.echo(f"{visible(change.name)}  {kind}: {visible(_words(change))}")
        if change.diff is not None and change.kind == "changed" and not brief:
            shown = change.diff if full else _without_times(change.diff)
            print_diff(shown, room=columns_here(), full=full, indent="  ")
    kinds = ("new", "removed", "changed")
    numbers = [(sum(one.kind == kind for one in changes), kind) for kind in kinds]
    said = ", ".join(f"{number} {kind}" for number, kind in numbers if number)
    note(f"{count(len(changes), 'recording')}: {said}." if changes else "No recording changed.")


def _words(change: FileChange) -> str:
    if change.diff is None:
        return f"cannot be compared: {change.why}"
    if change.kind == "changed":
        return in_words(change.diff)
    return count(change.diff.same, "stream")


def _without_times(diff: Diff) -> Diff:
    """Words and structure: times are another in every recording."""
    kept = [
        replace(pair, differences=[one for one in pair.differences if one.part != "timing"])
        for pair in diff.changed
    ]
    return replace(diff, changed=[pair for pair in kept if pair.differences])
