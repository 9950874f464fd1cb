"""Recordings as tables: the views of `sql/views/`, over a database that is kept beside the recordings or in memory.

    calls         one row per call of an SDK method, its retries included
    streams       one row per attempt, with the metrics of `core/timing.py`
    blocks        one row per content block
    events        one row per server-sent event
    stalls        one row per pause of more than 2 s
    load_errors   one row per line that was left out
    compat_*      what other tools call time to first token and the like

SCHEMA.md says what the columns mean. The database is attached as `recording`, read-only once it is up to date;
the views of the same names in the connection's own catalog are what queries find, so that what a query creates is
in memory. What the events and the requests say is in no database: it is read from the files for the queries that
ask for it (`texts.py`).
"""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import duckdb
from msgspec import Struct

from recorder.log.files import RecordingError
from recorder.log.reader import CorruptError, Problem, Report

from .load import Advance, Loader, create, run, torn, views
from .pieces import count_lines
from .sources import Source, find_news, known_sources, resolve
from .texts import Texts

SCHEMA_VERSION = 1
"""Goes up with every change of what is stored, or of how it is computed: other databases are made anew."""
LARGE_FILE = 64 << 20
"""Bytes: a second. The tables of a single file that is smaller are made in memory each time."""
MEMORY = "1500MB"
"""What DuckDB may hold; what is more goes to temporary files."""
_PATIENCE_S = 60.0
"""How long another process is waited for that loads."""
_READERS_S = 1.0
"""The same, for processes that read."""
_POLL_S = 0.05
Note = Callable[[str], None]
_Access = Literal["write", "read"]


class Database(Struct, frozen=True):
    """Where tables are kept. `own`: under a name of ours, so what is there and is no such database of this version is
    replaced; else it is refused. `keep`: also rows whose files are gone."""

    file: Path
    own: bool = False
    keep: bool = False


def beside(path: Path) -> Database | None:
    """The database of the recordings at `path`: a directory, or a file that takes long enough to load; None for
    anything else."""
    if path.is_dir():
        return Database(path / ".recorder.duckdb", own=True)
    if path.is_file() and path.stat().st_size >= LARGE_FILE:
        return Database(path.with_name(f".{path.name}.duckdb"), own=True)
    return None


class BusyError(Exception):
    """Another process has the database open. `writing`: so that nobody can read it."""

    def __init__(self, holder: str, *, writing: bool) -> None:
        super().__init__(holder)
        self.holder = holder
        self.writing = writing


class UnusableError(Exception):
    """What is in the file is no database of this version, or cannot be read."""


def connect(
    files: Sequence[Path], *, connection: duckdb.DuckDBPyConnection | None = None, payloads: bool = True
) -> duckdb.DuckDBPyConnection:
    """A connection (or `connection`, outside a transaction) in which these recordings are tables, in memory.

    What an earlier call made is replaced. Without `payloads` the columns `data` and `text` of `events` and
    `request` of `streams` are empty. Lines that cannot be read are left out, and are in `load_errors`.

    Raises RecordingError for a file that is no recording, is newer than this version, or cannot be read.
    """
    connection = connection or new_connection()
    texts = load_in_memory(connection, files, report=_ignore)
    if payloads:
        texts.fetch(connection)
    return connection


def new_connection() -> duckdb.DuckDBPyConnection:
    """In memory, with bounded memory."""
    spill = Path(tempfile.gettempdir(), f"recorder-{os.getpid()}-{secrets.token_hex(4)}")
    return duckdb.connect(":memory:", config={"memory_limit": MEMORY, "temp_directory": str(spill)})


def load_in_memory(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[Path],
    *,
    report: Report,
    advance: Advance | None = None,
) -> Texts:
    """Attach a new database and load the files into it."""
    _detach(connection)
    connection.execute("ATTACH ':memory:' AS recording")
    _in_database(connection, lambda cursor: create(cursor, SCHEMA_VERSION))
    _load(connection, files, None, keep=False, report=report, advance=advance)
    _make_views(connection)
    return Texts(files)


def load_file(
    connection: duckdb.DuckDBPyConnection,
    database: Database,
    files: Sequence[Path],
    *,
    report: Report,
    note: Note,
    advance: Advance | None = None,
) -> Texts:
    """Attach the database in a file, brought up to date: made when it is not there. Where that cannot be, because
    nothing can be written there or others have it open, `note` is told what is done instead: the files are loaded in
    memory, or what is there is read as it is. Raises RecordingError as `connect`.
    """
    file, keep = database.file, database.keep
    root = file.absolute().parent
    begun, told = time.monotonic(), False
    while True:
        try:
            if _is_current(connection, file, files, root, keep=keep):
                break
            _open_to_write(connection, file)
            _load(connection, files, root, keep=keep, report=report, advance=advance)
            _detach(connection)
            _attach(connection, file, "read")
            break
        except UnusableError as error:
            _detach(connection)
            if not database.own:
                raise RecordingError(file, str(error), "name another file") from None
            note(f"{file}: {error}; made anew")
            try:
                _remove(file)
            except OSError as reason:
                note(f"{file}: cannot be removed ({reason.strerror}); loading into memory")
                return load_in_memory(connection, files, report=report, advance=advance)
        except BusyError as busy:
            waited = time.monotonic() - begun
            if not busy.writing and waited >= _READERS_S:
                with suppress(BusyError, UnusableError):
                    _attach(connection, file, "read")
                    note(f"{file}: open in {busy.holder}; answered from what it holds, without what is new")
                    break
            if waited >= _PATIENCE_S:
                note(f"{file}: still open in {busy.holder}; loading into memory instead")
                return load_in_memory(connection, files, report=report, advance=advance)
            if busy.writing and not told:
                told = True
                note(f"{file}: being loaded by {busy.holder}; waiting for it")
            time.sleep(_POLL_S)
        except (OSError, duckdb.IOException) as error:
            _detach(connection)
            reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
            note(f"{file}: cannot be written ({reason.partition(chr(10))[0]}); loading into memory")
            return load_in_memory(connection, files, report=report, advance=advance)
    _make_views(connection)
    return Texts(files)


