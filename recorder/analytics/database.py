"""Recordings as tables: the views of `sql/views/`, over a database beside the recordings or in memory.

    calls         one row per call of an SDK method, its retries included
    streams       one row per attempt, with the metrics of `core/timing.py`
    blocks        one row per content block
    events        one row per server-sent event
    stalls        one row per pause of more than 2 s
    gap_histogram how many gaps there are of each length, by model
    load_errors   one row per line that was left out
    compat_*      what other tools call time to first token and the like

SCHEMA.md says what the columns mean. The database is attached as `recording`, read-only once it is up to date;
the views of the same names in the connection's own catalog are what queries find, so that what a query creates is
in memory. What the events and the requests say is in no database: it is read from the files for the queries that
ask for it (`texts.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import duckdb
from msgspec import Struct

from recorder.log.files import RecordingError
from recorder.log.reader import CorruptError, Problem, Report

from .attach import (
    BusyError,
    UnusableError,
    attach,
    detach,
    in_database,
    new_connection,
    open_to_write,
    remove,
)
from .load import MACROS, Advance, Loader, create, run, torn, views
from .pieces import count_lines
from .sources import Source, find_news, known_sources, resolve
from .texts import Texts

LARGE_FILE = 64 << 20
"""Bytes: a second. The tables of a single file that is smaller are made in memory each time."""
_PATIENCE_S = 60.0
"""How long another process is waited for that loads."""
_READERS_S = 1.0
"""The same, for processes that read."""
_POLL_S = 0.05
Note = Callable[[str], None]


class Database(Struct, frozen=True):
    """Where tables are kept. `own`: under a name of ours, so what is there and is no such database of this version
    is replaced; else it is refused. `keep`: also rows whose files are gone."""

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


def load_in_memory(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[Path],
    *,
    report: Report,
    advance: Advance | None = None,
) -> Texts:
    """Attach a new database and load the files into it."""
    detach(connection)
    connection.execute("ATTACH ':memory:' AS recording")
    in_database(connection, lambda cursor: create(cursor))
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
) -> tuple[Texts, bool]:
    """Attach the database in a file, brought up to date: made when it is not there. Where that cannot be, because
    nothing can be written there or others have it open, `note` is told what is done instead: the files are loaded
    in memory, or what is there is read as it is while another process does. Returns whether the file holds all of
    it now, too. Raises RecordingError as `connect`.
    """
    try:
        current = _attach_current(connection, database, files, report=report, note=note, advance=advance)
    except _UnreachableError as error:
        note(f"{database.file}: {error}; loading into memory")
        return load_in_memory(connection, files, report=report, advance=advance), False
    _make_views(connection)
    return Texts(files), current


class _UnreachableError(Exception):
    """Why the database in a file cannot be had."""


def _attach_current(
    connection: duckdb.DuckDBPyConnection,
    database: Database,
    files: Sequence[Path],
    *,
    report: Report,
    note: Note,
    advance: Advance | None,
) -> bool:
    """Attach the database, brought up to date, or as it is because others read it (False).

    Raises _UnreachableError.
    """
    file = database.file
    waiting = _Waiting(file, note)
    while True:
        try:
            _bring_up_to_date(connection, database, files, report=report, advance=advance)
        except UnusableError as error:
            if not database.own:
                raise RecordingError(file, str(error), "name another file") from None
            note(f"{file}: {error}; made anew")
            try:
                remove(file)
            except OSError:
                raise _UnreachableError("cannot be removed") from None
        except BusyError as busy:
            if (why := waiting.for_it(busy)) is None:
                continue
            if not busy.writing and not busy.here and _attach_as_it_is(connection, file):
                note(f"{file}: open in {busy.holder}; answered from what it holds, without what is new")
                return False
            raise _UnreachableError(why) from None
        except (OSError, duckdb.IOException) as error:
            reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
            raise _UnreachableError(f"cannot be written ({reason.splitlines()[0]})") from None
        else:
            return True


class _Waiting:
    """For another process that has the database open."""

    def __init__(self, file: Path, note: Note) -> None:
        self._file = file
        self._note = note
        self._begun = time.monotonic()
        self._told = False

    def for_it(self, busy: BusyError) -> str | None:
        """Wait a moment; when it was long enough, say what for."""
        if busy.here and not busy.writing:  # who has it open may be who waits
            return f"open in {busy.holder}"
        if time.monotonic() - self._begun >= (_PATIENCE_S if busy.writing else _READERS_S):
            return f"still open in {busy.holder}"
        if busy.writing and not self._told:
            self._told = True
            self._note(f"{self._file}: being loaded by {busy.holder}; waiting for it")
        time.sleep(_POLL_S)
        return None


def _bring_up_to_date(
    connection: duckdb.DuckDBPyConnection,
    database: Database,
    files: Sequence[Path],
    *,
    report: Report,
    advance: Advance | None,
) -> None:
    """Attach the database to read it when it holds all there is. Raises BusyError, UnusableError, OSError."""
    root, keep = database.file.absolute().parent, database.keep
    try:
        if not _is_current(connection, database.file, files, root, keep=keep):
            open_to_write(connection, database.file)
            _load(connection, files, root, keep=keep, report=report, advance=advance)
            attach(connection, database.file, "read")
    except BaseException:
        detach(connection)
        raise


def _attach_as_it_is(connection: duckdb.DuckDBPyConnection, file: Path) -> bool:
    with suppress(BusyError, UnusableError):
        attach(connection, file, "read")
        return True
    return False


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
        attach(connection, database, "read")
        known = known_sources(connection)
    # for a file that is no recording this raises, before anything is made
    news = find_news(known, files, root, keep=keep, report=_ignore)
    if there and not news.any:
        return True
    detach(connection)
    return False


def _load(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[Path],
    root: Path | None,
    *,
    keep: bool,
    report: Report,
    advance: Advance | None,
) -> None:
    in_database(
        connection, lambda cursor: Loader(cursor, root, keep=keep, report=report, advance=advance).load(files)
    )


def _make_views(connection: duckdb.DuckDBPyConnection) -> None:
    for name in views():
        connection.execute(f"CREATE OR REPLACE VIEW {name} AS FROM recording.main.{name}")
    for name in MACROS:
        run(connection, name)


def _ignore(problem: Problem) -> None:
    """Whoever loads is told; or it is in `load_errors`."""
