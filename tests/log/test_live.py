"""Streams of a recording that is being written: which are open, which ended, which are lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from recorder.core.lines import encode_line
from recorder.core.records import Record
from recorder.log.live import QUIET_S, Live, is_there
from tests.cli import recordings

S = 1_000_000_000
PID = recordings.header().pid
ONE, TWO = recordings.text("01"), recordings.text("02", sent=1000)


class World:
    """A directory, and a `Live` with clocks and processes that do what they are told."""

    def __init__(self, directory: Path, *, everything: bool = False) -> None:
        self.path = directory / "a.jsonl"
        self.path.write_bytes(encode_line(recordings.header()))
        self.now = recordings.WALL + 2 * S
        self.running = {PID}
        self.problems: list[object] = []
        self.live = Live(
            [directory],
            everything=everything,
            report=self.problems.append,
            clock=lambda: self.now / S,
            wall_clock=lambda: self.now,
            is_there=lambda pid: pid in self.running,
        )

    def write(self, *records: Record, path: Path | None = None) -> None:
        with (path or self.path).open("ab") as file:
            file.write(b"".join(map(encode_line, records)))

    def poll(self) -> list[tuple[str, str]]:
        self.now += S
        return [(stream.id, stream.outcome) for stream in self.live.poll()]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def world(*, everything: bool = False) -> World:
        made.append(World(tmp_path, everything=everything))
        return made[-1]

    yield world
    for one in made:
        assert one.problems == []
        one.live.close()


def test_each_stream_is_given_once_when_it_ends(make) -> None:
    world = make()
    world.write(*ONE[:5])
    assert world.poll() == []
    assert list(world.live.open) == ["01"]
    world.write(*ONE[5:], *TWO[:2])
    assert world.poll() == [("01", "complete")]
    assert list(world.live.open) == ["02"]
    world.write(*TWO[2:])
    assert world.poll() == [("02", "complete")]
    assert world.poll() == []
    assert world.live.open == {}


@pytest.mark.parametrize("everything", [False, True])
def test_what_ended_before_is_told_only_when_asked(make, everything: bool) -> None:
    world = make(everything=everything)
    world.write(*ONE, *TWO[:6])
    assert world.poll() == ([("01", "complete")] if everything else [])
    assert [stream.ttft_s for stream in world.live.open.values()] == [0.4]
    world.write(*TWO[6:])
    assert world.poll() == [("02", "complete")]


def test_a_stream_goes_on_in_the_next_segment(make) -> None:
    world = make()
    world.write(*ONE[:5])
    world.poll()
    world.write(*ONE[5:7])
    world.write(recordings.header(), *ONE[7:], path=world.path.with_name("b.jsonl"))
    assert world.poll() == [("01", "complete")]


def test_a_file_that_is_read_again_is_not_told_again(make) -> None:
    world = make()
    world.poll()
    world.write(*ONE)
    assert world.poll() == [("01", "complete")]
    os.truncate(world.path, world.path.stat().st_size - 1)
    assert world.poll() == []
    assert world.live.open == {}


def test_a_stream_is_lost_when_its_process_goes(make) -> None:
    world = make()
    world.poll()
    world.write(*ONE[:5])
    assert world.poll() == []
    world.write(*ONE[5:6])
    world.running.clear()
    assert world.poll() == [("01", "lost")]
    assert world.poll() == []


def test_the_last_words_of_a_process_are_read_before_its_streams_are_lost(make) -> None:
    world = make()
    world.write(*ONE[:5])
    world.poll()
    world.write(*ONE[5:])
    world.running.clear()
    assert world.poll() == [("01", "complete")]


def test_a_process_that_went_before_it_was_looked_for_a_second_time(make) -> None:
    world = make()
    world.poll()
    world.write(recordings.header(), *ONE[:5])
    assert world.poll() == []
    world.running.clear()
    assert world.poll() == [("01", "lost")]


def test_what_was_lost_before_is_not_shown_until_it_proves_alive(make) -> None:
    world = make()
    world.running.clear()
    world.write(*ONE[:5])
    assert world.poll() == []
    assert world.live.open == {}
    world.write(*ONE[5:7])
    assert world.poll() == []
    assert [stream.joined for stream in world.live.open.values()] == [True]


def test_a_process_never_seen_may_be_elsewhere_until_its_stream_is_silent_for_long(make) -> None:
    world = make(everything=True)
    world.running.clear()
    world.write(*ONE[:5])
    assert world.poll() == []
    world.now = recordings.WALL + round((QUIET_S - 5) * S)
    assert world.poll() == []
    world.now += 10 * S
    assert world.poll() == [("01", "lost")]


def test_who_wrote_it_may_not_be_known(make) -> None:
    world = make(everything=True)
    world.path.write_bytes(encode_line(replace(recordings.header(), pid=None)))
    world.write(*ONE[:5])
    world.now += 10**6 * S
    assert world.poll() == []
    assert list(world.live.open) == ["01"]


def test_whether_a_process_is_there() -> None:
    assert is_there(os.getpid())
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert is_there(process.pid) is (os.name == "nt")
    assert is_there(-1)  # no number of a process: never signalled
    assert is_there(2**60)
