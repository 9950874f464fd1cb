"""`Tap(writer="process")`: all that holds of a thread, and what only a process can do wrong.

The imported tests are those of their own files, run here with a process.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from msgspec.structs import replace

import recorder
from recorder.log.files import header_of
from recorder.log.items import Stats
from recorder.log.lock import is_live, is_sealed
from recorder.log.pipeline import Pipeline
from recorder.log.reader import find_segments
from recorder.testing import Received, Reply, Upstream, message_events
from tests.corpus import marker, streams
from tests.tap.ahead import ASK, until
from tests.tap.test_faults import (  # noqa: F401
    test_a_name_that_no_disk_takes_is_the_writers_trouble,
    test_the_queue_is_bounded_while_the_disk_takes_nothing_and_a_gap_says_what_is_missing,
)
from tests.tap.test_processes import (  # noqa: F401
    names,
    read,
    recorded,
    test_forks_under_load_record_each_stream_once_and_to_their_own_segments,
    test_threads_and_tasks_share_taps_and_leave_no_thread_behind,
)
from tests.tap.test_secrets import (  # noqa: F401
    _environment,
    log,
    test_a_key_that_comes_later_and_keys_of_other_clients_are_not_written,
    test_logins_in_urls_and_messages_are_not_written,
    test_no_secret_of_a_sync_client_is_written,
    test_no_secret_of_an_async_client_is_written,
)
from tests.tap.test_segments import (  # noqa: F401
    footer,
    test_a_child_neither_seals_nor_locks_the_segment_of_its_parent,
    test_a_child_seals_its_own,
    test_a_closed_tap_leaves_a_sealed_segment_that_says_what_it_did,
    test_a_tap_that_recorded_nothing_leaves_nothing,
    test_it_is_live_while_its_process_is_and_no_longer,
)

needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc on this platform")


@pytest.fixture(autouse=True)
def _in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults: Any = recorder.Tap.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "writer", "process")


def children() -> list[int]:
    """The processes that were started here, and have not ended."""
    listed = Path("/proc/self/task").glob("*/children")
    pids = [int(pid) for tasks in listed for pid in tasks.read_text().split()]
    return [pid for pid in pids if b"remote_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "recorder"]


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ({"keep": lambda _: True}, "keep"),
        ({"observe": print}, "observe"),
        ({"redact": ["$.metadata", lambda value: value]}, "a function in redact"),
        ({"clock": lambda: 0}, "a clock"),
        ({"wall_clock": lambda: 0}, "a clock"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_only_the_application_can_call_is_refused_when_made(
    tmp_path: Path, option: dict[str, Any], name: str
) -> None:
    with pytest.raises(ValueError, match=rf"cannot call {name} of this process; use writer='thread'"):
        recorder.Tap(tmp_path, **option)
    with pytest.raises(ValueError, match="writer is 'fork'; it is 'thread' or 'process'"):
        recorder.Tap(tmp_path, writer="fork")  # type: ignore[arg-type]


@marker
def test_the_records_are_those_that_a_thread_writes(tmp_path: Path) -> None:
    bodies = [one.body for one in streams()][::10]

    class Body(httpx2.SyncByteStream):
        def __init__(self, body: bytes) -> None:
            self.parts = [body[at : at + 97] for at in range(0, len(body), 97)]

        def __iter__(self) -> Iterator[bytes]:
            yield from self.parts

    class Server(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            body = Body(bodies[int(request.url.params["n"])])
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=body)

    lines: list[list[bytes]] = []
    for writer in ("thread", "process"):
        ids = map(str, count())
        tap = recorder.Tap(tmp_path / writer, writer=writer, tags={"who": "half \ud800"}, new_id=ids.__next__)
        with tap, httpx2.Client(transport=recorder.TapTransport(tap, Server())) as http:
            for n, body in enumerate(bodies):
                assert http.post(f"http://x/v1/messages?n={n}", json={"ask": 1}).content == body
        [segment] = find_segments(tmp_path / writer)
        timeless = re.sub(rb'"(at|wait|wall|mono)":\d+', rb'"\1":0', segment.read_bytes())
        timeless = re.sub(rb",\d+,\d+\](?=[],])", rb",0,0]", timeless)  # of chunks that an event was split over
        lines.append(timeless.splitlines()[1:-1])
    assert lines[1] == lines[0]
    assert len(lines[0]) > 1_000


@pytest.mark.parametrize("name", ["odd \udcff.jsonl", "directory"])
def test_a_path_may_be_any_that_the_file_system_takes(tmp_path: Path, name: str) -> None:
    with recorder.Tap(tmp_path / name) as tap:
        read(tap, ["one"])
    assert recorded(tmp_path / name) == {"one": 1}


def test_rules_and_the_capture_of_times_hold_there(tmp_path: Path) -> None:
    with (
        Upstream(lambda _: Reply.sse(message_events("4111 1111", " and no more"))) as upstream,
        recorder.Tap(tmp_path / "rules", redact=[re.compile("4111 ?1111", re.IGNORECASE), "$.metadata"]) as rules,
        recorder.Tap(tmp_path / "times", capture="timing") as times,
        anthropic.Anthropic(base_url=upstream.url, api_key="none") as client,
    ):
        for tap in (rules, times):
            stream = tap.wrap(client).messages.create(**ASK, metadata={"user_id": "the user"}, stream=True)
            assert sum(1 for _ in stream) == 7

    [ruled] = recorder.open(tmp_path / "rules").streams()
    assert ruled.request.redacted == ("$.metadata",)
    assert [event.redacted for event in ruled.events if event.redacted] == [("pattern 1",)]
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*.jsonl"))
    assert not re.search(b"4111|the user", kept)
    [timed] = recorder.open(tmp_path / "times").streams()
    assert (timed.timing().outcome, timed.events[2].chars) == ("complete", 9)
    assert b"no more" not in (tmp_path / "times" / find_segments(tmp_path / "times")[0].name).read_bytes()


@pytest.mark.parametrize("writer", ["thread", "process"])
def test_more_keys_at_once_than_are_remembered_are_all_removed(
    tmp_path: Path, writer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred calls, each with a key of its own that the server repeats, while the writer does not look."""
    monkeypatch.setattr("recorder.log.writer.POLL_S", 3.0)
    keys = [f"key-of-tenant-{n:04}" for n in range(100)]

    def echo(request: Received) -> Reply:
        return Reply.sse([{"type": "echo", "of": request.json()["key"]}])

    with Upstream(echo) as upstream, recorder.Tap(tmp_path, writer=writer) as tap:
        with httpx2.Client(transport=recorder.TapTransport(tap)) as http:
            for key in keys:
                assert key in http.post(upstream.url, headers={"x-api-key": key}, json={"key": key}).text
        assert tap.stats().streams == 0, "the writer has looked: this shows nothing"
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert len(list(recorder.open(tmp_path).streams())) == 100
    assert b"key-of-tenant" not in kept


