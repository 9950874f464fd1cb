"""Streams and calls that go on in another segment: each is in the lake once, with the segment that it ended in."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest

import recorder
from recorder.log.files import find_segments
from tests.analytics.lake.lakes import actions, in_lake, in_recording, segment, ship
from tests.cli import recordings
from tests.tap.test_processes import read


def crossing() -> tuple[list[Any], list[Any], list[Any]]:
    """Three segments. One stream begins in the first and ends in the third; one is never ended; a call is retried in
    the second; one stream is in each alone."""
    long, lost = recordings.text("10"), recordings.lost("20", sent=5)
    refused = recordings.overloaded("30", call="retried")
    again = recordings.text("31", call="retried", attempt=1, sent=900)
    first = [*recordings.text("01"), *long[:4], *lost, *refused]
    second = [*long[4:7], *again, *recordings.thinking("02", sent=1000)]
    third = [*long[7:], *recordings.tool("03", sent=2000)]
    return first, second, third


def test_a_stream_is_with_the_segment_that_it_ended_in(tmp_path: Path) -> None:
    path, lake = tmp_path / "r", tmp_path / "lake"
    whole = ("a", None), ("b", "a"), ("c", "b")
    for (name, previous), lines in zip(whole, crossing(), strict=True):
        segment(path / f"{name}.jsonl", name, lines, previous=previous)

    ship(path, lake, last=True)

    where = duckdb.sql(f"SELECT segment, stream FROM '{lake}/streams/**/*.parquet' ORDER BY ALL").fetchall()
    assert where == [("a", "01"), ("a", "30"), ("b", "02"), ("b", "31"), ("c", "03"), ("c", "10"), ("c", "20")]
    found, expected = in_lake(lake), in_recording(path)
    assert {**found, "calls": latest_of(found["calls"])} == expected


def latest_of(calls: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The columns are sorted by name: attempts, call, ...; of a call that was retried, the row with most attempts."""
    by_id: dict[str, tuple[Any, ...]] = {}
    for row in sorted(calls, key=lambda row: row[0]):
        by_id[row[1]] = row
    return sorted(by_id.values(), key=lambda row: tuple((value is None, str(value)) for value in row))


@pytest.mark.slow
def test_it_does_not_matter_when_it_was_shipped(tmp_path: Path) -> None:
    """After each segment, or all at once."""
    path, at_once, piecemeal = tmp_path / "r", tmp_path / "one", tmp_path / "many"
    previous = None
    for name, lines in zip("abc", crossing(), strict=True):
        segment(path / f"{name}.jsonl", name, lines, previous=previous)
        previous = name
        done = actions(ship(path, piecemeal, last=name == "c"))
        assert done[name] == ("shipped" if name == "c" else "waits")
    ship(path, at_once, last=True)

    assert in_lake(piecemeal) == in_lake(at_once)


def test_what_is_open_when_its_segment_is_over_waits_until_its_writer_is(tmp_path: Path) -> None:
    lines = crossing()[0]
    path = segment(tmp_path / "r" / "a.jsonl", "a", lines, pid=os.getpid())

    assert actions(ship(path, tmp_path / "lake")) == {"a": "waits"}
    os.utime(path, (0, 0))  # nothing came for a day, or longer
    assert actions(ship(path, tmp_path / "lake")) == {"a": "shipped"}


@pytest.mark.slow
def test_a_killed_writers_streams_are_lost_at_once(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    path = segment(tmp_path / "r" / "a.jsonl", "a", crossing()[0], pid=gone.pid)

    assert actions(ship(path, tmp_path / "lake")) == {"a": "shipped"}
    assert in_lake(tmp_path / "lake") == in_recording(path)


@pytest.mark.slow
def test_a_segment_waits_for_the_one_before_it(tmp_path: Path) -> None:
    """Which cannot be shipped yet: a stream in it is not over, and so is not the one in the second."""
    first, second, _ = crossing()
    segment(tmp_path / "r" / "a.jsonl", "a", first, pid=os.getpid())
    segment(tmp_path / "r" / "b.jsonl", "b", second, previous="a", pid=os.getpid())

    assert actions(ship(tmp_path / "r", tmp_path / "lake")) == {"a": "shipped", "b": "waits"}


@pytest.mark.parametrize("size", [30_000, pytest.param(5_000, marks=pytest.mark.slow)])
def test_a_tap_that_starts_new_files_under_load(tmp_path: Path, size: int) -> None:
    """Threads, files of a few streams, and shipping in between; live ones are left alone."""
    path, lake = tmp_path / "r", tmp_path / "lake"
    with recorder.Tap(path, rotate_bytes=size) as tap:
        for turn in range(2):
            names = [[f"{turn}-{thread}-{n}" for n in range(2)] for thread in range(3)]
            threads = [threading.Thread(target=read, args=(tap, one)) for one in names]
            for thread in threads:
                thread.start()
            ship(path, lake) if find_or_none(path) else None
            for thread in threads:
                thread.join()
        tap.flush()
        ship(path, lake)
    done = actions(ship(path, lake))

    assert set(done.values()) <= {"shipped", "there"}
    assert in_lake(lake) == in_recording(path)
    assert len(in_lake(lake)["streams"]) == 12


def find_or_none(path: Path) -> list[Path]:
    return find_segments(path) if path.exists() and any(path.iterdir()) else []


def test_of_a_segment_that_begins_in_the_middle_what_is_whole_is_shipped(tmp_path: Path) -> None:
    """The segment before it is gone."""
    _, second, _ = crossing()
    path = segment(tmp_path / "r" / "b.jsonl", "b", second, previous="a")
    told: list[str] = []

    ship(path, tmp_path / "lake", last=True, report=lambda problem: told.append(str(problem)))

    streams = duckdb.sql(f"SELECT stream FROM '{tmp_path}/lake/streams/**/*.parquet' ORDER BY ALL").fetchall()
    assert streams == [("02",), ("31",)]
    assert told == [f"{path}:2: stream 10 has no request record; left out"]
