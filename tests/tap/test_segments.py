"""The life of a segment, from its header to its footer, under real taps in real processes."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import msgspec
import pytest

import recorder
from recorder.core.lines import decode_line
from recorder.core.records import Footer, Header
from recorder.log.files import find_segments
from recorder.log.lock import is_live
from recorder.log.verify import FileCheck, verify
from recorder.testing import ManualClock
from tests.tap.test_faults import Server, read, recorded

ROOT = Path(__file__).parents[2]
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
threads_fork = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def checked(path: Path) -> list[FileCheck]:
    checks = verify(find_segments(path))
    assert [str(problem) for check in checks for problem in check.problems] == []
    return checks


def footer(path: Path) -> Footer:
    record = decode_line(path.read_bytes().splitlines(keepends=True)[-1])
    assert isinstance(record, Footer)
    return record


def header(path: Path) -> Header:
    with path.open("rb") as file:
        record = decode_line(file.readline())
    assert isinstance(record, Header)
    return record


def python(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_a_closed_tap_leaves_a_sealed_segment_that_says_what_it_did(tmp_path: Path) -> None:
    with recorder.Tap(tmp_path) as tap:
        read(tap, 7)

    [segment] = find_segments(tmp_path)
    [check] = checked(tmp_path)
    assert (check.sealed, check.live) == (True, False)
    assert footer(segment).stats == {**msgspec.to_builtins(tap.stats()), "streams": 1, "events": 7, "lines": 10}
    assert footer(segment).segment == header(segment).segment


def test_a_tap_that_recorded_nothing_leaves_nothing(tmp_path: Path) -> None:
    with recorder.Tap(tmp_path / "recordings"):
        pass

    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "sealed"),
    [("pass", True), ("sys.exit(3)", True), ("1 / 0", True), ("tap.flush(); os._exit(0)", False)],
)
def test_an_interpreter_that_exits_seals_it_and_one_that_is_stopped_does_not(
    tmp_path: Path, end: str, sealed: bool
) -> None:
    program = f"import os, sys, recorder\nfrom tests.tap.test_faults import read\ntap = recorder.Tap(sys.argv[1])\nread(tap, 5)\n{end}"

    python(program, tmp_path)

    [check] = checked(tmp_path)
    assert (check.sealed, check.live, check.events) == (sealed, False, 5)


@pytest.mark.slow
def test_it_is_live_while_its_process_is_and_no_longer(tmp_path: Path) -> None:
    program = (
        "import sys, recorder\nfrom tests.tap.test_faults import read\ntap = recorder.Tap(sys.argv[1])\n"
        "read(tap, 5)\ntap.flush()\nprint(flush=True)\nsys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        [segment] = find_segments(tmp_path)
        [while_alive] = checked(tmp_path)
        assert is_live(segment)
        process.send_signal(signal.SIGKILL)

    [after] = checked(tmp_path)
    assert (while_alive.sealed, while_alive.live) == (False, True)
    assert (after.sealed, after.live) == (False, False)
    assert not is_live(segment)


def test_a_file_that_is_appended_to_is_live_sealed_and_live_again(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    for events in (3, 4):
        with recorder.Tap(path, rotate_bytes=1, rotate_s=1e-9) as tap:
            read(tap, events)
            tap.flush()
            assert is_live(path)
        assert not is_live(path)
        [check] = checked(path)
        assert check.sealed
    assert [len(stream.events) for stream in recorded(path)] == [3, 4]


def test_a_process_that_was_killed_before_leaves_the_file_not_sealed(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    with recorder.Tap(path) as tap:
        read(tap, 3)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))

    with recorder.Tap(path) as tap:
        read(tap, 4)

    [check] = checked(path)
    assert (check.sealed, check.events) == (False, 7)


@needs_fork
@threads_fork
@pytest.mark.parametrize("name", ["recordings", "one.jsonl"])
def test_a_child_neither_seals_nor_locks_the_segment_of_its_parent(tmp_path: Path, name: str) -> None:
    tap = recorder.Tap(tmp_path / name)
    read(tap, 3)
    tap.flush()
    [segment] = find_segments(tmp_path)
    up, told = os.pipe()
    wait, go_on = os.pipe()
    if (child := os.fork()) == 0:
        try:
            tap.close()
            os.write(told, b".")
            os.read(wait, 1)
        finally:
            os._exit(0)
    os.read(up, 1)
    try:
        [while_open] = verify([segment])
        read(tap, 4)
        tap.close()
        [closed] = verify([segment])
        live = is_live(segment)
    finally:
        os.write(go_on, b".")
        os.waitpid(child, 0)
        for end in (up, told, wait, go_on):
            os.close(end)

    assert (while_open.sealed, while_open.live) == (False, True)
    assert (closed.sealed, closed.events, closed.problems, live) == (True, 7, [], False)
    assert find_segments(tmp_path) == [segment]


@needs_fork
@threads_fork
def test_a_child_seals_its_own(tmp_path: Path) -> None:
    with recorder.Tap(tmp_path) as tap:
        read(tap, 3)
        if (child := os.fork()) == 0:
            try:
                read(tap, 4)
                tap.close()
            finally:
                os._exit(0)
        os.waitpid(child, 0)

    checks = checked(tmp_path)
    assert [(check.sealed, check.streams) for check in checks] == [(True, 1)] * 2
    assert {header(check.path).pid for check in checks} == {os.getpid(), child}
    assert {header(check.path).previous for check in checks} == {None}


def rotated(path: Path, *, wall: Callable[[], int] | None = None) -> list[Path]:
    """Four streams side by side, in segments of 4,000 bytes; all begin in the first."""
    event = b'event: ping\ndata: {"type":"ping"}\n\n'
    with recorder.Tap(path, rotate_bytes=4000, wall_clock=wall or ManualClock(10**18)) as tap:
        with httpx2.Client(transport=recorder.TapTransport(tap, Server(40, event))) as http:
            responses: list[httpx2.Response] = []
            for n in range(4):
                request = http.build_request("POST", f"http://x/v1/{n}", json={"n": n})
                responses.append(http.send(request, stream=True))
                tap.flush()
            for _ in zip(*[response.iter_raw() for response in responses], strict=True):
                tap.flush()
    return find_segments(path)


def test_a_segment_that_is_full_is_followed_by_the_next_and_streams_go_on_there(tmp_path: Path) -> None:
    segments = rotated(tmp_path)

    assert len(segments) > 5
    assert all(4000 <= footer(segment).bytes < 5000 for segment in segments[:-1])
    assert all(check.sealed for check in checked(tmp_path))
    headers = [header(segment) for segment in segments]
    assert [one.previous for one in headers] == [None, *(one.segment for one in headers[:-1])]
    streams = recorded(tmp_path)
    assert [len(stream.events) for stream in streams] == [40] * 4
    assert {stream.path for stream in streams} == {segments[0]}
    tables = recorder.open(tmp_path).sql("SELECT events, outcome, complete, bytes FROM streams").fetchall()
    assert [row[0] for row in tables] == [40] * 4
    counted = itertools.accumulate(check.lines - 2 for check in checked(tmp_path))
    assert [footer(segment).stats["lines"] for segment in segments] == [*counted]


def test_streams_over_several_segments_replay_byte_for_byte(tmp_path: Path) -> None:
    rotated(tmp_path)
    bodies = [stream.body() for stream in recorded(tmp_path)]

    with httpx2.Client(transport=recorder.replay(tmp_path).transport) as http:
        replayed = [http.post(f"http://x/v1/{n}", json={"n": n}).content for n in range(4)]

    assert replayed == bodies


def test_names_sort_as_they_were_written_whatever_the_wall_clock_does(tmp_path: Path) -> None:
    backwards = itertools.count(10**18, -3600 * 10**9)

    segments = rotated(tmp_path, wall=lambda: next(backwards))

    walls = [header(segment).wall for segment in segments]
    assert walls == sorted(walls, reverse=True)
    assert all(check.sealed for check in checked(tmp_path))
    assert [len(stream.events) for stream in recorded(tmp_path)] == [40] * 4


def test_a_segment_that_is_old_is_followed_by_the_next(tmp_path: Path) -> None:
    clock = ManualClock()
    with recorder.Tap(tmp_path, clock=clock, rotate_s=60) as tap:
        for wait in (0, 59_999_999_999, 60_000_000_000, 60_000_000_000):
            clock.advance(wait)
            read(tap, 1)
            tap.flush()

    assert [check.streams for check in checked(tmp_path)] == [3, 1]


@pytest.mark.parametrize("never", [{"rotate_s": None}, {"rotate_s": None, "rotate_bytes": None}])
def test_none_is_never(tmp_path: Path, never: dict[str, None]) -> None:
    clock = ManualClock()
    with recorder.Tap(tmp_path, clock=clock, **never) as tap:
        for _ in range(3):
            clock.advance(10**18)
            read(tap, 1)
            tap.flush()

    assert [check.streams for check in checked(tmp_path)] == [3]


def test_a_segment_of_the_middle_that_is_missing_is_told(tmp_path: Path) -> None:
    first, second, *rest = rotated(tmp_path)
    second.unlink()

    checks = verify([first, *rest])

    assert "which it goes on from, is not here" in str(checks[1].warnings[0])
    told = [str(problem) for check in checks for problem in check.problems]
    assert sum("comes next" in problem for problem in told) == 4


def test_the_first_segments_may_be_deleted_and_the_rest_is_sound(tmp_path: Path) -> None:
    first, *rest = rotated(tmp_path)
    first.unlink()

    checks = verify(rest)

    assert [len(check.problems) for check in checks] == [0] * len(rest)
    assert [len(check.warnings) for check in checks] == [1] + [0] * (len(rest) - 1)
    assert list(recorder.open(tmp_path).streams()) == []


@pytest.mark.parametrize("wrong", [{"rotate_bytes": 0}, {"rotate_bytes": -1}, {"rotate_s": 0}])
def test_a_limit_that_is_none_is_refused_when_made(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"rotate_\w+ is -?\d; it is more than 0, or None"):
        recorder.Tap(tmp_path, **wrong)


def test_a_compressed_recording_is_not_added_to(tmp_path: Path) -> None:
    with pytest.raises(recorder.RecordingError, match=r"cannot be added to; name a directory or a \*\.jsonl"):
        recorder.Tap(tmp_path / "one.jsonl.zst")

    assert list(tmp_path.iterdir()) == []


LIMITED = """
import os, resource, signal, sys
import recorder
from recorder.testing import ManualClock
from tests.tap.test_faults import read
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
clock = ManualClock()
tap = recorder.Tap(sys.argv[1], clock=clock)
read(tap, 5)
tap.flush()
[segment] = [entry.path for entry in os.scandir(sys.argv[1])]
size = os.stat(segment).st_size
"""
needs_limits = pytest.mark.skipif(sys.platform == "win32", reason="no limits on this platform")


@pytest.mark.slow
@needs_limits
def test_a_disk_without_room_for_the_footer_leaves_whole_lines(tmp_path: Path) -> None:
    done = python(LIMITED + "limit(size + 40)\ntap.close()\nassert tap.stats().errors == 1", tmp_path)

    assert (done.returncode, done.stderr.count("it has no footer")) == (0, 1), done.stderr
    [check] = checked(tmp_path)
    assert (check.sealed, check.events, check.warnings) == (False, 5, [])


@pytest.mark.slow
@needs_limits
def test_a_line_half_written_to_a_file_that_was_removed_is_whole_in_the_next(tmp_path: Path) -> None:
    program = """
limit(size + 40)
read(tap, 3)
assert not tap.flush(0.3)
assert os.stat(segment).st_size == size + 40
os.remove(segment)
clock.advance(10**9)
limit(resource.RLIM_INFINITY)
assert tap.flush()
tap.close()
"""
    done = python(LIMITED + program, tmp_path)

    assert done.returncode == 0, done.stderr
    [check] = checked(tmp_path)
    assert (check.sealed, check.events) == (True, 3)


@pytest.mark.slow
@needs_limits
def test_records_that_were_lost_leave_it_not_sealed(tmp_path: Path) -> None:
    done = python(LIMITED + "limit(size + 1000)\nread(tap, 50)\ntap.close()", tmp_path)

    assert "records lost" in done.stderr
    [check] = checked(tmp_path)
    assert not check.sealed