@needs_proc
def test_it_starts_with_the_first_stream_and_ends_with_the_tap(tmp_path: Path) -> None:
    before = set(children())
    with recorder.Tap(tmp_path) as tap:
        assert set(children()) == before
        read(tap, names("a", 3))
        tap.flush()
        [child] = set(children()) - before
        assert os.fsencode(tmp_path) in Path(f"/proc/{child}/cmdline").read_bytes()
        assert os.getsid(child) != os.getsid(0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(child, number)
        read(tap, names("b", 3))
    assert set(children()) == before
    assert recorded(tmp_path) == dict.fromkeys((*names("a", 3), *names("b", 3)), 1)
    [segment] = find_segments(tmp_path)
    assert header_of(segment).pid == os.getpid()


@needs_proc
def test_one_that_is_killed_costs_its_open_streams_and_another_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recorder.log.writer.RETRY_S", 0.02)
    parts = [b"data: %d\n\n" % n for n in range(400)]
    before = set(children())

    class Body(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for n, part in enumerate(parts):
                if n == 200:
                    tap.flush()
                    [child] = set(children()) - before
                    os.kill(child, signal.SIGKILL)
                yield part

    class Server(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())

    with recorder.Tap(tmp_path) as tap:
        with httpx2.Client(transport=recorder.TapTransport(tap, Server())) as http:
            assert http.post("http://x/", json={"name": "cut"}).content == b"".join(parts)
        until(lambda: tap.flush() and set(children()) - before, "no other was started")
        read(tap, names("after", 3))
    stats = tap.stats()

    recording = recorder.open(tmp_path)
    streams = {stream.request.body["name"]: stream for stream in recording.streams()}
    cut = streams.pop("cut")
    assert (cut.end, cut.body()) == (None, b"".join(parts[:200]))
    assert streams.keys() == set(names("after", 3))
    assert all(stream.end for stream in streams.values())
    assert recording.problems == []
    assert (stats.dropped_chunks, stats.dropped_bytes) == (200, len(b"".join(parts[200:])))
    assert (stats.streams, stats.events, stats.errors) == (4, 200 + 3 * 30, 1)
    assert said(caplog) == [
        f"recorder: {tmp_path}: the writer's process ended; another is started: exit status -9"
    ]
    last = footer(max(find_segments(tmp_path), key=lambda path: path.stat().st_mtime_ns)).stats
    assert last is not None
    assert last["dropped_chunks"] == 200


@pytest.mark.parametrize("flushed", [True, False], ids=["flushed", "closed at once"])
@pytest.mark.parametrize("program", ["/bin/false", "/no/such/program", ""])
def test_where_none_can_be_started_a_thread_writes_and_that_is_logged(
    tmp_path: Path, program: str, flushed: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if program == "/bin/false" and not Path(program).exists():
        pytest.skip("no /bin/false on this platform")
    monkeypatch.setattr(sys, "executable", program)
    monkeypatch.setenv("PATH", str(tmp_path))
    path, asked = tmp_path / "recordings", names("a", 20)
    with recorder.Tap(path) as tap:
        read(tap, asked)
        if flushed:
            assert tap.flush()
            read(tap, more := names("b", 20))
            asked += more
    assert recorded(path) == dict.fromkeys(asked, 1)
    [line] = said(caplog)
    assert line.startswith(f"recorder: {path}: cannot start a process to write; a thread does instead: ")
    assert (tap.stats().errors, tap.stats().events, tap.stats().dropped_chunks) == (1, len(asked) * 30, 0)
    [segment] = find_segments(path)
    assert is_sealed(segment)


@pytest.mark.parametrize("mark", ["frozen", "RECORDER_WRITER"])
def test_an_application_is_not_started_a_second_time(
    tmp_path: Path, mark: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where `sys.executable` is the application, or a server that embeds Python, and no interpreter."""
    if mark == "frozen":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    else:
        monkeypatch.setenv(mark, "1")
    with recorder.Tap(tmp_path) as tap:
        read(tap, ["one"])
    assert recorded(tmp_path) == {"one": 1}
    assert [line.rpartition(": ")[2] for line in said(caplog)] == ["this Python cannot be started by itself"]


def test_one_of_another_version_does_not_write(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the package was replaced on the disk while the application ran: here on its restart."""
    monkeypatch.setattr("recorder.log.writer.RETRY_S", 0.02)
    with recorder.Tap(tmp_path) as tap:
        read(tap, ["before"])
        assert tap.flush()
        monkeypatch.setattr(
            tap._writer._pipeline, "_setup", replace(tap._writer._pipeline._setup, version="0.0.0")
        )
        tap._writer._pipeline._process._child.kill()
        read(tap, ["lost"])
        until(lambda: type(tap._writer._pipeline) is Pipeline, "the process of another version is asked")
        read(tap, ["after"])
    assert recorded(tmp_path) == {"before": 1, "after": 1}
    assert [line.partition(": ")[2].partition(": ")[2] for line in said(caplog)] == [
        "the writer's process ended; another is started: exit status -9",
        "cannot start a process to write; a thread does instead: exit status 1",
    ]
    assert tap.stats().dropped_chunks == 30


def test_what_was_given_to_it_is_written_though_the_application_is_killed_at_once(tmp_path: Path) -> None:
    """Within the time that a process needs to start: it is all in the pipe."""
    program = """
import os, signal, sys, time
import recorder
from tests.tap.test_processes import read
tap = recorder.Tap(sys.argv[1], writer="process")
read(tap, ["one", "two"])
while tap._writer.queue.items:
    time.sleep(0.001)
print(tap.stats().events, flush=True)
time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""
    for turn in range(10):
        path = tmp_path / str(turn)
        done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (-signal.SIGKILL, "")
        wait_for_segment(path)
        assert recorded(path) == {"one": 1, "two": 1}
        if int(done.stdout) == 0:  # or it had started already, which shows nothing
            return
    pytest.fail("it had started each time")


def wait_for_segment(directory: Path) -> None:
    """Until there is one, and its writer has ended."""
    until(lambda: any(path.stat().st_size for path in directory.glob("*.jsonl")), "not written")
    [segment] = directory.glob("*.jsonl")
    until(lambda: not is_live(segment), "it has not ended")


def test_what_its_disk_does_not_take_is_offered_again_when_the_application_is_gone(tmp_path: Path) -> None:
    program = """
import os, sys
import recorder
from tests.tap.test_processes import read
tap = recorder.Tap(sys.argv[1], writer="process")
read(tap, ["one"])
tap.flush(1)
os._exit(0)
"""
    (tmp_path / "file").write_text("in the way")
    subprocess.run([sys.executable, "-c", program, tmp_path / "file" / "recordings"], check=True)
    (tmp_path / "file").unlink()
    wait_for_segment(tmp_path / "file" / "recordings")
    assert recorded(tmp_path / "file" / "recordings") == {"one": 1}


@needs_proc
def test_it_does_not_wait_for_ever_for_a_disk_that_blocks(tmp_path: Path) -> None:
    program = """
import os, sys
from msgspec.structs import replace
import recorder
from tests.tap.test_processes import names, read
tap = recorder.Tap(sys.argv[1], writer="process")
pipeline = tap._writer._pipeline
pipeline._setup = replace(pipeline._setup, outlives_s=1)
read(tap, names("more than a pipe holds", 60))
assert not tap.flush(1)
print(pipeline._process._child.pid, flush=True)
os._exit(0)
"""
    os.mkfifo(path := tmp_path / "nobody reads.jsonl")
    command = [sys.executable, "-c", program, path]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    writer = Path("/proc") / done.stdout.strip()
    assert os.fsencode(path) in (writer / "cmdline").read_bytes(), "it does not wait: this shows nothing"
    until(lambda: not writer.exists(), "it waits for ever")


def test_its_counts_and_its_cpu_are_in_the_stats(tmp_path: Path) -> None:
    with recorder.Tap(tmp_path) as tap:
        read(tap, names("a", 5))
        assert tap.flush()
        stats = tap.stats()
        [segment] = find_segments(tmp_path)
        assert (stats.streams, stats.events, stats.lines) == (5, 150, 165)
        assert stats.written_bytes > 0
        here, there = tap._writer.stats, tap._writer._pipeline.told
        assert stats == Stats(without_phases=5, queue_high_water=here.queue_high_water) + Stats(
            streams=5, events=150, lines=165, written_bytes=there.written_bytes,
            writer_cpu_ns=here.writer_cpu_ns + there.writer_cpu_ns,
        )  # fmt: skip
        assert there.writer_cpu_ns > 0 < here.writer_cpu_ns
    assert segment.stat().st_size > stats.written_bytes
