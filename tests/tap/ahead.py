"""Taps that read ahead, and what is left of their readers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

import recorder
from recorder.log.streams import Stream
from recorder.testing import Reply, message_events

MS = 1_000_000
SOON_S = 4.0
"""Within which what is prompt has happened, on a busy machine too; the read timeout is far longer."""
ASK: dict[str, Any] = {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
REPLIES = {
    "read": Reply.sse(message_events("a", "b", "c"), gap=2 * MS),
    "cut": Reply.sse(message_events("a", "b", "c")[:4], gap=2 * MS, end="cut"),
    "reset": Reply.sse(message_events("a", "b", "c")[:4], gap=2 * MS, end="reset", end_at=60 * MS),
    "timeout": Reply.sse(message_events("a", "b", "c")[:4], gap=2 * MS, end="hang"),
    "truncated": Reply.sse(message_events("a", "b", "c")[:-1]),
    "empty": Reply.sse([]),
}
HANGS = Reply.sse(message_events("a", "b")[:4], end="hang")
READ = 4
"""Events of it."""


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "recorder-reader"]


def until(condition: Callable[[], object], otherwise: str) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.005)


def tapping(path: Path) -> recorder.Tap:
    return recorder.Tap(path, arrival="eager")


def a_client(tap: recorder.Tap, transport: httpx2.BaseTransport | None = None, **options: Any) -> httpx2.Client:
    return httpx2.Client(transport=recorder.TapTransport(tap, transport), **options)


def one_stream(path: Path) -> Stream:
    [stream] = recorder.open(path).streams()
    return stream


def ended(path: Path) -> tuple[str, bool, int]:
    end = one_stream(path).end
    assert end is not None
    return end.end, end.complete, end.events
