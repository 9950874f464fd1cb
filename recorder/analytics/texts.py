"""What the events and the requests of recordings say, for the queries that ask for it.

It is most of a recording, and all of what people wrote in it: no database keeps it. The views `events` and
`streams` are joined with tables that are empty until a query needs what is in them, which DuckDB's own plan of the
query tells; then the files are read, and the text is there for as long as the connection is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from .load import read, run
from .pieces import Cutter, Piece, cleaned

_LARGE = 128 << 20
_COLUMNS = ("recorded_data", "recorded_text", "recorded_request")
_WORDS = re.compile(r"\b(data|text|request|from)\b|\*", re.IGNORECASE)


class Texts:
    """The texts of some files."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._prepared = False
        self._fetched = False

    def prepare(self, connection: duckdb.DuckDBPyConnection, query: str) -> None:
        """Read the texts if the query needs them, and they were not read."""
        if self._fetched:
            return
        if not self._prepared:
            run(connection, "texts/views")
            self._prepared = True
        if self._needed(connection, query):
            self.fetch(connection)

    def fetch(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Read all texts."""
        run(connection, "texts/views")
        self._prepared = True
        with connection.cursor() as cursor, TemporaryDirectory(prefix="recorder-") as name:
            cursor.execute("SET preserve_insertion_order = false")
            for piece in self._pieces(Path(name)):
                self._read(cursor, piece, Path(name))
                piece.discard()
            run(cursor, "texts/keep")
        self._fetched = True

    def _pieces(self, directory: Path) -> Iterator[Piece]:
        for file in dict.fromkeys(self._files):
            yield from Cutter(file, 0, directory)

    def _read(self, connection: duckdb.DuckDBPyConnection, piece: Piece, directory: Path) -> None:
        if not read(connection, [piece], _LARGE, "texts/read"):
            piece, _ = cleaned(piece, directory)
            read(connection, [piece], _LARGE, "texts/read")

    def _needed(self, connection: duckdb.DuckDBPyConnection, query: str) -> bool:
        try:
            statements = [statement.query for statement in connection.extract_statements(query)]
        except duckdb.Error:
            return False  # running it says why
        names = connection.execute(
            "SELECT string_agg(name) FROM duckdb_optimizers() WHERE name <> 'unused_columns'"
        )
        # what is left leaves out columns that the query does not name, and nothing else: not what is empty so far
        connection.execute("SET disabled_optimizers = ?", names.fetchone())
        try:
            return any(_asks(connection, statement, n > 0) for n, statement in enumerate(statements))
        finally:
            connection.execute("RESET disabled_optimizers")


def _asks(connection: duckdb.DuckDBPyConnection, statement: str, after_others: bool) -> bool:
    """Whether a statement reads a column of the texts."""
    try:
        plan = str(connection.execute(f"EXPLAIN (FORMAT json) {statement}").fetchall())
    except duckdb.Error:  # wrong, nothing to explain, or it builds on what one before it makes
        return after_others and _WORDS.search(statement) is not None
    return any(column in plan for column in _COLUMNS)
