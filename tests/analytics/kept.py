"""Recordings to load, and what is in the tables that are kept of them."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest

from recorder.analytics.database import Database, beside, connect
from recorder.analytics.report import Tables
from recorder.core.lines import encode_line
from recorder.core.records import FORMAT, VERSION, Header, Record
from recorder.log.files import find_segments
from tests.cli import recordings

NAMES = ("streams", "calls", "blocks", "stalls", "events", "gap_histogram", "load_errors")


def header(segment: str) -> bytes:
    return encode_line(
        Header(format=FORMAT, v=VERSION, segment=segment, wall=recordings.WALL, mono=0, recorder="0.1.0")
    )


def lines(*streams: list[Record]) -> list[bytes]:
    return [encode_line(record) for stream in streams for record in stream]


def write(path: Path, segment: str, these: list[bytes]) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(header(segment) + b"".join(these))
    return path


def kinds(first: int = 0) -> list[bytes]:
    """One stream of each kind, interleaved, their ids and times from `first` on."""
    made = [
        kind(f"{first + n:016x}", sent=1000 * (first + n)) for n, kind in enumerate(recordings.KINDS)
    ]  # fmt: skip
    dice = random.Random(first)
    order = [n for n, stream in enumerate(made) for _ in stream]
    dice.shuffle(order)
    left = [iter(stream) for stream in made]
    return [encode_line(next(left[n])) for n in order]


def tables(path: Path, *, database: Database | None = None, **more: Any) -> Tables:
    options: dict[str, Any] = {"report": pytest.fail, "note": pytest.fail, **more}
    return Tables(find_segments(path), database=database or beside(path), **options)


def content(found: Tables | duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    run = found.relation if isinstance(found, Tables) else found.sql
    return {
        name: run(
            f"SELECT COLUMNS(lambda c: c NOT IN ('data', 'text', 'request', 'file')) FROM {name} ORDER BY ALL"
        ).fetchall()
        for name in NAMES
    }


def at_once(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    return content(connect(find_segments(path), payloads=False))


def check(path: Path, **more: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Load, and once more, and hold the tables against those of one load from nothing; returns them."""
    found = content(tables(path, **more))
    for other in (content(tables(path, **more)), at_once(path)):
        wrong = [name for name in NAMES if other[name] != found[name]]
        here, there = ({name: Counter(map(repr, rows[name])) for name in wrong} for rows in (found, other))
        assert not wrong, {name: [*(here[name] - there[name]), *(there[name] - here[name])] for name in wrong}
    return found
