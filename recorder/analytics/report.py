"""Questions to the tables, answered as rows."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
from msgspec import Struct

from recorder.log.reader import Report, copy_readable, read_records
from recorder.log.streams import read_streams

from .database import connect, is_empty

_BATCH = 1000
_WITH_ZONE = "TIME ZONE"


class QueryError(ValueError):
    """DuckDB refused a query, or failed in it. The message is DuckDB's own, with the place in the query."""


class Answer(Struct):
    """`columns`: (name, DuckDB type); `rows`: read as they are asked for, which may raise QueryError."""

    columns: list[tuple[str, str]]
    rows: Iterator[tuple[Any, ...]]


class Tables:
    """Recordings loaded into tables. `streams`: how many there are."""

    def __init__(
        self, files: Sequence[Path], *, salvage: bool = False, report: Report, payloads: bool = True
    ) -> None:
        """Load. `report` is told of every line that is left out.

        Without `payloads`, what the events said is not there. Raises RecordingError as `read_records` does, and
        QueryError when DuckDB cannot load them, for want of memory say.
        """
        with _duckdb_errors():
            self._connection = connect(files, payloads=payloads)
            if self._connection.execute(_IS_ODD).fetchall() == [(False,)]:
                _tell_left_out(self._connection, files, salvage=salvage, report=report)
            else:
                _leave_out_odd(self._connection, files, payloads=payloads, salvage=salvage, report=report)
        ((self.streams,),) = self._connection.execute("SELECT count(*) FROM streams").fetchall()

    def relation(self, query: str) -> duckdb.DuckDBPyRelation:
        """A query as DuckDB's own lazy relation. Raises what DuckDB raises."""
        return self._connection.sql(query)

    def query(self, query: str) -> Answer:
        """Run a query; of several statements, the last one answers. Raises QueryError."""
        with _duckdb_errors():
            cursor = self._connection.cursor().execute(query)
            described: list[tuple[Any, ...]] = getattr(cursor, "description", None) or []
            columns = [(str(name), str(kind)) for name, kind, *_ in described]
            zoned = any(_WITH_ZONE in kind for _, kind in columns)
            rows = iter(_as_text(self._connection.sql(query), columns)) if zoned else _batches(cursor)
            return Answer(columns, rows)


_IS_ODD = """
SELECT
    EXISTS (FROM streams WHERE call IS NULL)
    OR EXISTS (FROM events WHERE stream IS NULL OR seq IS NULL OR wait IS NULL OR chunk IS NULL)
"""


def _as_text(relation: duckdb.DuckDBPyRelation, columns: Sequence[tuple[str, str]]) -> list[tuple[Any, ...]]:
    """All rows, times with a zone as text: as Python values they need a package that DuckDB does not bring."""
    names = [f"column_{n}" for n in range(len(columns))]
    casts = [
        f"{name}::VARCHAR" if _WITH_ZONE in kind else name for name, (_, kind) in zip(names, columns, strict=True)
    ]
    query = f"SELECT {', '.join(casts)} FROM answer AS answer ({', '.join(names)})"  # noqa: S608 - names of ours
    result = relation.query("answer", query)
    return result.fetchall() if result is not None else []


def _batches(cursor: Any) -> Iterator[tuple[Any, ...]]:
    """The rows of a cursor; None is what there is of no statement at all."""
    with _duckdb_errors():
        while cursor is not None and (rows := cursor.fetchmany(_BATCH)):
            yield from rows


@contextmanager
def _duckdb_errors() -> Generator[None]:
    """What DuckDB raises, as QueryError; its answer to control-C as what it is."""
    try:
        yield
    except duckdb.Error as error:
        raise QueryError(str(error)) from None
    except RuntimeError as error:
        if "interrupted" in str(error):
            raise KeyboardInterrupt from None
        raise


def _tell_left_out(
    connection: duckdb.DuckDBPyConnection, files: Sequence[Path], *, salvage: bool, report: Report
) -> None:
    """DuckDB knows which files have lines that it cannot read; the reader knows which lines, and why."""
    found = connection.execute("SELECT DISTINCT file FROM left_out WHERE lines > 0").fetchall()
    broken = {name for (name,) in found}
    for file in dict.fromkeys(files):
        if str(file) in broken or is_empty(file):
            for _ in read_records(file, salvage=salvage, report=report):
                pass


def _leave_out_odd(
    connection: duckdb.DuckDBPyConnection, files: Sequence[Path], *, payloads: bool, salvage: bool, report: Report
) -> None:
    """DuckDB takes lines that are JSON and no records, and streams without a request: the reader does not."""
    for _ in read_streams(files, salvage=salvage, report=report):
        pass
    with TemporaryDirectory(prefix="recorder-") as directory:
        copies = [Path(directory) / f"{n}.jsonl" for n in range(len(files))]
        for file, copy in zip(files, copies, strict=True):
            with copy.open("wb") as target:
                copy_readable(file, target)
        connect(copies, connection=connection, payloads=payloads)
    connection.execute("DELETE FROM streams WHERE call IS NULL").fetchall()
