"""What a tap says of itself."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import recorder
from recorder.core.records import StreamRecord
from recorder.log.items import Stats

from .test_faults import read


def test_the_writers_cpu_is_what_the_process_used_beyond_the_application(tmp_path: Path) -> None:
    with recorder.Tap(tmp_path) as tap:
        read(tap, 1)
        tap.flush()
        before = tap.stats().writer_cpu_ns
        process, own = time.process_time_ns(), time.thread_time_ns()
        read(tap, 20_000)
        own = time.thread_time_ns() - own
        tap.flush()
        rest = time.process_time_ns() - process - own

    writer = tap.stats().writer_cpu_ns - before
    assert 20_000 * 500 < writer < rest * 1.1 + 1_000_000


def test_the_repr_of_the_stats_is_what_happened() -> None:
    assert repr(Stats(streams=1, events=3)) == "Stats(streams=1, events=3)"


def test_stats_are_of_their_moment(tmp_path: Path) -> None:
    with recorder.Tap(tmp_path) as tap:
        before = tap.stats()
        read(tap, 3)
        tap.flush()
        assert (before.events, tap.stats().events) == (0, 3)


def test_an_observer_that_raises_is_logged_once_and_costs_no_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def observe(record: StreamRecord) -> None:
        raise KeyError(record.stream)

    with recorder.Tap(tmp_path, observe=observe) as tap:
        read(tap, 3)
    stats = tap.stats()
    assert (stats.events, stats.errors) == (3, stats.lines)
    assert [line.getMessage() for line in caplog.records if line.name == "recorder"] == [
        f"recorder: {tmp_path}: observing raised KeyError; records are written all the same"
    ]
