"""The record proxy is transparent, and what it records is what went through it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme
from anthropic import Anthropic, APIStatusError, AsyncAnthropic

import recorder
from recorder import Stream
from recorder.server.journal import Streams
from recorder.server.proxy import Proxy, ProxyTap
from recorder.server.upstream import Pool, origin_of
from recorder.tap.body import Watch
from recorder.testing import Received, Reply, Step, Upstream, message_events
from tests.server.running import ASK, KEY, RawUpstream, connected, head_of, proxied, rest_of, running

MS = 1_000_000
OTHER = "another-secret-0123456789"
HELLO = message_events("Hello", " there", "!", model="claude-haiku-4-5")
GET = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def streams_in(path: Path) -> list[Stream]:
    return list(recorder.open(path).streams())


def test_the_sdk_sees_through_it_what_it_sees_without_it(tmp_path: Path) -> None:
    with Upstream(lambda _: Reply.sse(HELLO, gap=MS)) as upstream, proxied(tmp_path, upstream.url) as (proxy, _):
        seen = [
            [event.to_dict() for event in Anthropic(base_url=url, api_key=KEY).messages.create(**ASK, stream=True)]
            for url in (upstream.url, proxy.url)
        ]
        first, second = upstream.received

    assert seen[0] == seen[1]
    assert first.body == second.body
    assert first.target == second.target
    theirs = {
        name: value for name, value in first.headers if name not in ("host", "connection", "accept-encoding")
    }
    assert theirs == {
        name: value for name, value in second.headers if name not in ("host", "connection", "accept-encoding")
    }
    assert dict(second.headers)["accept-encoding"] == "identity"


async def test_async_clients_go_through_it_many_at_once(tmp_path: Path) -> None:
    with Upstream(lambda _: Reply.sse(HELLO, gap=MS)) as upstream:
        with proxied(tmp_path, upstream.url) as (proxy, _):
            async with AsyncAnthropic(base_url=proxy.url, api_key=KEY) as client:

                async def text() -> str:
                    async with client.messages.stream(**ASK) as stream:
                        return await stream.get_final_text()

                assert await asyncio.gather(*(text() for _ in range(50))) == ["Hello there!"] * 50
    streams = streams_in(tmp_path)
    assert [stream.timing().outcome for stream in streams] == ["complete"] * 50


def test_what_it_records_is_what_a_tap_records(tmp_path: Path) -> None:
    with Upstream(lambda _: Reply.sse(HELLO, gap=MS)) as upstream:
        with proxied(tmp_path / "proxy", upstream.url) as (proxy, _):
            with Anthropic(base_url=proxy.url, api_key=KEY).messages.stream(**ASK) as stream:
                stream.until_done()
        with recorder.Tap(tmp_path / "tap") as tap:
            with tap.wrap(Anthropic(base_url=upstream.url, api_key=KEY)).messages.stream(**ASK) as stream:
                stream.until_done()
    [ours], [taps] = streams_in(tmp_path / "proxy"), streams_in(tmp_path / "tap")

    assert ours.body() == taps.body()
    assert [one.data for one in ours.chunks()] == [one.data for one in taps.chunks()]
    assert ours.message() == taps.message()
    assert ours.request.body == taps.request.body
    assert ours.response is not None
    assert taps.response is not None
    assert ours.response.headers == taps.response.headers
    assert ours.response.phases is not None
    assert ours.response.phases.connect is not None
    assert ours.response.phases.send is not None
    assert ours.response.phases.headers is not None
    assert ours.response.reused is False
    assert ours.header.anthropic is None


def test_keys_go_upstream_and_never_to_a_file(tmp_path: Path) -> None:
    secret = "org-0123456789-secret"
    headers = {"anthropic-organization-id": secret, "set-cookie": f"session={secret}abc"}
    events = message_events(f"Your key is {KEY} or {OTHER[:12]}", OTHER[12:], f" and {secret}")
    with Upstream(lambda _: Reply.sse(events, headers=headers)) as upstream:
        with proxied(tmp_path, upstream.url) as (proxy, _):
            client = Anthropic(base_url=proxy.url, api_key=KEY, default_headers={"x-api-key": OTHER})
            client.messages.create(**ASK, stream=True, extra_query={"api_key": "a-query-secret"}).response.read()
        [received] = upstream.received
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode()
    assert dict(received.headers)["x-api-key"] == OTHER
    assert "api_key=a-query-secret" in received.target
    for hidden in (KEY, OTHER, OTHER[12:], secret, "a-query-secret"):
        assert hidden not in written
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())


def test_each_chunk_is_there_before_the_next_is_sent(tmp_path: Path) -> None:
    go = threading.Semaphore(0)
    pieces = [b"data: 1\n\n", b"da", b"ta: 2\n", b"\n", b": comment\n\n"]

    def answer(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(OK)
        for piece in pieces:
            assert go.acquire(timeout=30)
            connection.sendall(chunk(piece))
        assert go.acquire(timeout=30)
        connection.sendall(b"0\r\n\r\n")
        connection.recv(1)

    with RawUpstream(answer) as upstream, proxied(tmp_path, upstream.url) as (proxy, _):
        with connected(proxy.port) as client:
            client.sendall(GET)
            assert b"transfer-encoding: chunked" in head_of(client).lower()
            for piece in pieces:
                go.release()
                expected = chunk(piece)
                assert client.recv(65536) == expected
            go.release()
            assert client.recv(65536) == b"0\r\n\r\n"
    [stream] = streams_in(tmp_path)
    assert [one.data for one in stream.chunks()] == pieces


def test_status_reason_headers_and_trailers_pass_as_they_are(tmp_path: Path) -> None:
    head = (
        b"HTTP/1.1 418 Short And Stout\r\nX-Upper-Case: One\r\nx-lower-case: two\r\nX-Twice: a\r\nX-Twice: b\r\n"
        b"Trailer: X-Sum\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\r\n"
    )

    def answer(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        connection.sendall(head + chunk(b"tea") + b"0\r\nX-Sum: abc\r\nX-Other: d\r\n\r\n")
        connection.recv(1)

    with (
        RawUpstream(answer) as upstream,
        proxied(tmp_path, upstream.url) as (proxy, _),
        connected(proxy.port) as client,
    ):
        client.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        early, passed = head_of(client), head_of(client)
        body = rest_of(client)
    assert early == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    lines = passed.split(b"\r\n")
    assert lines[:6] == [
        b"HTTP/1.1 418 Short And Stout",
        b"X-Upper-Case: One",
        b"x-lower-case: two",
        b"X-Twice: a",
        b"X-Twice: b",
        b"Trailer: X-Sum",
    ]
    assert b"keep-alive: timeout" not in passed.lower()
    assert body == chunk(b"tea") + b"0\r\nX-Sum: abc\r\nX-Other: d\r\n\r\n"


def test_a_body_that_is_encoded_anyway_passes_encoded_and_is_read(tmp_path: Path) -> None:
    packed = gzip.compress(b'{"type":"message","usage":{"output_tokens":3}}')
    headers = (
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
        ("content-length", str(len(packed))),
    )
    reply = Reply(headers=headers, steps=(Step(at=0, data=packed),))
    with Upstream([reply]) as upstream, proxied(tmp_path, upstream.url) as (proxy, _):
        with httpx2.stream("GET", f"{proxy.url}/v1/models") as response:
            assert b"".join(response.iter_raw()) == packed
    [stream] = streams_in(tmp_path)
    assert stream.body() == gzip.decompress(packed)


def test_an_answer_without_a_length_ends_where_the_connection_ends(tmp_path: Path) -> None:
    def answer(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nabc")

    with RawUpstream(answer) as upstream, proxied(tmp_path, upstream.url) as (proxy, _):
        assert httpx2.get(f"{proxy.url}/v1/models").text == "abc"
        with connected(proxy.port) as old:
            old.sendall(b"GET /v1/models HTTP/1.0\r\n\r\n")
            assert rest_of(old).endswith(b"\r\n\r\nabc")


def test_a_length_beside_chunks_does_not_hold(tmp_path: Path) -> None:
    def answer(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(
            OK.replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\n") + chunk(b"abc") + b"0\r\n\r\n"
        )
        connection.recv(1)

    with RawUpstream(answer) as upstream, proxied(tmp_path, upstream.url) as (proxy, _):
        response = httpx2.get(f"{proxy.url}/v1/models")
    assert response.text == "abc"
    assert "content-length" not in response.headers


def test_redirects_are_passed_on_and_not_followed(tmp_path: Path) -> None:
    reply = Reply(status=307, headers={"location": "http://evil.example/", "content-length": "0"})
    with Upstream([reply]) as upstream, proxied(tmp_path, upstream.url) as (proxy, _):
        response = httpx2.post(f"{proxy.url}/v1/messages", json=ASK, follow_redirects=False)
        assert (response.status_code, response.headers["location"]) == (307, "http://evil.example/")
        assert len(upstream.received) == 1


def test_connections_are_kept_on_both_sides(tmp_path: Path) -> None:
    with Upstream(lambda _: Reply.json(200, {})) as upstream, proxied(tmp_path, upstream.url) as (proxy, _):
        with httpx2.Client() as client:
            for _ in range(3):
                client.get(f"{proxy.url}/v1/models")
        assert len(proxy.server.connections) <= 1
        assert [one.connection for one in upstream.received] == [0, 0, 0]
    assert [stream.response and stream.response.reused for stream in streams_in(tmp_path)] == [False, True, True]


def test_attempts_of_a_call_share_its_id(tmp_path: Path) -> None:
    replies = [
        Reply.error(529, "overloaded_error", "Overloaded", headers={"retry-after-ms": "1"}),
        Reply.sse(HELLO),
    ]
    with Upstream(replies) as upstream, proxied(tmp_path, upstream.url) as (proxy, _):
        with Anthropic(base_url=proxy.url, api_key=KEY).messages.stream(**ASK) as stream:
            assert stream.get_final_text() == "Hello there!"
    first, second = streams_in(tmp_path)
    assert (first.request.attempt, second.request.attempt) == (0, 1)
    assert first.request.call == second.request.call
    assert first.timing().outcome == "http_error"


def test_a_prefix_of_the_upstream_stands_before_the_path(tmp_path: Path) -> None:
    with (
        Upstream(lambda _: Reply.json(200, {})) as upstream,
        proxied(tmp_path, f"{upstream.url}/gateway/") as (proxy, _),
    ):
        httpx2.get(f"{proxy.url}/v1/models?limit=3&x=%2F..%2F")
        assert upstream.received[0].target == "/gateway/v1/models?limit=3&x=%2F..%2F"


@pytest.mark.slow
def test_a_body_of_100_mib_goes_up_and_comes_down_whole(tmp_path: Path) -> None:
    size = 100 << 20

    def echo(received: Received) -> Reply:
        return Reply(headers={"content-type": "application/octet-stream"}, steps=(Step(at=0, data=received.body),))

    sent = hashlib.blake2b(b"x" * size).digest()
    with Upstream(echo) as upstream, proxied(tmp_path, upstream.url) as (proxy, _):
        came = hashlib.blake2b()
        with httpx2.stream("POST", f"{proxy.url}/v1/files", content=b"x" * size, timeout=120) as response:
            for part in response.iter_raw():
                came.update(part)
    assert came.digest() == sent


def test_who_waits_for_100_continue_gets_it(tmp_path: Path) -> None:
    with Upstream(lambda _: Reply.json(200, {})) as upstream, proxied(tmp_path, upstream.url) as (proxy, _):
        with connected(proxy.port) as client:
            client.sendall(
                b"POST /v1/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
            )
            assert head_of(client).startswith(b"HTTP/1.1 100")
            client.sendall(b"{}")
            assert head_of(client).startswith(b"HTTP/1.1 200")
        assert "expect" not in dict(upstream.received[0].headers)


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


def test_calls_outside_the_sample_are_passed_on_unrecorded(tmp_path: Path) -> None:
    with (
        Upstream(lambda _: Reply.sse(HELLO)) as upstream,
        proxied(tmp_path, upstream.url, sample=0.0) as (proxy, _),
    ):
        with Anthropic(base_url=proxy.url, api_key=KEY).messages.stream(**ASK) as stream:
            assert stream.get_final_text() == "Hello there!"
    assert not list(tmp_path.iterdir())


def test_an_upstream_that_is_not_there_is_told_with_a_status(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    with proxied(tmp_path, url) as (proxy, _):
        with pytest.raises(APIStatusError, match="the upstream cannot be reached: .*refused") as caught:
            Anthropic(base_url=proxy.url, api_key=KEY, max_retries=0).messages.create(**ASK)
    assert caught.value.status_code == 502
    [stream] = streams_in(tmp_path)
    assert stream.timing().outcome == "connect_failed"


class _TLS(RawUpstream):
    """Answers any request with 200, over TLS, under a certificate of an authority of ours."""

    def __init__(self, authority: trustme.CA, name: str) -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name).configure_cert(self._context)
        super().__init__(self._answer_tls)

    def _answer_tls(self, connection: socket.socket) -> None:
        try:
            with self._context.wrap_socket(connection, server_side=True) as secure:
                head_of(secure)
                secure.sendall(OK + chunk(b"data: 1\n\n") + b"0\r\n\r\n")
                secure.recv(1)
        except (ssl.SSLError, ConnectionError):
            pass


@pytest.mark.parametrize(
    ("name", "trusted", "status"), [("127.0.0.1", True, 200), ("127.0.0.1", False, 502), ("a.example", True, 502)]
)
def test_tls_is_verified(tmp_path: Path, name: str, trusted: bool, status: int) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context()
    if trusted:
        authority.configure_trust(context)
    with _TLS(authority, name) as upstream:
        origin = origin_of(upstream.url.replace("http:", "https:"))
        with ProxyTap(tmp_path) as tap, running(Proxy(tap, Pool(origin, context=context), Streams())) as proxy:
            response = httpx2.get(f"{proxy.url}/v1/models")
    assert response.status_code == status
    assert status == 200 or "certificate" in response.json()["error"]["message"]
    [stream] = streams_in(tmp_path)
    if status == 200:
        assert stream.response is not None
        assert stream.response.phases is not None
        assert stream.response.phases.tls is not None


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("allowed", [True, False])
def test_the_proxy_of_the_environment_is_asked_for_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    authority, context = trustme.CA(), ssl.create_default_context()
    authority.configure_trust(context)
    heads: list[bytes] = []

    with _TLS(authority, "api.example") as upstream:

        def answer(connection: socket.socket) -> None:
            heads.append(head_of(connection))
            if not allowed:
                connection.sendall(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
                return
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with connected(int(upstream.url.rpartition(":")[2])) as onward:
                back = threading.Thread(target=_pump, args=(onward, connection))
                back.start()
                _pump(connection, onward)
                back.join()

        with RawUpstream(answer) as way:
            for name in ("HTTPS_PROXY", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.delenv(name, raising=False)
            monkeypatch.setenv("https_proxy", way.url.replace("http://", "http://user:pass%20word@"))
            pool = Pool(origin_of("https://api.example"), context=context)
            with ProxyTap(tmp_path) as tap, running(Proxy(tap, pool, Streams())) as proxy:
                response = httpx2.get(f"{proxy.url}/v1/models")
    [head] = heads
    assert head.startswith(b"CONNECT api.example:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjpwYXNzIHdvcmQ=\r\n" in head
    [stream] = streams_in(tmp_path)
    if not allowed:
        assert response.status_code == 502
        assert "the proxy of the environment refuses, with status 407" in response.text
        return
    assert (response.status_code, response.text) == (200, "data: 1\n\n")
    assert stream.response is not None
    assert stream.response.phases is not None
    assert stream.response.phases.tunnel is not None
    assert stream.response.phases.tls is not None


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
