"""The file of a database: made, attached to a connection as `recording`, and why it cannot be."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import duckdb

from .load import create, sql_version
from .quoting import literal

MEMORY = "1500MB"
"""What DuckDB may hold; what is more goes to temporary files. It gives none of it back to the system between two
steps, as memory that is touched for the first time costs more than many a step."""
Access = Literal["write", "read"]


class BusyError(Exception):
    """The database is open elsewhere. `writing`: so that nobody can read it. `here`: by another connection of this
    process, else by another process."""

    def __init__(self, holder: str, *, writing: bool, here: bool = False) -> None:
        super().__init__(holder)
        self.holder = holder
        self.writing = writing
        self.here = here


class UnusableError(Exception):
    """What is in the file is no database of this version, or cannot be read."""


def new_connection() -> duckdb.DuckDBPyConnection:
    """In memory, with bounded memory."""
    spill = Path(tempfile.gettempdir(), f"recorder-{os.getpid()}-{secrets.token_hex(4)}")
    return duckdb.connect(
        ":memory:",
        config={"memory_limit": MEMORY, "temp_directory": str(spill), "allocator_flush_threshold": MEMORY},
    )


def open_to_write(connection: duckdb.DuckDBPyConnection, database: Path) -> None:
    """Attach the database to write it; made if need be. Raises OSError, BusyError, UnusableError."""
    if not database.exists():
        _make(database)
    attach(connection, database, "write")


def _make(database: Path) -> None:
    """Make it under another name first: nobody finds half of one. It has times and names in it, so it is the
    owner's alone, as the recordings are."""
    with tempfile.TemporaryDirectory(prefix=".recorder-", dir=database.absolute().parent) as directory:
        made = Path(directory, "new.duckdb")
        with new_connection() as connection:
            connection.execute(f"ATTACH {literal(str(made))} AS recording")
            in_database(connection, lambda cursor: create(cursor))
        made.chmod(0o600)
        with suppress(FileExistsError):  # another process was faster
            os.link(made, database)


def attach(connection: duckdb.DuckDBPyConnection, database: Path, access: Access) -> None:
    detach(connection)
    options = " (READ_ONLY)" if access == "read" else ""
    try:
        connection.execute(f"ATTACH {literal(str(database))} AS recording{options}")
    except duckdb.Error as error:
        raise _why(error, access) from None
    try:
        rows = connection.execute("SELECT version FROM recording.loaded.meta").fetchall()
    except duckdb.Error:
        rows = []
    if rows != [(sql_version(),)]:
        detach(connection)
        raise UnusableError("made by another version" if rows else "no database of recordings")


def _why(error: duckdb.Error, access: Access) -> Exception:
    """What keeps a database from being attached."""
    said = str(error)
    if "lock on file" in said:
        holder = said.partition("(PID ")[2].partition(")")[0]
        return BusyError(
            f"process {holder}" if holder else "another process", writing="read-only mode" not in said
        )
    if isinstance(error, duckdb.OperationalError) and "already attached" in said:
        return BusyError("this process", writing=access == "read", here=True)
    if "ermission denied" in said or "ead-only file system" in said:
        return PermissionError(13, "permission denied")
    return UnusableError("not readable as a database: " + said.partition("\n")[0].partition(": ")[2])


def remove(database: Path) -> None:
    for path in (Path(f"{database}.wal"), database):
        path.unlink(missing_ok=True)


def detach(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("DETACH DATABASE IF EXISTS recording")


def in_database(connection: duckdb.DuckDBPyConnection, work: Callable[[duckdb.DuckDBPyConnection], None]) -> None:
    """Do something with the database as the one in use; what it leaves in the connection goes with it."""
    with connection.cursor() as cursor:
        cursor.execute("USE recording")
        work(cursor)