def tell_errors(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[Path],
    root: Path | None,
    *,
    salvage: bool,
    report: Report,
) -> None:
    """Report what was left out of the files: what is in `load_errors`, and last lines that are not finished.

    Raises CorruptError at the first line that is no record, unless salvaging.
    """
    rows = connection.execute("FROM recording.main.load_errors ORDER BY ALL").fetchall()
    by_file: dict[Path, list[Problem]] = {}
    for name, line, kind, reason in rows:
        path = resolve(name, root)
        by_file.setdefault(path.absolute(), []).append(Problem(path, line, reason, kind))
    ends = {resolve(source.file, root).absolute(): source for source in known_sources(connection)}
    for file in dict.fromkeys(files):
        for problem in by_file.get(file.absolute(), ()):
            if problem.kind == "corrupt" and not salvage:
                reason = problem.reason.removesuffix("; left out")
                raise CorruptError(file, reason, "salvaging reads the rest (--salvage)", line=problem.line)
            report(Problem(file, problem.line, problem.reason, problem.kind))
        source = ends.get(file.absolute())
        if source is not None and source.bytes < source.size and file.suffix != ".zst":
            report(torn(file, count_lines(file, source.bytes) + 1, source.size - source.bytes))


def _is_current(
    connection: duckdb.DuckDBPyConnection, database: Path, files: Sequence[Path], root: Path, *, keep: bool
) -> bool:
    """Attach the database to read it, if it holds all there is. Raises BusyError and UnusableError."""
    known: list[Source] = []
    if there := database.exists():
        _attach(connection, database, "read")
        known = known_sources(connection)
    # for a file that is no recording this raises, before anything is made
    news = find_news(known, files, root, keep=keep, report=_ignore)
    if there and not news.any:
        return True
    _detach(connection)
    return False


def _open_to_write(connection: duckdb.DuckDBPyConnection, database: Path) -> None:
    """Attach the database to write it; made if need be. Raises OSError, BusyError, UnusableError."""
    if not database.exists():
        _make(database)
    _attach(connection, database, "write")


def _make(database: Path) -> None:
    """Make it under another name first: nobody finds half of one. It has times and names in it, so it is the owner's
    alone, as the recordings are."""
    with tempfile.TemporaryDirectory(prefix=".recorder-", dir=database.absolute().parent) as directory:
        made = Path(directory, "new.duckdb")
        with new_connection() as connection:
            connection.execute(f"ATTACH {_quoted(made)} AS recording")
            _in_database(connection, lambda cursor: create(cursor, SCHEMA_VERSION))
        made.chmod(0o600)
        with suppress(FileExistsError):  # another process was faster
            os.link(made, database)


def _attach(connection: duckdb.DuckDBPyConnection, database: Path, access: _Access) -> None:
    _detach(connection)
    options = " (READ_ONLY)" if access == "read" else ""
    try:
        connection.execute(f"ATTACH {_quoted(database)} AS recording{options}")
    except duckdb.Error as error:
        raise _why(error, access) from None
    try:
        rows = connection.execute("SELECT version FROM recording.loaded.meta").fetchall()
    except duckdb.Error:
        rows = []
    if rows != [(SCHEMA_VERSION,)]:
        _detach(connection)
        raise UnusableError("made by another version" if rows else "no database of recordings")


def _why(error: duckdb.Error, access: _Access) -> Exception:
    """What keeps a database from being attached."""
    said = str(error)
    if "lock on file" in said:
        holder = said.partition("(PID ")[2].partition(")")[0]
        return BusyError(
            f"process {holder}" if holder else "another process", writing="read-only mode" not in said
        )
    if isinstance(error, duckdb.OperationalError) and "already attached" in said:
        return BusyError("this process", writing=access == "read")
    if "ermission denied" in said or "ead-only file system" in said:
        return PermissionError(13, "permission denied")
    return UnusableError("not readable as a database: " + said.partition("\n")[0].partition(": ")[2])


def _remove(database: Path) -> None:
    for path in (Path(f"{database}.wal"), database):
        path.unlink(missing_ok=True)


def _detach(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("DETACH DATABASE IF EXISTS recording")


def _in_database(connection: duckdb.DuckDBPyConnection, work: Callable[[duckdb.DuckDBPyConnection], None]) -> None:
    """Do something with the database as the one in use; what it leaves in the connection goes with it."""
    with connection.cursor() as cursor:
        cursor.execute("USE recording")
        work(cursor)


def _load(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[Path],
    root: Path | None,
    *,
    keep: bool,
    report: Report,
    advance: Advance | None,
) -> None:
    _in_database(
        connection, lambda cursor: Loader(cursor, root, keep=keep, report=report, advance=advance).load(files)
    )


def _make_views(connection: duckdb.DuckDBPyConnection) -> None:
    for name in views():
        connection.execute(f"CREATE OR REPLACE VIEW {name} AS FROM recording.main.{name}")
    run(connection, "macros")


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _ignore(problem: Problem) -> None:
    """Whoever loads is told; or it is in `load_errors`."""
