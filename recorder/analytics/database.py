"""Recordings to tables: DuckDB reads the lines itself, and the files in `sql/`, in order, make the tables.

    calls      one row per call of an SDK method, its retries included
    streams    one row per attempt, with the metrics of `core/timing.py`
    blocks     one row per content block
    events     one row per server-sent event
    stalls     one row per pause of more than 2 s
    arrivals   one row per record and chunk, in ns: what the others are computed from
    left_out   one row per file of which lines could not be read

The head of each file says what its columns mean. `at` is a keyword to DuckDB: write `"at"`, or use `at_s`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files as resources
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import duckdb

from recorder.core.records import FORMAT, VERSION
from recorder.log.files import ends_whole
from recorder.log.reader import copy_readable

_TABLES = ("arrivals", "events", "blocks", "stalls", "streams", "unknown", "calls")
"""Files in `sql/`, each needing those before."""
_INTERNAL = ("lines", "numbered", "block_times")
_OBJECT_SIZE = 16 << 20
"""Bytes; DuckDB takes lines of up to twice that. Its buffers grow with it, and large files then load on fewer
threads, so it is DuckDB's default until a line is longer."""
_LARGE_OBJECT_SIZE = 128 << 20
_REFUSALS = (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.IOException)
"""What DuckDB raises for a torn or corrupt line, bad UTF-8, half a surrogate pair, a duplicate key, a value of
another type or beyond 64 bits, too long a line, a file that may not be read."""


def connect(
    files: Sequence[Path], *, connection: duckdb.DuckDBPyConnection | None = None, payloads: bool = True
) -> duckdb.DuckDBPyConnection:
    """A database in memory (or `connection`, outside a transaction) with the tables of these recordings.

    What an earlier call made is replaced. Without `payloads` the columns `data` and `text` of `events` are
    empty, and loading is faster and needs half the memory. Lines that cannot be read are left out and counted
    in `left_out`.

    Raises RecordingError for a file that is no recording, is newer than this version, or cannot be read.
    """
    connection = connection or duckdb.connect(":memory:")
    connection.execute("CREATE OR REPLACE TABLE left_out (file VARCHAR, lines BIGINT)")
    connection.execute("SET VARIABLE payloads = ?", [payloads])
    _run(connection, "lines")
    _load(connection, files)
    for name in _TABLES:
        _run(connection, name)
    for name in _INTERNAL:
        connection.execute(f"DROP TABLE temp.{name}")
    return connection


def _load(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    """Fill `lines`: all files at once, or one by one if one of them has lines that DuckDB refuses.

    Of several files that it reads at once, DuckDB drops a torn last line without an error, now and then: files
    that end with one are none of them.
    """
    files = [file for file in dict.fromkeys(files) if not is_empty(file)]
    whole = {file: None for file in files if ends_whole(file)}
    if whole and not _insert(connection, list(whole), _OBJECT_SIZE):
        for file in whole:
            if not _insert(connection, [file], _LARGE_OBJECT_SIZE):
                _insert_readable(connection, file)
    for file in files:
        if file not in whole:
            _insert_readable(connection, file)
    if not _all_current(connection, len(files)):
        with TemporaryFile() as target:
            for file in files:  # raises for the one that is not
                copy_readable(file, target)


def is_empty(file: Path) -> bool:
    """Whether there is a file with nothing in it; False for one that went since it was found."""
    try:
        return file.is_file() and not file.stat().st_size
    except FileNotFoundError:
        return False


def _insert(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], object_size: int) -> bool:
    """False, and nothing is inserted, when DuckDB refuses one of the files."""
    _set_source(connection, files, object_size)
    try:
        _run(connection, "load")
    except _REFUSALS:
        return False
    return True


def _insert_readable(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Insert the lines of a file that every reader takes."""
    with TemporaryDirectory(prefix="recorder-") as directory:
        copy = Path(directory) / "copy.jsonl"
        with copy.open("wb") as target:
            left_out = copy_readable(file, target)
        connection.execute("INSERT INTO left_out VALUES (?, ?)", [str(file), left_out])
        _set_source(connection, [copy], _LARGE_OBJECT_SIZE)
        _run(connection, "load")


def _set_source(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], object_size: int) -> None:
    connection.execute("SET VARIABLE files = ?", [[_escape_glob(str(file)) for file in files]])
    connection.execute("SET VARIABLE object_size = ?", [object_size])


def _all_current(connection: duckdb.DuckDBPyConnection, files: int) -> bool:
    """Whether there are as many headers as files at least, all of a version that we know."""
    rows = connection.execute(
        "SELECT count(*), count(*) FILTER (format = ? AND v BETWEEN 1 AND ?) FROM lines WHERE kind = 'header'",
        [FORMAT, VERSION],
    ).fetchall()
    headers, current = rows[0]
    return headers == current >= files


def _escape_glob(name: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)


def _run(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    sql = resources("recorder.analytics").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    connection.execute(sql).fetchall()
