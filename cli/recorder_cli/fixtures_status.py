"""`recorder fixtures status`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import click

from recorder.core.redact import environment_secrets
from recorder.hygiene.status import FileStatus, Kind, Limits
from recorder.hygiene.status import status as look
from recorder.hygiene.used import Used

from .errors import Exit, note, tell
from .keeping import seconds_of
from .output import Column, Format, Row, print_rows
from .reading import format_option
from .text import count, plain

Command = TypeVar("Command", bound=Callable[..., Any])


def _days(age_s: object) -> str:
    return "-" if not isinstance(age_s, float) else f"{age_s / 86_400:.0f}d"


def _joined(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) and value else "ok"  # pyright: ignore


COLUMNS = (
    Column("file"),
    Column("streams", right=True, spare=2),
    Column("bytes", right=True, spare=3),
    Column("age", _days, right=True, spare=1),
    Column("anthropic", plain, spare=4),
    Column("sealed", spare=5),
    Column("findings", _joined),
)


def used_by_option(command: Command) -> Command:
    text = "A list that `pytest --record-used=FILE` wrote. May be given again: of several runs."
    path = click.Path(path_type=Path)
    return click.option("--used-by", type=path, multiple=True, metavar="FILE", help=text)(command)


def used_of(lists: Sequence[Path]) -> Used | None:
    """Raises RecordingError for what is no such list, or not of a whole run."""
    return Used(lists) if lists else None


@click.command
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--older-than", callback=seconds_of, default="180d", show_default=True, metavar="AGE", help="Stale by age."
)
@click.option("--any-sdk", is_flag=True, help="An older SDK makes nothing stale.")
@used_by_option
@click.option("--check", is_flag=True, help="Exit with 1 when something is to be done.")
@format_option
def status(
    directory: Path, older_than: float, any_sdk: bool, used_by: tuple[Path, ...], check: bool, output: Format
) -> Exit:
    """Say what state the recordings of a test suite are in.

    One row per file, and on stderr a line for each finding: unreadable; damaged, as recorder verify finds it;
    secrets, as recorder scan does; stale: the newest stream is older than AGE, or was recorded with an older SDK
    than is installed (synthetic ones never are); unused; duplicates: a stream with the request and the response of
    another, which a test that asks twice needs; unsealed: its end may be missing, or it is a copy.

    What is unused is known where --used-by says what the tests used: in the processes of pytest, whether by the
    marker `recording` or by recorder.replay, recorder.use and recorder.open. --check fails for all but duplicates
    and unsealed.

    \b
    pytest --record-used=used.json
    recorder fixtures status tests/recordings --used-by used.json --check
    """
    limits = Limits(before=time.time_ns() - int(older_than * 1e9), anthropic=None if any_sdk else _installed())
    known = environment_secrets(os.environ)
    found = look(directory, limits=limits, used=used_of(used_by), known=known)
    for one in found:
        for line in _lines(one):
            tell("finding", f"{one.path}: {line}")
    now = time.time_ns()
    print_rows((_row(one, now) for one in found), COLUMNS, output)
    failing = [one for one in found if one.fails]
    size = sum(one.bytes for one in found)
    streams = sum(len(one.streams) for one in found)
    note(
        f"{count(len(found), 'file')}, {count(streams, 'stream')}, {size:,} bytes; "
        + (f"{count(len(failing), 'file')} with something to do." if failing else "nothing to do.")
    )
    return Exit.CHECK_FAILED if check and failing else Exit.OK


def _installed() -> str | None:
    try:
        return version("anthropic")
    except PackageNotFoundError:
        return None


_SHOWN = 3


def _lines(one: FileStatus) -> list[str]:
    """A line for each finding that asks for something to be done."""
    lines = [one.unreadable] if one.unreadable else []
    lines += _few("damaged", one.damaged) + _few("secrets", one.secrets) + _few("stale", one.stale)
    return lines + _few("unused", one.unused or [])


def _few(name: str, found: Sequence[str]) -> list[str]:
    if not found:
        return []
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return [f"{name}: {'; '.join(found[:_SHOWN])}{more}"]


def _row(one: FileStatus, now: int) -> Row:
    return {
        "file": str(one.path),
        "streams": len(one.streams),
        "bytes": one.bytes,
        "age": None if one.sent is None else max(0, now - one.sent) / 1e9,
        "anthropic": one.anthropic or ("synthetic" if one.synthetic else None),
        "sealed": one.sealed,
        "findings": [_finding(one, kind) for kind in one.findings],
    }


def _finding(one: FileStatus, kind: Kind) -> str:
    """`2 unused`; `stale`."""
    numbers = {"unused": one.unused, "damaged": one.damaged, "secrets": one.secrets, "duplicates": one.duplicates}
    number = len(numbers.get(kind) or [])
    return f"{number} {kind.removesuffix('s') if number == 1 else kind}" if number else kind
