"""A call to a real server through the real SDK, for tests of the tap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2

import recorder
from recorder.log.streams import Stream
from recorder.testing import (
    Received,
    Reply,
    Upstream,
    message_events,
)

MS = 1_000_000
ASK: dict[str, Any] = {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
TEXTS = ("Hel", "lo ", "wör", "ld")
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-test",
    "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn", "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 2},
}  # fmt: skip


def hello(_: Received) -> Reply:
    return Reply.sse(
        message_events(*TEXTS),
        headers={"request-id": "req_1", "x-secret": "no", "anthropic-organization-id": "org"},
    )


OPEN: list[anthropic.Anthropic] = []
"""Closed after the test."""


def client(upstream: Upstream, **options: Any) -> anthropic.Anthropic:
    one = anthropic.Anthropic(
        base_url=upstream.url, api_key="sk-ant-test-abcdefghijkl", **{"max_retries": 0, **options}
    )
    OPEN.append(one)
    return one


def async_client(upstream: Upstream, **options: Any) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(
        base_url=upstream.url, api_key="sk-ant-test-abcdefghijkl", **{"max_retries": 0, **options}
    )


def recorded(path: Path) -> list[Stream]:
    return sorted(recorder.open(path).streams(), key=lambda stream: stream.request.mono)


def body_of(reply: Reply) -> bytes:
    return b"".join(step.data for step in reply.steps)


def check_hello(path: Path) -> None:
    [stream] = recorded(path)
    assert stream.body() == body_of(hello(None))  # type: ignore[arg-type]
    assert stream.request.body == {**ASK, "stream": True}
    assert stream.response is not None
    assert stream.response.headers.get("request-id") == "req_1"
    assert stream.end is not None
    assert (stream.end.end, stream.end.complete, stream.end.events) == ("read", True, 9)
    message = stream.message()
    assert message is not None
    assert message["content"][0]["text"] == "".join(TEXTS)


class Chunks(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body in exact chunks, for both kinds of client."""

    def __init__(self, chunks: list[bytes], error: Exception | None) -> None:
        self.chunks, self.error = chunks, error

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks
        if self.error:
            raise self.error

    async def __aiter__(self) -> Any:
        for chunk in self:
            yield chunk


class ChunkTransport(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    def __init__(self, chunks: list[bytes], error: Exception | None) -> None:
        self.chunks, self.error = chunks, error

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(
            200, headers={"content-type": "text/event-stream"}, stream=Chunks(self.chunks, self.error)
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return self.handle_request(request)
