"""A recording as a value: its streams one by one, or all of them as tables."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .log.reader import Problem, RecordingError, find_segments
from .log.streams import Stream, read_streams

if TYPE_CHECKING:
    import duckdb

    from .analytics.report import Tables

_log = logging.getLogger("recorder")


class Recording:
    """One file, a directory of segments, or a glob. Nothing is read before it is asked for.

    `salvage`: read on past corrupt lines. What was left out is in `problems` once it has been noticed.
    """

    def __init__(self, path: str | os.PathLike[str], *, salvage: bool = False) -> None:
        self.path = Path(path)
        self.salvage = salvage
        self.problems: list[Problem] = []
        """What could not be read, so far: a torn last line, an empty file, and corrupt lines when salvaging."""
        self.segments = find_segments(path)
        for segment in self.segments:
            sys.audit("recorder.opened", str(segment))
        self._noted: set[Problem] = set()
        self._tables: Tables | None = None

    def __repr__(self) -> str:
        return f"<recorder.Recording {os.fspath(self.path)!r} segments={len(self.segments)}>"

    def streams(self) -> Iterator[Stream]:
        """Every stream, lazily, in the order in which they ended; lost ones last.

        Raises RecordingError for a file that is no recording or is newer than this version, and CorruptError
        for a line that is not a record, unless salvaging.
        """
        return read_streams(self.segments, salvage=self.salvage, report=self._report)

    def stream(self, id: str) -> Stream:  # noqa: A002 - the field is called `id`
        """The stream whose id is `id`, or starts with it. Raises RecordingError for none, or several."""
        found = [stream for stream in self.streams() if stream.id.startswith(id)]
        exact = [stream for stream in found if stream.id == id]
        if len(exact or found) != 1:
            many = f"{len(found)} streams start with {id!r}" if found else f"no stream starts with {id!r}"
            raise RecordingError(self.path, many, "recorder ls shows the ids")
        return (exact or found)[0]

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """A DuckDB relation over the tables `calls`, `streams`, `blocks`, `events` and `stalls`.

        `.fetchall()` gives its rows. On first use the tables, which are kept in a
        DuckDB file beside the recordings, are brought up to date; what could not be read is in `problems` then.
        Where that file cannot be written they are made in memory, with a warning to the logger `recorder`.
        Raises RecordingError and CorruptError as `streams` does.
        """
        if self._tables is None:
            from .analytics.database import beside
            from .analytics.report import Tables

            self._tables = Tables(
                self.segments,
                salvage=self.salvage,
                report=self._report,
                database=beside(self.path),
                note=_log.warning,
            )
        return self._tables.relation(query)

    def df(self, query: str) -> Any:
        """The rows of a query as a pandas DataFrame. Raises as `sql` does, and ImportError without pandas."""
        return self._as("df", query, "pandas")

    def pl(self, query: str) -> Any:
        """The rows of a query as a Polars DataFrame. Raises as `sql` does, and ImportError without polars."""
        return self._as("pl", query, "polars", "pyarrow")

    def arrow(self, query: str) -> Any:
        """The rows of a query as a pyarrow Table. Raises as `sql` does, and ImportError without pyarrow."""
        return self._as("to_arrow_table", query, "pyarrow")

    def _as(self, method: str, query: str, *modules: str) -> Any:
        from .optional import need

        for module in modules:
            need(module, "arrow" if modules == ("pyarrow",) else modules[0])
        return getattr(self.sql(query), method)()

    def _report(self, problem: Problem) -> None:
        if problem not in self._noted:
            self._noted.add(problem)
            self.problems.append(problem)


def open(path: str | os.PathLike[str], *, salvage: bool = False) -> Recording:  # noqa: A001
    """Open a recording: a file, a directory, or a glob. Raises RecordingError when there is none."""
    return Recording(path, salvage=salvage)
