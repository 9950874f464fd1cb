"""What must not happen when things go wrong: harm to the application, and records lost without a word."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

import recorder
from recorder.core.records import Bytes, Gap
from recorder.log.streams import Stream
from recorder.tap.body import SyncBody
from recorder.tap.watch import Watch
from recorder.testing import ManualClock, Reply, Upstream, message_events

ASK: dict[str, Any] = {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}


class Chunks(httpx2.SyncByteStream):
    def __init__(self, chunks: Iterator[Any]) -> None:
        self.chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks


class Server(httpx2.BaseTransport):
    def __init__(self, count: int, chunk: Any = b"data: 1\n\n") -> None:
        self.count, self.chunk = count, chunk

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        body = Chunks(self.chunk for _ in range(self.count))
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=body)


def read(tap: recorder.Tap, count: int, chunk: Any = b"data: 1\n\n") -> int:
    with httpx2.Client(transport=recorder.TapTransport(tap, Server(count, chunk))) as http:
        with http.stream("POST", "http://x/", json={}) as response:
            return sum(1 for _ in response.iter_raw())


def recorded(path: Path) -> list[Stream]:
    return sorted(recorder.open(path).streams(), key=lambda stream: stream.request.mono)


def blocked(tmp_path: Path) -> Path:
    """A directory that cannot be made before `blocked.unlink()`."""
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    return in_the_way


def test_the_queue_is_bounded_while_the_disk_takes_nothing_and_a_gap_says_what_is_missing(tmp_path: Path) -> None:
    in_the_way = blocked(tmp_path)
    with recorder.Tap(in_the_way / "recordings", queue_bytes=512 * 100) as tap:
        assert read(tap, 20_000) == 20_000
        assert len(tap._writer.queue.items) < 110
        dropped = tap.stats().dropped_chunks
        assert dropped > 19_000
        in_the_way.unlink()
        assert tap.flush()

    [stream] = recorded(tmp_path)
    gaps = [record for record in stream.records if isinstance(record, Gap)]
    assert sum(gap.chunks for gap in gaps) == dropped
    assert len(gaps) < 10
    rest = [
        record for record in stream.records if isinstance(record, Bytes)
    ]  # what follows a gap may be half of one
    assert len(rest) <= len(gaps)
    assert len(stream.events) + len(rest) + dropped == 20_000


def test_a_closed_tap_keeps_nothing_of_streams_that_go_on(tmp_path: Path) -> None:
    tap = recorder.Tap(tmp_path)
    with httpx2.Client(transport=recorder.TapTransport(tap, Server(20_000))) as http:
        with http.stream("POST", "http://x/") as response:
            tap.close()
            assert sum(1 for _ in response.iter_raw()) == 20_000

    assert len(tap._writer.queue.items) == 0
    assert tap.stats().dropped_chunks == 0


def test_a_removed_directory_is_noticed_and_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "recordings"
    clock = ManualClock()
    with recorder.Tap(path, clock=clock) as tap:
        read(tap, 3)
        tap.flush()
        shutil.rmtree(path)
        clock.advance(1_000_000_000)
        read(tap, 4)

    assert [len(stream.events) for stream in recorded(path)] == [4]
    assert "was removed" in caplog.text


@pytest.mark.slow
def test_a_full_disk_leaves_no_empty_files_and_one_message(tmp_path: Path) -> None:
    program = """
import resource, sys, signal, logging
import recorder
from tests.tap.test_faults import read
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
tap = recorder.Tap(sys.argv[1])
assert read(tap, 500) == 500
assert not tap.flush(0.3)
assert tap.stats().errors < 5, tap.stats()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert tap.flush()
tap.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("cannot write") == 1
    assert len(list(tmp_path.iterdir())) == 1
    assert [len(stream.events) for stream in recorded(tmp_path)] == [500]


