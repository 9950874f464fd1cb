"""Calls to the scripted upstream, and what an application sees of them."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx2
import msgspec
from anthropic import Anthropic, AsyncAnthropic

from recorder.testing import (
    Reply,
    Upstream,
    message_events,
)

MS = 1_000_000
EVENTS = message_events("Hel", "lo", "!")
HALF = EVENTS[:4]  # message_start, content_block_start, "Hel", "lo"
ASK: dict[str, Any] = {
    "model": "claude-test",
    "max_tokens": 10,
    "messages": [{"role": "user", "content": "Hi"}],
}
COLOURS = ("sync", "async")
METHODS = ("create(stream=True)", "messages.stream()")


class Outcome(msgspec.Struct, kw_only=True, frozen=True):
    """What an application saw of one stream."""

    text: str
    stop_reason: str | None
    error: BaseException | None = None


def outcome(texts: list[str], reasons: list[str | None], error: BaseException | None = None) -> Outcome:
    return Outcome(text="".join(texts), stop_reason=reasons[-1] if reasons else None, error=error)


def note(event: Any, texts: list[str], reasons: list[str | None]) -> None:
    if event.type == "content_block_delta":
        texts.append(event.delta.text)
    elif event.type == "message_delta":
        reasons.append(event.delta.stop_reason)


def consume(url: str, method: str, *, timeout_s: float = 5.0) -> Outcome:
    texts: list[str] = []
    reasons: list[str | None] = []
    with Anthropic(base_url=url, api_key="test", max_retries=0, timeout=timeout_s) as client:
        try:
            if method == "messages.stream()":
                with client.messages.stream(**ASK) as stream:
                    texts.extend(stream.text_stream)
                    reasons.append(stream.get_final_message().stop_reason)
            else:
                with client.messages.create(stream=True, **ASK) as stream:
                    for event in stream:
                        note(event, texts, reasons)
        except Exception as error:
            return outcome(texts, reasons, error)
    return outcome(texts, reasons)


async def consume_async(url: str, method: str, *, timeout_s: float = 5.0) -> Outcome:
    texts: list[str] = []
    reasons: list[str | None] = []
    async with AsyncAnthropic(base_url=url, api_key="test", max_retries=0, timeout=timeout_s) as client:
        try:
            if method == "messages.stream()":
                async with client.messages.stream(**ASK) as stream:
                    async for text in stream.text_stream:
                        texts.append(text)
                    reasons.append((await stream.get_final_message()).stop_reason)
            else:
                async with await client.messages.create(stream=True, **ASK) as stream:
                    async for event in stream:
                        note(event, texts, reasons)
        except Exception as error:
            return outcome(texts, reasons, error)
    return outcome(texts, reasons)


def run(colour: str, url: str, method: str, *, timeout_s: float = 5.0) -> Outcome:
    if colour == "sync":
        return consume(url, method, timeout_s=timeout_s)
    return asyncio.run(consume_async(url, method, timeout_s=timeout_s))


def serve(*replies: Reply, speed: float = 1.0) -> Upstream:
    return Upstream(replies, speed=speed)


def connect(upstream: Upstream) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(upstream.url.rpartition(":")[2])), timeout=5)


def raw_chunks(url: str) -> list[bytes]:
    with httpx2.stream("POST", f"{url}/v1/messages", json=ASK) as response:
        return list(response.iter_raw())


def drain(response: httpx2.Response, chunks: list[bytes]) -> None:
    chunks.extend(response.iter_raw())
