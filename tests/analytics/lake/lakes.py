"""Recordings that writers leave behind, and what a lake holds for who reads it by a glob."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from recorder.analytics.export import TABLES
from recorder.analytics.lake.ship import Outcome, Shipper
from recorder.analytics.lake.store import Store
from recorder.analytics.report import Tables
from recorder.core.lines import encode_line
from recorder.core.records import FORMAT, VERSION, Header, Record
from recorder.log.files import find_segments
from recorder.log.parts import Part
from tests.cli import recordings

Rows = dict[str, list[tuple[Any, ...]]]
TEXT = {"streams": ("error_message", "unknown", "request"), "events": ("data", "text")}
"""Columns that only a lake with text has."""
DAY_MS = 24 * 3_600_000


def segment(
    path: Path,
    name: str,
    lines: Iterable[Record],
    *,
    previous: str | None = None,
    day: int = 0,
    pid: int | None = None,
) -> Path:
    header = Header(
        format=FORMAT, v=VERSION, segment=name, wall=recordings.WALL + day * DAY_MS * recordings.MS, mono=0,
        recorder="0.1.0", previous=previous, pid=pid,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_line(header) + b"".join(map(encode_line, lines)))
    return path


def ship(
    path: Path | Sequence[Path],
    lake: Path | Store,
    *,
    host: str = "web-1",
    last: bool | None = None,
    **options: Any,
) -> list[Outcome]:
    """Once. `last`: whether a segment that none goes on from is its writer's last; None: as it is found out."""
    paths = [path] if isinstance(path, Path) else list(path)
    store = lake if isinstance(lake, Store) else Store(str(lake))
    more: dict[str, Any] = {"report": pytest.fail, **options}
    if last is not None:
        more["is_last"] = lambda part, known: last and not goes_on(part, known)
    return list(Shipper(paths, store, host=host, **more).once())


def goes_on(part: Part, known: Sequence[Part]) -> bool:
    return any(other.header.previous == part.header.segment for other in known)


def actions(done: list[Outcome]) -> dict[str, str]:
    assert [one.reason for one in done if one.reason] == []
    return {one.segment: one.action for one in done}


def in_lake(lake: Path, *, full: bool = False) -> Rows:
    """Every row of every object there is, without the columns that only a lake has."""
    found: Rows = {}
    for table in TABLES:
        left = ", ".join(("segment", *(() if full else TEXT.get(table, ()))))
        query = (
            f"FROM read_parquet('{lake}/{table}/**/*.parquet', hive_partitioning = false, union_by_name = true)"
        )
        columns = duckdb.sql(query).columns
        kept = ", ".join(f'"{name}"' for name in sorted(columns) if name not in left.split(", "))
        found[table] = duckdb.sql(f"SELECT {kept} {query} ORDER BY ALL").fetchall()
    return found


def in_recording(path: Path | Sequence[Path], *, full: bool = False) -> Rows:
    """The same of the recording itself."""
    paths = [path] if isinstance(path, Path) else list(path)
    files = [file for one in paths for file in find_segments(one)]
    tables = Tables(files, report=lambda _: None, salvage=True, payloads=full)
    found: Rows = {}
    for table in TABLES:
        names = [name for name, _ in tables.query(f"SELECT * FROM {table} LIMIT 0").columns]
        kept = ", ".join(f'"{name}"' for name in sorted(names) if full or name not in TEXT.get(table, ()))
        found[table] = list(tables.query(f"SELECT {kept} FROM {table} ORDER BY ALL").rows)
    return found
