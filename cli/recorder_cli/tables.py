"""Recordings as tables, for the commands that ask them questions."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from recorder.analytics.report import QueryError, Tables
from recorder.log.reader import RecordingError

from .errors import Exit, Failure
from .reading import Problems, segments_of


def load(paths: Iterable[Path], *, salvage: bool, payloads: bool) -> Tables:
    """The tables; warns of what is left out.

    Raises RecordingError, and Failure when nothing at all could be read.
    """
    problems = Problems()
    try:
        tables = Tables(segments_of(paths), salvage=salvage, report=problems.report, payloads=payloads)
    except RecordingError:
        problems.tell()
        raise
    except QueryError as error:
        reason = str(error).partition("\n")[0]
        raise Failure(f"cannot be loaded as tables: {reason}; recorder verify tells more", Exit.CORRUPT) from None
    problems.tell() if tables.streams else problems.finish()
    return tables


@contextmanager
def query_errors() -> Generator[None]:
    """What DuckDB refuses, as Failure."""
    try:
        yield
    except QueryError as error:
        raise Failure(str(error), Exit.SQL) from None
