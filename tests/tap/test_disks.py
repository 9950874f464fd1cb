"""Disks that fail and disks that block: they cost records, which are counted, and never the stream or its time."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anthropic  # all of it, before the rights are given up by which it can be read
import httpx2
import pytest

import recorder
from recorder.core.records import Gap
from recorder.log.streams import Stream

from . import disks

PARTS = [b"data: %06d\n\n" % n for n in range(5_000)]
QUEUE = 512 * 200
LIMIT_NS = 500_000_000
"""Of the time that one chunk may take through the tap: far more than a loaded machine needs, far less than a
disk that does not answer."""


class Body(httpx2.SyncByteStream):
    given = 0

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = parts

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts:
            self.given = time.perf_counter_ns()
            yield part


class Server(httpx2.BaseTransport):
    def __init__(self, body: Body) -> None:
        self.body = body

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=self.body)


def read(tap: recorder.Tap, parts: list[bytes]) -> None:
    """Read a stream; what comes out is what was put in, chunk for chunk, and none of it was held up."""
    body = Body(parts)
    with httpx2.Client(transport=recorder.TapTransport(tap, Server(body))) as http:
        with http.stream("POST", "http://x/", json={}) as response:
            came, slowest = [], 0
            for chunk in response.iter_raw():
                slowest = max(slowest, time.perf_counter_ns() - body.given)
                came.append(chunk)
    assert came == parts
    assert slowest < LIMIT_NS


def recorded(path: Path) -> list[Stream]:
    recording = recorder.open(path)
    streams = sorted(recording.streams(), key=lambda stream: stream.request.mono)
    assert recording.problems == []
    return streams


def gaps(stream: Stream) -> int:
    return sum(record.chunks for record in stream.records if isinstance(record, Gap))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorder.log.writer.RETRY_S", 0.02)
    monkeypatch.setattr("recorder.log.sink.LOOK_NS", 20_000_000)


DISKS = [(fault, writer) for fault in (*disks.FAILING, disks.blocked) for writer in ("thread", "process")]
DISKS.remove((disks.file_size_limit, "process"))  # a limit that was inherited is not lifted from here


@pytest.mark.parametrize(("fault", "writer"), DISKS, ids=lambda one: one if isinstance(one, str) else one.__name__)
def test_a_bad_disk_costs_records_that_are_counted_until_it_is_good_again(
    tmp_path: Path, fault: type, writer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "disk"
    directory.mkdir()
    with fault(directory) as (path, repair, kept):
        with recorder.Tap(path, queue_bytes=QUEUE, writer=writer) as tap:
            read(tap, PARTS)
            while tap.flush(0.05 if writer == "thread" else 1):  # until the disk takes nothing more
                read(tap, PARTS)
            read(tap, PARTS)
            dropped = tap.stats().dropped_chunks
            repair()
            assert tap.flush()
            read(tap, PARTS[:100])
        stats = tap.stats()

        *during, after = recorded(kept())
        assert after.body() == b"".join(PARTS[:100])
        assert sum(map(gaps, during)) == dropped == stats.dropped_chunks > 0
        kept_chunks = sum(len(stream.body()) for stream in during) // len(PARTS[0])
        assert kept_chunks + dropped == len(PARTS) * len(during)
        for stream in (*during, after):
            assert [record.seq for record in stream.records] == list(range(len(stream.records)))
        assert (stats.lost_records, stats.queue_high_water <= QUEUE // 512 + 10) == (0, True)
        assert stats.written_bytes > stats.lines * 50
        assert (stats.errors > 0) == (fault is not disks.blocked)
    said = [record.getMessage() for record in caplog.records if record.name == "recorder"]
    assert sum("cannot write" in line for line in said) == (fault is not disks.blocked)
    assert len(said) <= 2 + (writer == "process")  # where who has no rights cannot start one
    assert said[-1].startswith(f"recorder: {path}: ")
    assert not any(record.exc_info for record in caplog.records)


def test_closing_while_the_disk_blocks_waits_a_bounded_time_and_says_what_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recorder.log.writer.CLOSE_S", 0.1)
    with disks.blocked(tmp_path) as (path, _, kept):
        tap = recorder.Tap(path)
        read(tap, PARTS)
        _wait_for(lambda: tap._writer._pipeline.left > 0)
        start = time.monotonic()
        tap.close()
        assert time.monotonic() - start < 2

        read(tap, PARTS[:100])
    assert tap.stats().lost_records > 0
    assert "closed while the disk takes nothing" in caplog.text
    assert kept().stat().st_size > 0


@pytest.mark.parametrize("seam", ["middleware", "transport"])
def test_a_response_that_is_dropped_is_gone_at_once_though_its_records_wait(tmp_path: Path, seam: str) -> None:
    with disks.blocked(tmp_path) as (path, repair, _), recorder.Tap(path) as tap:
        read(tap, PARTS)
        _wait_for(lambda: tap._writer._pipeline.left > 0)
        server: httpx2.BaseTransport = Server(Body([b"data: {}\n\n"]))
        transport = recorder.TapTransport(tap, server) if seam == "transport" else server
        with anthropic.Anthropic(api_key="none", http_client=httpx2.Client(transport=transport)) as client:
            tapped = client if seam == "transport" else tap.wrap(client)
            ask = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
            stream = tapped.messages.create(**ask, stream=True)
            response = weakref.ref(stream.response)
            del stream
            gc.collect()
            assert response() is None
        repair()


@pytest.mark.slow
def test_a_process_ends_though_its_disk_blocks(tmp_path: Path) -> None:
    program = """
