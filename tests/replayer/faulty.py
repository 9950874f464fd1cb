"""Streams to do faults to."""

from __future__ import annotations

from random import Random
from typing import Any

from recorder import faults
from recorder.replayer.faults.place import frames_of
from recorder.replayer.script import Script, piece
from recorder.testing import encode_event, message_events
from tests.replayer.streams import EVENTS

S = 1_000_000_000
BODY = b"".join(map(encode_event, EVENTS))
THINKING = [
    *message_events()[:1],
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    *({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": t}} for t in "abcd"),
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "n", "input": {}}},
    *({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": p}} for p in ('{"a"', ":1", "}")),
    {"type": "content_block_stop", "index": 1},
    *message_events()[-2:],
]  # fmt: skip


def script(events: list[dict[str, Any]] = EVENTS, *, gap: int = S, chunks: list[bytes] | None = None) -> Script:
    data = chunks or list(map(encode_event, events))
    pieces = tuple(piece((n + 1) * gap, one) for n, one in enumerate(data))
    headers = {"content-type": "text/event-stream; charset=utf-8"}
    return Script(headers_at=0, headers=headers, pieces=pieces, end_at=len(data) * gap)


def under(fault: str, on: Script | None = None, *, seed: int = 0) -> Script:
    done = on or script()
    for one in faults.parse(fault).ones:
        done = one.apply(done, Random(seed))
    return done


def names(one: Script) -> list[str | None]:
    return [frame.event for frame in frames_of(one) if frame.payload is not None]
