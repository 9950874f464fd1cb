"""The record proxy where a client leaves, an upstream dies, or recording fails: each is told as it is."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic, APIStatusError

from recorder.server.journal import Streams
from recorder.server.proxy import Proxy, ProxyTap
from recorder.server.upstream import Pool, origin_of
from recorder.tap.watch import Watch
from recorder.testing import Reply, Upstream
from tests.server.running import (
    ASK,
    GET,
    HELLO,
    KEY,
    OK,
    RawUpstream,
    chunk,
    connected,
    head_of,
    proxied,
    running,
    streams_in,
)


def test_a_client_that_hangs_up_closes_the_upstream_within_50_ms(tmp_path: Path) -> None:
    closed: list[float] = []
    open_ = threading.Semaphore(0)

    def answer(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(OK + chunk(b"data: 1\n\n"))
        open_.release()
        with contextlib.suppress(ConnectionResetError):
            connection.recv(1)
        closed.append(time.perf_counter())

    took: list[float] = []
    with RawUpstream(answer) as upstream, proxied(tmp_path, upstream.url) as (proxy, _):
        for n in range(20):
            client = connected(proxy.port)
            client.sendall(GET)
            head_of(client)
            assert open_.acquire(timeout=30)
            left = time.perf_counter()
            client.close()
            deadline = time.monotonic() + 30
            while len(closed) <= n and time.monotonic() < deadline:
                time.sleep(0.001)
            took.append(closed[n] - left)
    assert sorted(took)[len(took) // 2] < 0.05  # a machine that others use may be late now and then
    assert {stream.end and stream.end.end for stream in streams_in(tmp_path)} == {"closed"}


def test_a_client_that_leaves_before_the_headers_closes_the_upstream(tmp_path: Path) -> None:
    asked_, closed = threading.Event(), threading.Event()

    def answer(connection: socket.socket) -> None:
        head_of(connection)
        asked_.set()
        with contextlib.suppress(ConnectionResetError):
            connection.recv(1)
        closed.set()

    with RawUpstream(answer) as upstream, proxied(tmp_path, upstream.url) as (proxy, _):
        with connected(proxy.port) as client:
            client.sendall(GET)
            assert asked_.wait(30)
        assert closed.wait(30)
    [stream] = streams_in(tmp_path)
    assert stream.end is not None
    assert stream.end.end == "closed"


def _fin(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def _reset(connection: socket.socket) -> None:
    time.sleep(0.05)  # what a reset overtakes is lost, with or without a proxy
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _garbage(connection: socket.socket) -> None:
    connection.sendall(b"not a chunk\r\n")


SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
BROKEN: dict[str, tuple[bytes, Callable[[socket.socket], None]]] = {
    "before the response": (b"", _fin),
    "reset before the response": (b"", _reset),
    "in the headers": (SSE, _fin),
    "in a chunked body": (OK + chunk(b"event: ping\ndata: {}\n\n"), _fin),
    "in a chunk": (OK + b"40\r\nevent: ping\n", _fin),
    "reset in a body": (OK + chunk(b"event: ping\ndata: {}\n\n"), _reset),
    "short of its length": (SSE + b"Content-Length: 100\r\n\r\nevent: ping\n", _fin),
    "garbage for a chunk": (OK + chunk(b"event: ping\ndata: {}\n\n"), _garbage),
}


@pytest.mark.parametrize("how", BROKEN)
def test_an_upstream_that_dies_dies_the_same_way_for_the_client(tmp_path: Path, how: str) -> None:
    begin, end = BROKEN[how]

    def answer(connection: socket.socket) -> None:
        data = head_of(connection)
        length = next(
            int(line[15:]) for line in data.lower().split(b"\r\n") if line.startswith(b"content-length:")
        )
        while length:
            length -= len(connection.recv(length))
        if begin:
            connection.sendall(begin)
        end(connection)

    def seen(url: str) -> tuple[type[BaseException], bytes]:
        got = b""
        try:
            with httpx2.stream("POST", f"{url}/v1/messages", json=ASK) as response:
                for part in response.iter_raw():
                    got += part
        except httpx2.TransportError as error:
            return type(error), got
        pytest.fail(f"no exception: {got!r}")

    with RawUpstream(answer) as upstream, proxied(tmp_path, upstream.url) as (proxy, _):
        direct, through = seen(upstream.url), seen(proxy.url)
    assert through == direct
    [stream] = streams_in(tmp_path)
    assert stream.end is not None
    assert stream.end.end == "failed"
    assert stream.end.error is not None
    assert stream.end.error.type == f"httpx2.{direct[0].__name__}"
    assert stream.timing().outcome == ("failed" if b"\r\n\r\n" in begin else "connect_failed")


def test_an_upstream_that_is_not_there_is_told_with_a_status(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    with proxied(tmp_path, url) as (proxy, _):
        with pytest.raises(APIStatusError, match="the upstream cannot be reached: .*refused") as caught:
            Anthropic(base_url=proxy.url, api_key=KEY, max_retries=0).messages.create(**ASK)
    assert caught.value.status_code == 502
    [stream] = streams_in(tmp_path)
    assert stream.timing().outcome == "connect_failed"


def test_a_client_that_reads_slowly_slows_the_upstream(tmp_path: Path) -> None:
    size, piece = 64 << 20, 1 << 16
    sent = 0

    def answer(connection: socket.socket) -> None:
        nonlocal sent
        head_of(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while sent < size:
            sent += connection.send(b"x" * min(piece, size - sent))

    with RawUpstream(answer) as upstream, proxied(tmp_path, upstream.url, capture="timing") as (proxy, _):
        with connected(proxy.port) as client:
            client.sendall(GET)
            head_of(client)
            before = -1
            while sent != before:  # until it can send no more
                before = sent
                time.sleep(0.2)
            assert sent < size // 2
            left = size
            while left:
                left -= len(client.recv(1 << 20))
    assert sent == size


@pytest.mark.parametrize("trouble", ["a directory that cannot be written", "a full queue"])
def test_what_cannot_be_recorded_is_passed_on_all_the_same(tmp_path: Path, trouble: str) -> None:
    path, options = tmp_path / "in", {}
    if trouble == "a full queue":
        options = {"queue_bytes": 1}
    else:
        path.write_text("a file, where the directory should be")
        path = path / "below"
    with (
        Upstream(lambda _: Reply.sse(HELLO)) as upstream,
        proxied(path, upstream.url, **options) as (proxy, recording),
    ):
        for _ in range(3):
            with Anthropic(base_url=proxy.url, api_key=KEY).messages.stream(**ASK) as stream:
                assert stream.get_final_text() == "Hello there!"
        stats = recording.tap.stats()
    assert stats.errors or stats.dropped_chunks or stats.dropped_streams


def test_a_bug_of_ours_in_recording_costs_the_records_of_that_stream_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(ProxyTap):
        def begin(self, **given: Any) -> Watch | None:
            watch = super().begin(**given)
            if watch is not None and b"first" in given["body"]:
                watch._writer = watch._queue = watch.put = None
            return watch

    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    with Upstream(lambda _: Reply.sse(HELLO)) as upstream:
        tap = Failing(tmp_path)
        with running(Proxy(tap, Pool(origin_of(upstream.url)), Streams())) as proxy:
            for which in ("first", "second"):
                client = Anthropic(base_url=proxy.url, api_key=KEY)
                with client.messages.stream(**ASK, system=which) as stream:
                    assert stream.get_final_text() == "Hello there!"
    assert "one stream is not recorded" in caplog.text
    assert [stream.request.body["system"] for stream in streams_in(tmp_path) if stream.end] == ["second"]
