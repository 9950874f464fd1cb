"""Recordings as tables, for the commands that ask them questions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import click

from recorder.analytics.database import Database, beside
from recorder.analytics.load import Progress
from recorder.analytics.report import QueryError, Tables
from recorder.log.reader import RecordingError

from .errors import Exit, Failure, note
from .reading import Problems, segments_of

Command = TypeVar("Command", bound=Callable[..., Any])
Show = Callable[[Progress], None]
_MEMORY = ":memory:"
_LARGE = 32 << 20
"""Bytes; what is less is loaded before a progress bar could be read."""


def database_option(command: Command) -> Command:
    text = "Where the tables are kept, instead of beside the recordings; :memory: keeps none."
    return click.option("--db", metavar="FILE", help=text)(command)


def load(
    paths: Sequence[Path],
    *,
    salvage: bool,
    payloads: bool,
    db: str | None = None,
    keep: bool = False,
    bar_from: int = _LARGE,
) -> Tables:
    """The tables; says what is left out, and shows on a terminal how far loading of `bar_from` bytes or more is.

    Raises RecordingError, and Failure when nothing at all could be read.
    """
    problems = Problems()
    try:
        with progress_bar(bar_from) as advance:
            tables = Tables(
                segments_of(paths),
                salvage=salvage,
                report=problems.report,
                payloads=payloads,
                database=database_of(paths, db, keep=keep),
                note=note,
                advance=advance,
            )
    except RecordingError:
        problems.tell()
        raise
    except QueryError as error:
        reason = str(error).partition("\n")[0]
        raise Failure(f"cannot be loaded as tables: {reason}; recorder verify tells more", Exit.CORRUPT) from None
    problems.tell() if tables.streams else problems.finish()
    return tables


def database_of(paths: Sequence[Path], db: str | None, *, keep: bool = False) -> Database | None:
    """The one that is named, else the one beside the recordings; None is in memory. Several paths have none."""
    if db is not None:
        return None if db == _MEMORY else Database(Path(db), keep=keep)
    return beside(paths[0]) if len(paths) == 1 else None


class _Bar:
    """Bytes, events a second and what remains, on stderr, once it is known that much is loaded."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._bar: Any = None
        self._begun = monotonic()

    def __call__(self, progress: Progress) -> None:
        if progress.total < self._least:
            return
        if self._bar is None:
            self._bar = self._started(progress.total)
        rate = progress.events / max(0.01, monotonic() - self._begun)
        self._bar.update(self._bar.tasks[0].id, completed=progress.bytes, total=progress.total, rate=rate)

    def _started(self, total: int) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("Loading"),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[rate]:,.0f} events/s"),
            TimeRemainingColumn(),
        )
        bar = Bar(*columns, console=Console(stderr=True), transient=True)
        bar.add_task("", total=total, rate=0.0)
        bar.start()
        return bar

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def progress_bar(least: int) -> Generator[Show | None]:
    """What shows how far a load of `least` bytes or more is; None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = _Bar(least)
    try:
        yield bar
    finally:
        bar.stop()


@contextmanager
def query_errors() -> Generator[None]:
    """What DuckDB refuses, as Failure."""
    try:
        yield
    except QueryError as error:
        raise Failure(str(error), Exit.SQL) from None