import sys, time
from contextlib import suppress
from pathlib import Path
import recorder
from tests.tap.test_disks import PARTS, read
read(recorder.Tap(sys.argv[1]), PARTS)
print(time.time(), flush=True)
"""
    with disks.blocked(tmp_path) as (path, _, _):
        done = subprocess.run(
            [sys.executable, "-c", program, path], capture_output=True, text=True, timeout=60, cwd=Path.cwd()
        )
        ended = time.time()

    assert done.returncode == 0, done.stderr
    assert ended - float(done.stdout) < 10
    assert done.stderr.count("\n") == 1
    assert "closed while the disk takes nothing" in done.stderr


def test_a_sync_that_fails_is_not_trusted_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be synced (a pipe, EINVAL) is let go, and begun again with a header."""
    path = tmp_path / "pipe.jsonl"
    os.mkfifo(path)
    came = bytearray()
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        with recorder.Tap(path, durability="fsync") as tap:
            for _ in range(3):
                read(tap, PARTS[:5])
                _wait_for(lambda: not tap._writer.queue.items and not tap._writer._busy)
                with suppress(BlockingIOError):
                    came += os.read(fd, 1 << 20)
    finally:
        os.close(fd)

    kinds = [json.loads(line)["kind"] for line in came.splitlines()]
    assert kinds.count("header") >= 3
    assert kinds.count("event") == 15
    assert kinds.count("end") == 3
    assert tap.stats().errors >= 3
    assert "cannot write" in caplog.text


def test_a_vanished_mount_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = tmp_path / "disk"
    directory.mkdir()
    with disks.full_mount(directory) as (path, _, _):
        with recorder.Tap(path) as tap:
            read(tap, PARTS[:20])
            assert tap.flush()
            subprocess.run(["umount", "-l", directory], check=True)
            time.sleep(0.05)  # the writer looks again after RETRY_S, by its own clock
            read(tap, PARTS[:30])

    assert [len(stream.events) for stream in recorded(path)] == [30]
    assert "was removed" in caplog.text


def test_a_disk_that_takes_nothing_leaks_no_descriptor(tmp_path: Path) -> None:
    opened = Path("/proc/self/fd")
    if not opened.exists():
        pytest.skip("no /proc on this platform")
    with disks.io_error(tmp_path) as (path, repair, _), recorder.Tap(path) as tap:
        read(tap, PARTS[:3])
        _wait_for(lambda: tap.stats().errors >= 2)
        before = sum(1 for _ in opened.iterdir())
        _wait_for(lambda: tap.stats().errors >= 10)
        assert sum(1 for _ in opened.iterdir()) <= before + 1
        repair()


def _wait_for(true: object) -> None:
    deadline = time.monotonic() + 10
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)
