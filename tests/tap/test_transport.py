"""The tap as a transport: any httpx2 client, the same records sync and async, and whose time it was."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import anthropic
import httpx2
import pytest

import recorder
from recorder.testing import ManualClock, Reply, Upstream, chunkings, encode_event, message_events
from tests.tap.calls import (
    ASK,
    MS,
    TEXTS,
    ChunkTransport,
    async_client,
    check_hello,
    client,
    hello,
    recorded,
)


def test_the_transport_records_any_httpx2_client_and_sees_what_is_sent(tmp_path: Path) -> None:
    with Upstream(hello) as upstream, recorder.Tap(tmp_path) as tap:
        http = anthropic.DefaultHttpxClient(transport=recorder.TapTransport(tap, httpx2.HTTPTransport()))
        [*client(upstream, http_client=http).messages.create(**ASK, stream=True)]
        http.close()

    [stream] = recorded(tmp_path)
    assert stream.request.url == f"{upstream.url}/v1/messages"
    assert "anthropic-version" in stream.request.headers
    check_hello(tmp_path)


async def test_the_transport_joins_the_attempts_of_a_call(tmp_path: Path) -> None:
    replies = [
        Reply.error(529, "overloaded_error", "no", headers={"retry-after-ms": "1"}),
        hello(None),
        hello(None),
    ]  # type: ignore[arg-type]
    with Upstream(replies) as upstream, recorder.Tap(tmp_path) as tap:
        http = anthropic.DefaultAsyncHttpxClient(transport=recorder.TapTransport(tap))
        async with async_client(upstream, http_client=http, max_retries=1) as one:
            for _ in range(2):
                [event async for event in await one.messages.create(**ASK, stream=True)]

    first, second, other = recorded(tmp_path)
    assert first.call == second.call != other.call


def test_a_transport_of_the_wrong_kind_says_so(tmp_path: Path) -> None:
    with recorder.Tap(tmp_path) as tap:
        with httpx2.Client(transport=recorder.TapTransport(tap, httpx2.AsyncHTTPTransport())) as http:
            with pytest.raises(TypeError, match="is async: give a sync client a sync transport"):
                http.get("http://127.0.0.1/")


BODY = b"".join(map(encode_event, message_events(*TEXTS)))
ENDS = {"read": None, "failed": httpx2.ReadError("reset"), "closed": None}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    "chunks", [c for _, c in chunkings(BODY, seed=3)], ids=[n for n, _ in chunkings(BODY, seed=3)]
)
def test_sync_and_async_give_identical_records(tmp_path: Path, chunks: list[bytes], end: str) -> None:
    logs = []
    for colour in ("sync", "async"):
        path = tmp_path / colour
        ids = itertools.count()
        with recorder.Tap(
            path, clock=ManualClock(), wall_clock=ManualClock(), new_id=lambda ids=ids: f"s{next(ids)}"
        ) as tap:
            transport = recorder.TapTransport(tap, ChunkTransport(chunks, ENDS[end]))
            if colour == "sync":
                read_chunks(transport, end)
            else:
                asyncio.run(read_chunks_async(transport, end))
        [segment] = path.iterdir()
        _header, *lines, _footer = segment.read_bytes().splitlines()
        logs.append(b"\n".join(lines))

    assert logs[0] == logs[1]
    assert f'"end":"{end}"'.encode() in logs[0]


def read_chunks(transport: recorder.TapTransport, end: str) -> None:
    with httpx2.Client(transport=transport) as http, http.stream("POST", "http://x/", content=b"{}") as response:
        chunks = response.iter_raw()
        if end == "closed":
            next(chunks)
        elif end == "failed":
            with pytest.raises(httpx2.ReadError):
                [*chunks]
        else:
            [*chunks]


async def read_chunks_async(transport: recorder.TapTransport, end: str) -> None:
    async with (
        httpx2.AsyncClient(transport=transport) as http,
        http.stream("POST", "http://x/", content=b"{}") as response,
    ):
        chunks = response.aiter_raw()
        if end == "closed":
            await anext(chunks)
            await chunks.aclose()
        elif end == "failed":
            with pytest.raises(httpx2.ReadError):
                [chunk async for chunk in chunks]
        else:
            [chunk async for chunk in chunks]


def test_wait_is_the_server_and_the_rest_is_the_application(tmp_path: Path) -> None:
    """The application holds the stream 40 ms between two reads; the record says that it did not wait for them."""
    clock = ManualClock()

    class Slow(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(2):
                clock.advance(7 * MS)
                yield b"data: 1\n\n"

    class Server(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            clock.advance(5 * MS)
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Slow())

    with recorder.Tap(tmp_path, clock=clock) as tap:
        with httpx2.Client(transport=recorder.TapTransport(tap, Server())) as http:
            with http.stream("GET", "http://x/") as response:
                for _ in response.iter_raw():
                    clock.advance(40 * MS)

    [stream] = recorded(tmp_path)
    assert stream.response is not None
    assert stream.response.at == 5 * MS
    assert [(event.at, event.wait) for event in stream.events] == [(12 * MS, 7 * MS), (59 * MS, 7 * MS)]
