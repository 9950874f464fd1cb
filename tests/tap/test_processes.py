"""One tap in many threads, tasks, forks and interpreters: each stream once, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

import recorder
from recorder.testing import Received, Reply, Upstream, message_events

ROOT = Path(__file__).parents[2]
EVENTS = 30
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc on this platform")


class Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        for n in range(EVENTS):
            time.sleep(0)
            yield b"data: %d\n\n" % n

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for n in range(EVENTS):
            await asyncio.sleep(0)
            yield b"data: %d\n\n" % n


class Server(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return self.handle_request(request)


def read(tap: recorder.Tap, names: list[str]) -> None:
    with httpx2.Client(transport=recorder.TapTransport(tap, Server())) as http:
        for name in names:
            with http.stream("POST", "http://x/", json={"name": name}) as response:
                assert sum(1 for _ in response.iter_raw()) == EVENTS


async def read_async(tap: recorder.Tap, names: list[str]) -> None:
    async with httpx2.AsyncClient(transport=recorder.TapTransport(tap, Server())) as http:

        async def one(name: str) -> None:
            async with http.stream("POST", "http://x/", json={"name": name}) as response:
                assert len([chunk async for chunk in response.aiter_raw()]) == EVENTS

        await asyncio.gather(*map(one, names))


def recorded(path: Path) -> Counter[str]:
    """How often each name was recorded; each whole, in order, and with its end."""
    recording = recorder.open(path)
    names: Counter[str] = Counter()
    for stream in recording.streams():
        assert stream.body() == b"".join(b"data: %d\n\n" % n for n in range(EVENTS))
        assert stream.end is not None
        names[stream.request.body["name"]] += 1
    assert recording.problems == []
    return names


def names(who: object, count: int) -> list[str]:
    return [f"{who}.{n}" for n in range(count)]


@needs_fork
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forks_under_load_record_each_stream_once_and_to_their_own_segments(tmp_path: Path) -> None:
    forked = threading.Event()
    asked: list[str] = []

    def go_on(thread: int) -> None:
        while not forked.is_set():
            mine = names(f"parent {thread} {len(asked)}", 3)
            asked.extend(mine)
            read(tap, mine)

    with recorder.Tap(tmp_path) as tap:
        with ThreadPoolExecutor(3) as pool:
            threads = [pool.submit(go_on, n) for n in range(3)]
            while not tap.stats().events:
                time.sleep(0.001)
            children = [_fork(tap, n) for n in range(6)]
            forked.set()
            [thread.result() for thread in threads]
        assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 6

    expected = Counter([*asked, *(name for n in range(6) for name in names(f"child {n}", 40))])
    assert recorded(tmp_path) == expected
    pids = {int(path.name.split("-")[1]) for path in tmp_path.iterdir()}
    assert pids == {os.getpid(), *children}


def _fork(tap: recorder.Tap, number: int) -> int:
    if (child := os.fork()) == 0:
        signal.alarm(30)
        status = 1
        try:
            read(tap, names(f"child {number}", 40))
            tap.close()
            status = 0
        finally:
            os._exit(status)
    return child


@needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("writer", ["thread", "process"])
def test_gunicorn_with_preload_records_the_master_and_each_worker(tmp_path: Path, writer: str) -> None:
    def echo(request: Received) -> Reply:
        return Reply.sse(message_events(request.json()["messages"][0]["content"]))

    with Upstream(echo) as upstream, socket.create_server(("127.0.0.1", 0)) as listening:
        environment = {**os.environ, "RECORDINGS": str(tmp_path), "UPSTREAM": upstream.url, "WRITER": writer}
        options = ["--preload", "--workers=2", f"--bind=fd://{listening.fileno()}", "--no-control-socket"]
        command = [sys.executable, "-m", "gunicorn", *options, "tests.tap.prefork:application"]
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, pass_fds=[listening.fileno()], stderr=subprocess.PIPE, text=True
        ) as server:
            with httpx2.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=30) as http:
                answers = [http.get(f"/{n}").text.split() for n in range(40)]
            server.terminate()
            _, log = server.communicate(timeout=30)

    assert [text for _, text in answers] == [f"/{n}" for n in range(40)], log
    asked: dict[str, set[str]] = {}
    for path in tmp_path.iterdir():
        for stream in recorder.open(path).streams():
            assert stream.end is not None
            assert stream.end.complete
            asked.setdefault(path.name.split("-")[1], set()).add(stream.request.body["messages"][0]["content"])
    workers = {pid: {text for other, text in answers if other == pid} for pid, _ in answers}
    assert asked == {**workers, str(server.pid): {"master"}}


def test_threads_and_tasks_share_taps_and_leave_no_thread_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    taps = [recorder.Tap(tmp_path / str(n)) for n in range(5)]

    def in_thread(number: int) -> None:
        for n, tap in enumerate(taps):
            if number % 8:
                read(tap, [f"{number} {n}"])
            else:
                asyncio.run(read_async(tap, names(f"{number} {n}", 5)))

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(in_thread, range(64)))
    for tap in taps:
        tap.close()

    for n in range(5):
        tasks = [name for number in range(0, 64, 8) for name in names(f"{number} {n}", 5)]
        assert recorded(tmp_path / str(n)) == Counter([*tasks, *(f"{m} {n}" for m in range(64) if m % 8)])
    assert set(threading.enumerate()) <= before
    assert sum(tap.stats().errors for tap in taps) == 0


@needs_proc
def test_an_open_tap_without_streams_wakes_nobody(tmp_path: Path) -> None:
    program = """
import re, sys, time
from pathlib import Path
import recorder
from tests.tap.test_processes import read
def switches():
    status = [path.read_text() for path in Path("/proc/self/task").glob("*/status")]
    return sum(int(n) for text in status for n in re.findall(r"voluntary_ctxt_switches:\\s+(\\d+)", text)), len(status)
tap = recorder.Tap(sys.argv[1])
read(tap, ["one"])
tap.flush()
time.sleep(0.1)
before, threads = switches()
time.sleep(1)
print(switches()[0] - before, threads)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True
    )

    switched, threads = map(int, done.stdout.split())
    assert threads == 2
    assert switched < 20, "a thread that polled would have woken 500 times"


def test_a_subinterpreter_is_told_that_it_cannot_record(tmp_path: Path) -> None:
    program = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
run = getattr(interpreters, "exec", None) or interpreters.run_string
failed = run(interpreters.create(), f'''
import recorder
recorder.Tap
recorder.Tap({sys.argv[1]!r})
''')
if failed:
    sys.exit(failed.formatted)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert done.returncode != 0
    said = done.stderr.strip().splitlines()[-1]
    assert "recorder.Tap cannot record in this subinterpreter" in said or (
        "subinterpreters"
        in said  # from Python 3.12 on msgspec, of which we are made, refuses to be imported there
    )