def test_a_thread_that_cannot_start_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def no_more(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with recorder.Tap(tmp_path) as tap:
        monkeypatch.setattr(threading.Thread, "start", no_more)
        assert read(tap, 3) == 3
        monkeypatch.setattr(threading.Thread, "start", start)
        assert read(tap, 4) == 4

    assert [len(stream.events) for stream in recorded(tmp_path)] == [3, 4]


@pytest.mark.parametrize("seam", ["middleware", "transport"])
def test_no_exception_of_ours_reaches_the_application(
    tmp_path: Path, seam: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> str:
        raise ZeroDivisionError("a bug of ours")

    reply = Reply.sse(message_events("a"))
    with Upstream(lambda _: reply) as upstream, recorder.Tap(tmp_path, new_id=broken) as tap:
        options: dict[str, Any] = {"base_url": upstream.url, "api_key": "k"}
        if seam == "transport":
            options["http_client"] = anthropic.DefaultHttpxClient(transport=recorder.TapTransport(tap))
        with anthropic.Anthropic(**options) as plain:
            client = plain if seam == "transport" else tap.wrap(plain)
            with pytest.raises((ZeroDivisionError, anthropic.APIConnectionError)):  # under pytest our bugs raise
                [*client.messages.create(**ASK, stream=True)]
            monkeypatch.delenv("PYTEST_CURRENT_TEST")
            assert len([*client.messages.create(**ASK, stream=True)]) == 6

    assert "internal error" in caplog.text


@pytest.mark.parametrize("seam", ["middleware", "transport"])
def test_a_response_that_cannot_be_read_reaches_the_application(
    tmp_path: Path, seam: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(
                200, json={"data": [], "has_more": False}, extensions={"http_version": "no bytes"}
            )

    with recorder.Tap(tmp_path) as tap:
        transport = recorder.TapTransport(tap, Odd()) if seam == "transport" else Odd()
        with httpx2.Client(transport=transport) as http:
            monkeypatch.delenv("PYTEST_CURRENT_TEST")
            if seam == "transport":
                request = http.build_request("GET", "http://x/")
                assert transport.handle_request(request).json()["data"] == []
            else:
                response = httpx2.Response(200, json={"data": []})  # without a request: another middleware's own
                tap._watch(type("Answer", (), {"http_response": response})(), _watch_of(tap), SyncBody)
                assert response.json() == {"data": []}

    [stream] = recorded(tmp_path)
    assert stream.end is not None
    assert stream.end.end == "closed"
    assert "internal error" in caplog.text


def _watch_of(tap: recorder.Tap) -> Watch:
    watch = tap.begin(method="GET", url="/", headers=[], body=b"", call=None, attempt=0)
    assert watch is not None
    return watch


def test_strings_that_are_no_strings_cost_no_record(tmp_path: Path) -> None:
    reply = Reply.sse(message_events("a", model="claude\ud800".encode("utf-8", "replace").decode()))
    with Upstream(lambda _: reply) as upstream, recorder.Tap(tmp_path, tags={"port": 80, "arg": "a\udcff"}) as tap:  # type: ignore[dict-item]
        with anthropic.Anthropic(base_url=upstream.url, api_key="k") as client:
            [*tap.wrap(client).messages.create(**ASK, stream=True)]

    [stream] = recorded(tmp_path)
    assert stream.request.tags == {"port": "80", "arg": "a\\udcff"}


def test_an_id_with_half_a_pair_costs_no_end(tmp_path: Path) -> None:
    body = b'event: message_start\ndata: {"type":"message_start","message":{"id":"m\\ud800","usage":{"a\\ud800":1}}}\n\n'
    with recorder.Tap(tmp_path) as tap:
        read(tap, 1, body)

    [stream] = recorded(tmp_path)
    assert stream.end is not None
    assert stream.end.summary is not None
    assert stream.end.summary.id == "m\\ud800"
    assert stream.body() == body


def test_a_key_in_a_tag_or_a_header_stays_out(tmp_path: Path) -> None:
    key = "sk-ant-api03-abcdefghijkl"
    with recorder.Tap(tmp_path, tags={"who": key}) as tap:
        with httpx2.Client(transport=recorder.TapTransport(tap, Server(1))) as http:
            http.get(f"http://x/{key}", headers={"user-agent": f"me {key}"})

    assert key.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert len(recorded(tmp_path)) == 1


def test_a_transport_that_yields_bytearrays_is_recorded(tmp_path: Path) -> None:
    with recorder.Tap(tmp_path, queue_bytes=1 << 20) as tap:
        read(tap, 50, bytearray(b"data: " + b"x" * 2000 + b"\n\n"))
        tap.flush()
        assert len(tap._writer.queue._extra) == 0

    assert [len(stream.events) for stream in recorded(tmp_path)] == [50]


def test_wrapping_twice_records_once(tmp_path: Path) -> None:
    reply = Reply.sse(message_events("a"))
    with Upstream(lambda _: reply) as upstream, recorder.Tap(tmp_path) as tap:
        with anthropic.Anthropic(base_url=upstream.url, api_key="k") as client:
            [*tap.wrap(tap.wrap(client)).messages.create(**ASK, stream=True)]

    assert len(recorded(tmp_path)) == 1


def test_a_relative_path_is_the_one_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with recorder.Tap("recordings") as tap:
        monkeypatch.chdir(tmp_path / "elsewhere")
        read(tap, 1)

    assert len(recorded(tmp_path / "recordings")) == 1


def test_a_name_that_no_disk_takes_is_the_writers_trouble(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "recorder"):
        for name in ("a" * 300 + ".jsonl", "a\0b"):
            tap = recorder.Tap(tmp_path / name)
            assert read(tap, 3) == 3
            tap.close()
            assert tap.stats().lost_records > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_stream_that_is_open_at_a_fork_stays_the_parents(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    tap = recorder.Tap(path)
    with httpx2.Client(transport=recorder.TapTransport(tap, Server(10))) as http:
        with http.stream("POST", "http://x/") as response:
            chunks = response.iter_raw()
            next(chunks)
            tap.flush()
            if (child := os.fork()) == 0:
                try:
                    chunks.close()
                    read(tap, 2)
                    tap.close()
                finally:
                    os._exit(0)
            os.waitpid(child, 0)
            assert sum(1 for _ in chunks) == 9
    tap.close()

    assert [len(stream.events) for stream in recorded(path)] == [10]
    [childs] = [other for other in tmp_path.iterdir() if other != path]
    recording = recorder.open(childs)
    assert [len(stream.events) for stream in recording.streams()] == [2]
    assert recording.problems == []
