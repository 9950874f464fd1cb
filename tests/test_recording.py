"""`recorder.open`: the same streams as tables and one by one, and the same problems told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import recorder

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The fixtures where their tables may be kept."""
    return Path(shutil.copytree(FIXTURES, tmp_path / "fixtures"))


def test_the_tables_and_the_streams_agree(copied: Path) -> None:
    recording = recorder.open(copied)

    rows = recording.sql("SELECT stream, ttft_s, outcome FROM streams ORDER BY stream").fetchall()

    timings = {stream.id: stream.timing() for stream in recording.streams()}
    assert rows == sorted((name, timing.ttft_s, timing.outcome) for name, timing in timings.items())
    assert len(rows) == 10


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    lines = (FIXTURES / "text.jsonl").read_bytes().splitlines(keepends=True)
    path = tmp_path / "spoilt.jsonl"
    path.write_bytes(b"".join([*lines[:9], b"rubbish\n", *lines[9:], lines[0], b'{"kind":"requ']))
    return path


def test_a_corrupt_line_stops_the_tables_unless_salvaging(spoilt: Path) -> None:
    with pytest.raises(recorder.CorruptError, match=r"spoilt\.jsonl:10: not JSON"):
        recorder.open(spoilt).sql("FROM streams")
    recording = recorder.open(spoilt, salvage=True)

    assert recording.sql("SELECT count(*) FROM streams").fetchall() == [(1,)]
    assert {(problem.line, problem.kind) for problem in recording.problems} >= {(10, "corrupt")}


def test_the_same_problem_is_told_once(spoilt: Path) -> None:
    recording = recorder.open(spoilt, salvage=True)
    for _ in range(2):
        list(recording.streams())
        recording.sql("FROM streams").fetchall()

    assert len(recording.problems) == len(set(recording.problems)) == 2


def test_relations_are_duckdbs_own(copied: Path) -> None:
    streams = recorder.open(copied).sql("SELECT model, ttft_s FROM streams WHERE ttft_s IS NOT NULL")

    assert streams.filter("ttft_s > 0").aggregate("count(*)").fetchall() == [(8,)]
