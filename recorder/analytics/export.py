"""Tables to files that other programs read: Parquet, CSV, Arrow.

Without text by default: what people and models wrote stays out. That is an allow-list, so that a column of the
future that holds text does not get out by being new.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

from recorder.optional import need

from .quoting import literal
from .report import Tables
from .selection import Selection

FileFormat = Literal["parquet", "csv", "arrow"]
Capture = Literal["timing", "full"]
TABLES = ("calls", "streams", "blocks", "events", "stalls")
_NAMES = frozenset(
    {
        *("stream", "streams", "call", "method", "url", "path", "model", "request_model", "stop_reason", "sdk"),
        *("message_id", "request_id", "anthropic_version", "tags", "ended", "outcome", "error_type", "kind"),
        *("type", "event", "delta", "trace_id", "span_id", "traceparent"),
    }
)
"""Columns of text that are names, ids and labels."""
_NUMBERS = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|BOOLEAN|TIMESTAMP.*|DATE|DECIMAL.*|ENUM.*")
_BATCH = 100_000
"""Rows of an Arrow record batch."""


class Exported(Struct, kw_only=True):
    """One table: its rows, and the size of its files in bytes."""

    table: str
    rows: int
    files: int
    bytes: int


def export(
    tables: Tables,
    target: Path,
    to: FileFormat,
    *,
    capture: Capture = "timing",
    selection: Selection | None = None,
) -> list[Exported]:
    """Write the tables below `target`, a new or empty directory, readable by its owner alone.

    `parquet`: `TABLE/day=2026-11-21/*.parquet` by the day (UTC) on which the stream was sent, zstd. `csv`:
    `TABLE.csv`; lists and maps are JSON. `arrow`: `TABLE.arrow`, Arrow's IPC file format, zstd. In Parquet and
    Arrow a map is a list of (key, value). `capture="full"` keeps requests, payloads and error messages, as far
    as `tables` has them. What is there in the end is whole: it is written beside `target` first.

    Raises FileExistsError, OSError, QueryError, and MissingPackage for `arrow` without pyarrow.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(errno.EEXIST, "not an empty directory", str(target))
    write = _WRITERS[to]
    target = target.absolute()
    made = target.with_name(f".{target.name}.{os.getpid()}.partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    made.mkdir(mode=0o700)
    try:
        chosen = _Chosen(tables, capture, selection or Selection())
        done = [_export(chosen, table, made, write) for table in TABLES]
        if target.exists():
            target.rmdir()
        made.replace(target)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return done


class _Chosen:
    """What is exported of the tables, as queries."""

    def __init__(self, tables: Tables, capture: Capture, selection: Selection) -> None:
        self.tables = tables
        self._capture = capture
        self._selection = selection

    def columns(self, table: str) -> list[tuple[str, str]]:
        """(name, DuckDB type) of those that get out."""
        every = self.tables.query(f"SELECT * FROM {table} LIMIT 0").columns  # noqa: S608 - names of ours
        return [(name, kind) for name, kind in every if self._capture == "full" or _is_without_text(name, kind)]

    def query(self, table: str, select: str) -> str:
        """`t` is the table, `chosen` the streams."""
        return f"WITH {self._selection.sql()} SELECT {select} FROM {table} AS t INNER JOIN chosen USING (stream)"  # noqa: S608

    def copy(self, query: str, path: Path, options: str) -> int:
        [(rows,)] = self.tables.query(f"COPY ({query}) TO {literal(str(path))} ({options})").rows
        return rows


def write_parquet(
    tables: Tables,
    table: str,
    file: Path,
    *,
    capture: Capture,
    selection: Selection,
    added: Mapping[str, str],
    order: str,
) -> int:
    """One table as one Parquet file, zstd, sorted by `order`; returns how many rows. `added`: columns with one
    value, which come first. Maps are maps."""
    chosen = _Chosen(tables, capture, selection)
    columns = [f"{literal(value)} AS {name}" for name, value in added.items()]
    columns += [f't."{name}"' for name, _ in chosen.columns(table)]
    query = chosen.query(table, ", ".join(columns))
    return chosen.copy(f"SELECT * FROM ({query}) ORDER BY {order}", file, "FORMAT parquet, COMPRESSION zstd")  # noqa: S608


_Writer = Callable[[_Chosen, str, Path], int]


def _export(chosen: _Chosen, table: str, directory: Path, write: _Writer) -> Exported:
    rows = write(chosen, table, directory)
    files = [path for path in directory.rglob("*") if path.is_file() and _table_of(path, directory) == table]
    return Exported(table=table, rows=rows, files=len(files), bytes=sum(path.stat().st_size for path in files))


def _table_of(path: Path, directory: Path) -> str:
    return path.relative_to(directory).parts[0].partition(".")[0]


def _parquet(chosen: _Chosen, table: str, directory: Path) -> int:
    query = chosen.query(table, f"{_entries(chosen, table)}, strftime(chosen.wall, '%Y-%m-%d') AS day")
    options = "FORMAT parquet, COMPRESSION zstd"
    partitioned = f"{options}, PARTITION_BY (day), FILENAME_PATTERN 'part-{{i}}'"
    rows = chosen.copy(query, directory / table, partitioned)
    if not rows:  # there are no days: a file without rows tells a reader the columns
        (directory / table).mkdir(exist_ok=True)
        chosen.copy(query, directory / table / "part-0.parquet", options)
    return rows


def _csv(chosen: _Chosen, table: str, directory: Path) -> int:
    kept = ", ".join(
        f't."{name}"' if _is_scalar(kind) else f'CAST(to_json(t."{name}") AS VARCHAR) AS "{name}"'
        for name, kind in chosen.columns(table)
    )
    return chosen.copy(chosen.query(table, kept), directory / f"{table}.csv", "FORMAT csv, HEADER")


def _arrow(chosen: _Chosen, table: str, directory: Path) -> int:
    ipc = need("pyarrow.ipc", "arrow")
    reader = chosen.tables.relation(chosen.query(table, _entries(chosen, table))).to_arrow_reader(_BATCH)
    rows = 0
    options = ipc.IpcWriteOptions(compression="zstd")
    with ipc.new_file(directory / f"{table}.arrow", reader.schema, options=options) as file:
        for batch in reader:
            rows += batch.num_rows
            file.write_batch(batch)
    return rows


_WRITERS: dict[FileFormat, _Writer] = {"parquet": _parquet, "csv": _csv, "arrow": _arrow}


def _entries(chosen: _Chosen, table: str) -> str:
    """The columns, maps as lists of (key, value): Polars 1 reads no map, in Parquet or Arrow."""
    return ", ".join(
        f'map_entries(t."{name}") AS "{name}"' if kind.startswith("MAP") else f't."{name}"'
        for name, kind in chosen.columns(table)
    )


def _is_without_text(name: str, kind: str) -> bool:
    return name in _NAMES or _NUMBERS.fullmatch(kind.removesuffix("[]")) is not None


def _is_scalar(kind: str) -> bool:
    return not kind.endswith("]") and not kind.startswith(("MAP", "STRUCT"))
