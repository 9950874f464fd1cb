"""Recordings to inject faults into, and what an application can tell of a call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anthropic
import httpx2

import recorder
from recorder.testing import Reply, Upstream, message_events

MS = 1_000_000
TEXTS = ("Hel", "lo ", "wo", "rld", "! ", "Grüße")
EVENTS = message_events(*TEXTS)
ASK: dict[str, Any] = {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
OPTIONS: dict[str, Any] = {"api_key": "k", "max_retries": 0, "timeout": httpx2.Timeout(10)}
IMPATIENT: dict[str, Any] = {**OPTIONS, "timeout": httpx2.Timeout(10, read=0.4)}
WAYS = ("create", "stream")

Outcome = tuple[list[Any], Any]


def recorded(path: Path, *replies: Reply) -> Path:
    """A recording of the replies, one call each, with equal requests."""
    said = replies or (Reply.sse(EVENTS, first=4 * MS, gap=2 * MS),)
    with Upstream(said) as upstream, recorder.Tap(path) as tap:
        with anthropic.Anthropic(base_url=upstream.url, **OPTIONS) as client:
            for _ in said:
                read(tap.wrap(client), "create")
    return path


def read(client: anthropic.Anthropic, way: str) -> Outcome:
    """The events, or the texts, and how it ended."""
    seen: list[Any] = []
    try:
        if way == "create":
            for event in client.messages.create(**ASK, stream=True):
                seen.append(event.to_dict())
            return seen, None
        with client.messages.stream(**ASK) as stream:
            for text in stream.text_stream:
                seen.append(text)
            return seen, stream.get_final_message().to_dict()
    except Exception as error:
        return seen, outcome_of(error)


async def read_async(client: anthropic.AsyncAnthropic, way: str) -> Outcome:
    seen: list[Any] = []
    try:
        if way == "create":
            async for event in await client.messages.create(**ASK, stream=True):
                seen.append(event.to_dict())
            return seen, None
        async with client.messages.stream(**ASK) as stream:
            async for text in stream.text_stream:
                seen.append(text)
            return seen, (await stream.get_final_message()).to_dict()
    except Exception as error:
        return seen, outcome_of(error)


def outcome_of(error: Exception) -> Any:
    """What an application can tell by. (An error of httpx2 also has one of httpcore2 as its cause, live.)"""
    cause = (type(error.__cause__), str(error.__cause__)) if isinstance(error, anthropic.AnthropicError) else None
    return type(error), str(error), getattr(error, "status_code", None), cause
