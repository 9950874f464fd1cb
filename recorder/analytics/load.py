"""Recordings into the tables that are stored: what is new of them, once, in transactions.

A transaction holds the rows of some pieces of files and how far the files were read with them: whenever loading is
cut short, the next one goes on behind the last. A record counts once however often it is read (`load/again.sql`),
so what a checkpoint does not know costs time and changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files as resources
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from msgspec import Struct
from msgspec.structs import astuple, replace

from recorder.core.records import FORMAT, VERSION
from recorder.log.files import is_compressed
from recorder.log.reader import Problem, RecordingError, Report

from .pieces import PIECE, SANE_NS, Cutter, Piece, cleaned, count_lines, first_line_of
from .sources import News, Source, find_news, known_sources, resolve, tail_of

_OBJECT_SIZE = 16 << 20
"""Bytes; DuckDB takes lines of up to twice that. Its buffers grow with it, and large files then load on fewer
threads, so it is DuckDB's default until a line is longer."""
_LARGE_OBJECT_SIZE = 128 << 20
_REFUSALS = (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.IOException)
"""What DuckDB raises for a torn or corrupt line, bad UTF-8, half a surrogate pair, a duplicate key, a value of
another type or beyond 64 bits, too long a line, a file that may not be read."""
_AT_ONCE = 500
"""Files in a transaction: each costs a copy of its name in every row, and an open file."""
_STEPS = ("again", "arrivals", "tallies", "control", "blocks", "stalls", "streams", "unknown")


MACROS = ("macros", "gap_quantiles")
"""In `sql/`: those over the tables, which a lake has too, and the one over what is counted as they are loaded."""


class Progress(Struct, frozen=True):
    """How far a load has come: bytes read, of how many; events read."""

    bytes: int
    total: int
    events: int


Advance = Callable[[Progress], None]


