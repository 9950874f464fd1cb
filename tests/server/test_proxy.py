"""The record proxy is transparent, and what it records is what went through it."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import socket
import threading
from pathlib import Path

import httpx2
import pytest
from anthropic import Anthropic, AsyncAnthropic

import recorder
from recorder.testing import Received, Reply, Step, Upstream, message_events
from tests.server.running import (
    ASK,
    GET,
    HELLO,
    KEY,
    MS,
    OK,
    RawUpstream,
    chunk,
    connected,
    head_of,
    proxied,
    rest_of,
    streams_in,
)

OTHER = "another-secret-0123456789"


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


def test_calls_outside_the_sample_are_passed_on_unrecorded(tmp_path: Path) -> None:
    with (
        Upstream(lambda _: Reply.sse(HELLO)) as upstream,
        proxied(tmp_path, upstream.url, sample=0.0) as (proxy, _),
    ):
        with Anthropic(base_url=proxy.url, api_key=KEY).messages.stream(**ASK) as stream:
            assert stream.get_final_text() == "Hello there!"
    assert not list(tmp_path.iterdir())
