"""Questions to the tables, answered as rows."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from msgspec import Struct

from recorder.log.reader import Report

from .attach import new_connection
from .database import Database, Note, load_file, load_in_memory, tell_errors
from .load import Advance

_BATCH = 1000
_WITH_ZONE = "TIME ZONE"


class QueryError(ValueError):
    """DuckDB refused a query, or failed in it. The message is DuckDB's own, with the place in the query."""


class Answer(Struct):
    """`columns`: (name, DuckDB type); `rows`: read as they are asked for, which may raise QueryError."""

    columns: list[tuple[str, str]]
    rows: Iterator[tuple[Any, ...]]


class Tables:
    """Recordings as tables. `streams`: how many there are; `kept`: the database's file holds all of them."""

    def __init__(
        self,
        files: Sequence[Path],
        *,
        salvage: bool = False,
        report: Report,
        payloads: bool = True,
        database: Database | None = None,
        note: Note | None = None,
        advance: Advance | None = None,
    ) -> None:
        """Load what is not loaded: into `database`, else in memory. `report` is told of every line that is left
        out, `note` when a database cannot be used as it was meant; `advance` how far loading is.

        Without `payloads`, queries get no text: `data` and `text` of events and the requests are NULL. Raises
        RecordingError as `read_records` does, and QueryError when DuckDB cannot load them, for want of memory say.
        """
        self._connection = new_connection()
        self.kept = False
        root = database.file.absolute().parent if database else None
        with _duckdb_errors():
            if database is None:
                texts = load_in_memory(self._connection, files, report=report, advance=advance)
            else:
                texts, self.kept = load_file(
                    self._connection, database, files, report=report, note=note or _ignore, advance=advance
                )
            tell_errors(self._connection, files, root, salvage=salvage, report=report)
            self._texts = texts if payloads else None
            ((self.streams,),) = self._connection.execute("SELECT count(*) FROM streams").fetchall()

    def relation(self, query: str) -> duckdb.DuckDBPyRelation:
        """A query as DuckDB's own lazy relation. Raises what DuckDB raises."""
        self._prepare(query)
        return self._connection.sql(query)

    def query(self, query: str) -> Answer:
        """Run a query; of several statements, the last one answers. Raises QueryError."""
        with _duckdb_errors():
            self._prepare(query)
            cursor = self._connection.cursor().execute(query)
            described: list[tuple[Any, ...]] = getattr(cursor, "description", None) or []
            columns = [(str(name), str(kind)) for name, kind, *_ in described]
            zoned = any(_WITH_ZONE in kind for _, kind in columns)
            rows = iter(_as_text(self._connection.sql(query), columns)) if zoned else _batches(cursor)
            return Answer(columns, rows)

    def _prepare(self, query: str) -> None:
        if self._texts is not None:
            self._texts.prepare(self._connection, query)


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


def _ignore(note: str) -> None:
    """Nobody asked for it."""