def run(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Run a file of `sql/`."""
    sql = resources("recorder.analytics").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    connection.execute(sql).fetchall()


def views() -> list[str]:
    """The names of the files in `sql/views/`, each after those that it needs."""
    names = sorted(
        entry.name.removesuffix(".sql")
        for entry in resources("recorder.analytics").joinpath("sql", "views").iterdir()
        if entry.name.endswith(".sql")
    )
    return sorted(names, key=lambda name: name.startswith("compat_"))


def sql_version() -> str:
    """Of what is stored and how it is computed: a hash of all of `sql/`. A database with another is made anew."""
    digest = hashlib.sha256()
    for folder in ("", "load", "views"):
        here = resources("recorder.analytics").joinpath("sql", folder)
        for entry in sorted(here.iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(".sql"):
                digest.update(entry.read_bytes())
    return digest.hexdigest()[:16]


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables, and the views over them, in the database that the connection uses."""
    run(connection, "tables")
    connection.execute("INSERT INTO loaded.meta VALUES (?)", [sql_version()])
    run(connection, "load/lines")
    connection.execute("SET VARIABLE sources = []::INTEGER []")
    for step in _STEPS:
        run(connection, f"load/{step}")
    run(connection, "load/tables")
    for name in views():
        run(connection, f"views/{name}")
    for name in MACROS:
        run(connection, name)


class Loader:
    """Brings the database that the connection uses up to date with some files.

    `root`: what the names of known files are relative to. `report` is told what could not be read, but for what
    is in `load_errors`.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        root: Path | None,
        *,
        keep: bool = False,
        report: Report,
        advance: Advance | None = None,
    ) -> None:
        self._connection = connection
        self._root = root
        self._keep = keep
        self._report = report
        self._advance = advance
        self._progress = Progress(0, 0, 0)

    def load(self, files: Sequence[Path]) -> None:
        """Raises RecordingError for a file that is no recording, is newer than this version or cannot be read."""
        self._connection.execute("SET preserve_insertion_order = false")
        news = self._news(files, self._report)
        if news.gone:
            self._connection.execute("SET VARIABLE gone = ?", [news.gone])
            with _transaction(self._connection):
                run(self._connection, "load/forget")
            news = self._news(files, _silent)
        self._progress = Progress(0, sum(max(0, source.size - source.bytes) for source, _ in news.changed), 0)
        self._tell()
        with TemporaryDirectory(prefix="recorder-") as name:
            for batch in self._batches(news.changed, Path(name)):
                self._take(batch, Path(name))
        with _transaction(self._connection):
            for source, file in news.changed:
                source.tail = tail_of(file, source.bytes)
                self._check_point(source)
            for source in news.moved:
                self._check_point(source)
            run(self._connection, "load/missing")
            self._find_missing()

    def _find_missing(self) -> None:
        """Say where the streams without a request begin."""
        rows = self._connection.execute(
            "SELECT file, stream FROM loaded.errors JOIN loaded.sources USING (source)"
            " WHERE kind = 'missing' AND line IS NULL"
        ).fetchall()
        for name, stream in rows:
            line = first_line_of(resolve(name, self._root), stream)
            self._connection.execute("UPDATE loaded.errors SET line = ? WHERE stream = ?", [line, stream])

    def _news(self, files: Sequence[Path], report: Report) -> News:
        known = known_sources(self._connection)
        return find_news(known, files, self._root, keep=self._keep, report=report)

    def _batches(self, changed: Sequence[tuple[Source, Path]], directory: Path) -> Iterator[_Batch]:
        """Pieces that are loaded together: of many small files, or one of a large one."""
        batch: _Batch = []
        size = 0
        for source, file in changed:
            cutter = Cutter(file, source.bytes, directory)
            for piece in cutter:
                if batch and (size + piece.end - piece.start > PIECE or len(batch) == _AT_ONCE):
                    yield batch
                    batch, size = [], 0
                batch.append((source, piece))
                size += piece.end - piece.start
            if cutter.damage:
                yield batch
                batch, size = [], 0
                self._note_damage(source, file, cutter.damage)
            if cutter.torn and is_compressed(file):  # of others, tell_errors tells
                self._report(torn(file, count_lines(file, cutter.end) + 1, cutter.torn))
        if batch:
            yield batch

    def _take(self, batch: _Batch, directory: Path) -> None:
        """Load the pieces: all at once, or one by one if there is something in them that DuckDB refuses."""
        if self._read(batch, _OBJECT_SIZE):
            self._store(batch, [])
        else:
            for source, piece in batch:
                self._take_one(source, piece, directory)
        for _, piece in batch:
            piece.discard()

    def _take_one(self, source: Source, piece: Piece, directory: Path) -> None:
        if not piece.is_as_it_was():  # it is being written to: no more of it than was there
            piece = next(iter(Cutter(piece.file, 0, directory, limit=piece.end)))
        problems: list[Problem] = []
        if not self._read([(source, piece)], _LARGE_OBJECT_SIZE):
            piece, problems = cleaned(piece, directory)
            if not self._read([(source, piece)], _LARGE_OBJECT_SIZE):
                raise RecordingError(piece.file, "cannot be loaded as tables", "recorder verify tells more")
        self._store([(source, piece)], problems)
        piece.discard()

    def _read(self, batch: _Batch, object_size: int) -> bool:
        """Fill `lines`; False when there is something in the pieces that is no record."""
        connection = self._connection
        run(connection, "load/lines")
        connection.execute("SET VARIABLE sources = ?", [[source.source for source, _ in batch]])
        pieces = [piece for _, piece in batch]
        if not read(connection, pieces, object_size, "load/read"):
            return False
        with _one_thread(connection):
            if not read(connection, pieces, object_size, "load/control_lines"):
                return False
        strange = connection.execute(_IS_STRANGE).fetchall() == [(True,)]
        if strange and not read(connection, pieces, object_size, "load/strange"):
            return False
        return connection.execute(_IS_ODD, {"format": FORMAT, "version": VERSION, "sane": SANE_NS}).fetchall() == [
            (False,)
        ]

    def _store(self, batch: _Batch, problems: Sequence[Problem]) -> None:
        """Rows and checkpoint, in one transaction."""
        connection = self._connection
        with _one_thread(connection), _transaction(connection):
            for source, piece in batch:
                source.bytes = piece.end
                self._check_point(replace(source, size=-1))
            for step in ("again", "arrivals", "tallies"):
                run(connection, f"load/{step}")
            if not _in_order(connection):
                for step in ("once", "arrivals", "tallies"):
                    run(connection, f"load/{step}")
                if not _in_order(connection):
                    raise RuntimeError(
                        f"DuckDB {duckdb.__version__} does not keep rows in the order they were put in"
                    )
            for step in ("control", "blocks", "stalls", "streams", "unknown", "gaps", "keep"):
                run(connection, f"load/{step}")
            for problem in problems:
                self._note(batch[0][0], problem)
        [(events,)] = connection.execute(_EVENTS).fetchall()
        size = sum(piece.end - piece.start for _, piece in batch)
        done = self._progress
        self._progress = Progress(done.bytes + size, max(done.total, done.bytes + size), done.events + events)
        self._tell()

    def _tell(self) -> None:
        if self._advance:
            self._advance(self._progress)

    def _check_point(self, source: Source) -> None:
        self._connection.execute("DELETE FROM loaded.sources WHERE source = ?", [source.source])
        self._connection.execute("INSERT INTO loaded.sources VALUES (?, ?, ?, ?, ?, ?, ?)", list(astuple(source)))

    def _note(self, source: Source, problem: Problem) -> None:
        row = [source.source, problem.line, problem.kind, problem.reason]
        self._connection.execute("INSERT INTO loaded.errors VALUES (?, ?, ?, ?, NULL)", row)

    def _note_damage(self, source: Source, file: Path, damage: str) -> None:
        line = count_lines(file, source.bytes) + 1
        reason = f"damaged from here on ({damage}); left out"
        self._connection.execute(
            "DELETE FROM loaded.errors WHERE source = ? AND starts_with(reason, 'damaged')", [source.source]
        )
        self._note(source, Problem(file, line, reason, "corrupt"))


def _in_order(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the arrivals are each there once, and are where `lag` looks for them."""
    return connection.execute("SELECT bool_and(ordered) FROM tallies").fetchall() != [(False,)]


_Batch = list[tuple[Source, Piece]]
_IS_STRANGE = """
SELECT
    EXISTS (FROM (SELECT DISTINCT n FROM lines) WHERE n NOT IN (SELECT n FROM numbered))
    OR EXISTS (FROM (SELECT DISTINCT spelt FROM lines) WHERE spelt NOT IN (SELECT spelt FROM loaded.spelling))
"""
_EVENTS = """
SELECT count(*) FROM lines INNER JOIN loaded.spelling USING (spelt) WHERE role IN ('output', 'event')
"""
_IS_ODD = """
SELECT
    EXISTS (
        FROM lines
        WHERE n IS NULL OR seq IS NULL OR "at" IS NULL OR "at" NOT BETWEEN -$sane AND $sane
            OR wait IS NULL OR wait NOT BETWEEN -$sane AND $sane OR chunk IS NULL
            OR (split IS NOT NULL AND NOT list_bool_and([
                len(one) = 3 AND coalesce(abs(one[2]) <= $sane AND abs(one[3]) <= $sane, false)
                FOR one IN split
            ]))
    )
    OR EXISTS (
        FROM controls
        WHERE CASE kind
            WHEN 'header' THEN format IS DISTINCT FROM $format OR v IS NULL OR v NOT BETWEEN 1 AND $version
            WHEN 'request' THEN stream IS NULL OR seq IS NULL OR call IS NULL OR attempt IS NULL OR wall IS NULL
                OR coalesce("at" NOT BETWEEN -$sane AND $sane, true)
                OR coalesce(mono NOT BETWEEN -$sane AND $sane, true)
            WHEN 'response' THEN status IS NULL
            WHEN 'gap' THEN chunks IS NULL
            ELSE "end" IS NULL OR complete IS NULL OR chunks IS NULL OR bytes IS NULL
                OR coalesce(waited, 0) NOT BETWEEN -$sane AND $sane
                OR coalesce(held, 0) NOT BETWEEN -$sane AND $sane
        END
    )
"""
"""DuckDB takes lines that are JSON and no records; the reader does not, and says why."""


def read(connection: duckdb.DuckDBPyConnection, batch: Sequence[Piece], object_size: int, step: str) -> bool:
    """Read pieces by a file of `sql/`; False, and nothing is read, when DuckDB refuses one of them."""
    files = [_escape_glob(str(piece.readable)) for piece in batch]
    connection.execute("SET VARIABLE files = ?", [files])
    connection.execute("SET VARIABLE object_size = ?", [object_size])
    try:
        run(connection, step)
    except _REFUSALS:
        return False
    return all(piece.is_as_it_was() for piece in batch)


def torn(file: Path, line: int, size: int) -> Problem:
    """A last line that is not finished."""
    return Problem(file, line, f"torn last line ({size} bytes without an end) left out", "torn")


def _escape_glob(name: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)


def _silent(problem: Problem) -> None:
    """It was told already."""


@contextmanager
def _one_thread(connection: duckdb.DuckDBPyConnection) -> Generator[None]:
    """For all steps but the reading of events: with more threads they take no less time and a quarter more CPU, as
    these wait for each other in the kernel."""
    [(threads,)] = connection.execute("SELECT current_setting('threads')").fetchall()
    connection.execute("SET threads = 1")
    try:
        yield
    finally:
        connection.execute(f"SET threads = {threads}")


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Generator[None]:
    connection.execute("BEGIN")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
