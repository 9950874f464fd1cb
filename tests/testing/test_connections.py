"""Connections of the upstream: kept, pipelined, many at once, left by the client, ended by us."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading

import httpx2
import pytest
from anthropic import AsyncAnthropic

from recorder.testing import (
    Received,
    Reply,
    Upstream,
    encode_event,
    message_events,
)
from tests.testing.calls import (
    ASK,
    COLOURS,
    EVENTS,
    HALF,
    MS,
    connect,
    drain,
    raw_chunks,
    serve,
)


def test_a_connection_serves_one_request_after_the_other():
    with serve(Reply.sse(EVENTS), Reply.json(200, {}), Reply.sse(EVENTS)) as upstream, httpx2.Client() as client:
        for _ in range(3):
            client.get(upstream.url)

    assert [received.connection for received in upstream.received] == [0, 0, 0]


def test_a_new_connection_follows_a_cut():
    with serve(Reply.sse(HALF, end="cut"), Reply.sse(EVENTS)) as upstream, httpx2.Client() as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            client.get(upstream.url)
        client.get(upstream.url)

    assert [received.connection for received in upstream.received] == [0, 1]


def test_pipelined_requests_are_answered_in_order():
    with (
        serve(Reply.json(200, "first"), Reply.json(200, "second")) as upstream,
        connect(upstream) as client,
    ):
        client.sendall(
            b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        )
        with client.makefile("rb") as answers:
            answer = answers.read()

    assert answer.index(b'"first"') < answer.index(b'"second"')
    assert [received.target for received in upstream.received] == ["/1", "/2"]


def test_a_client_that_asks_before_it_sends_the_body_is_told_to_continue():
    with serve(Reply.json(200, {})) as upstream:
        client = http.client.HTTPConnection(upstream.url.removeprefix("http://"), timeout=5)
        client.putrequest("POST", "/")
        client.putheader("content-length", "2")
        client.putheader("expect", "100-continue")
        client.endheaders()
        assert client.sock.recv(4_096).startswith(b"HTTP/1.1 100")
        client.send(b"{}")
        assert client.getresponse().status == 200
        client.close()

    assert upstream.received[0].body == b"{}"


async def test_fifty_streams_at_once_each_get_their_own():
    def answer(received: Received) -> Reply:
        name = received.json()["messages"][0]["content"]
        return Reply.sse(message_events(*(f"{name}.{i} " for i in range(10))), first=5 * MS, gap=2 * MS)

    with Upstream(answer) as upstream:
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(limits=limits, timeout=10) as client:

            async def ask(name: str) -> bytes:
                body = {**ASK, "messages": [{"role": "user", "content": name}]}
                return (await client.post(upstream.url, json=body)).content

            bodies = await asyncio.gather(*(ask(f"stream {i}") for i in range(50)))

    for i, body in enumerate(bodies):
        expected = message_events(*(f"stream {i}.{k} " for k in range(10)))
        assert b"".join(map(encode_event, expected)) == body
    assert len({received.connection for received in upstream.received}) == 50


async def test_concurrent_sdk_streams_are_complete():
    with Upstream(lambda _: Reply.sse(EVENTS, gap=MS)) as upstream:
        async with AsyncAnthropic(base_url=upstream.url, api_key="test", max_retries=0) as client:

            async def ask() -> str:
                async with client.messages.stream(**ASK) as stream:
                    return await stream.get_final_text()

            assert await asyncio.gather(*(ask() for _ in range(50))) == ["Hello!"] * 50


@pytest.mark.parametrize("colour", COLOURS)
def test_a_client_that_hangs_up_is_noticed(colour: str, caplog: pytest.LogCaptureFixture):
    endless = Reply.sse(HALF, end="hang")

    async def leave(url: str) -> None:
        async with httpx2.AsyncClient() as client, client.stream("GET", url) as response:
            await anext(response.aiter_raw())

    with serve(endless, Reply.sse(EVENTS)) as upstream:
        if colour == "async":
            asyncio.run(leave(upstream.url))
        else:
            with httpx2.stream("GET", upstream.url) as response:
                next(response.iter_raw())
        upstream.settle()
        httpx2.get(upstream.url)
        upstream.settle()

    assert upstream.received[:1] == upstream.closed_by_client
    assert caplog.records == []


def test_a_reply_in_progress_does_not_settle():
    with (
        serve(Reply.sse(HALF, end="hang")) as upstream,
        httpx2.stream("GET", f"{upstream.url}/slow"),
        pytest.raises(TimeoutError, match=r"1 replies are in progress: /slow"),
    ):
        upstream.settle(timeout_s=0.01)


def test_settling_can_wait_for_requests_that_are_on_their_way():
    with serve(Reply.sse(EVENTS), Reply.sse(EVENTS)) as upstream:
        clients = [threading.Thread(target=raw_chunks, args=(upstream.url,)) for _ in range(2)]
        for client in clients:
            client.start()
        upstream.settle(requests=2)
        assert len(upstream.received) == 2
        for client in clients:
            client.join()
        with pytest.raises(TimeoutError, match=r"2 of 3 requests have come and 0 replies are in progress"):
            upstream.settle(requests=3, timeout_s=0.01)


def test_closing_ends_what_hangs_and_it_is_not_the_client_who_left():
    with serve(Reply.sse(HALF, end="hang")) as upstream, httpx2.stream("GET", upstream.url) as response:
        upstream.close()
        chunks: list[bytes] = []
        with pytest.raises(httpx2.RemoteProtocolError):
            drain(response, chunks)
        upstream.settle()

    assert len(chunks) <= len(HALF)
    assert upstream.closed_by_client == []
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(upstream.url)


def test_no_event_waits_for_the_acknowledgement_of_the_one_before() -> None:
    with Upstream([Reply.sse([b"data: 1\n\n"], end="hang")]) as upstream:
        with httpx2.Client() as http, http.stream("GET", upstream.url) as response:
            chunks = response.iter_raw()
            next(chunks)
            [connection] = upstream._ledger.open
            sock = connection._transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
