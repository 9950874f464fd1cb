"""A few hundred streams of every kind, drawn from a seed, as three segments that go on from each other."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from msgspec.structs import replace

from recorder.core.records import Record, Request
from tests.analytics.lake.lakes import segment
from tests.cli import recordings
from tests.cli.recordings import block_start, block_stop, delta, message_delta, message_start, sse

MODELS = ("claude-haiku-4-5", "claude-opus-4-5", "claude-sonnet-4-5")
MINUTE_MS = 60_000


def _spoken(dice: Random, model: str, name: str) -> list[tuple[int, int, bytes]]:
    """Text, often after thinking, or a tool's arguments; several events in some chunks, pings, and now and then a
    stall."""
    begin = {"type": "message_start", "message": {**message_start(model)["message"], "id": name}}
    at = int(dice.lognormvariate(6, 0.5))
    chunks = [(at, 30, sse(begin, {"type": "ping"}))]
    blocks = dice.choice([("text",), ("thinking", "text"), ("tool_use",), ("text", "tool_use")])
    for index, kind in enumerate(blocks):
        chunks.append((at, 0, sse(block_start(index, type=kind))))
        for _ in range(dice.randrange(3, 20)):
            at += dice.choice([0, 0, int(dice.lognormvariate(4, 0.7)), int(dice.lognormvariate(4, 0.7)), 200])
            at += dice.randrange(2_000, 9_000) if dice.random() < 0.01 else 0
            words = "x" * dice.randrange(1, 40)
            field = {"text": "text", "thinking": "thinking", "tool_use": "partial_json"}[kind]
            sort = {"text": "text_delta", "thinking": "thinking_delta", "tool_use": "input_json_delta"}[kind]
            pings = [{"type": "ping"}] if dice.random() < 0.05 else []
            chunks.append((at, dice.choice([0, 5, 40]), sse(*pings, delta(index, sort, **{field: words}))))
        chunks.append((at, 0, sse(block_stop(index))))
    tokens = dice.randrange(1, 300)
    return [*chunks, (at + 3, 2, sse(message_delta(tokens), recordings.STOP))]


def streams(seed: int, number: int = 150) -> list[list[Record]]:
    dice = Random(seed)
    made: list[list[Record]] = []
    sent = 0
    for n in range(number):
        sent += dice.randrange(1, 8 * MINUTE_MS)
        model, turn = dice.choice(MODELS), dice.randrange(1, 6)
        tags = dice.choice([{"variant": "a"}, {"variant": "b"}, {"who": "me"}, None])
        request = {
            "model": model,
            "max_tokens": 9,
            "stream": True,
            "messages": [{"role": "user", "content": "?"}] * turn,
        }
        options: dict[str, Any] = {"call": f"call{n}", "model": model, "tags": tags, "request": request}
        if dice.random() < 0.08:
            made.append(recordings.overloaded(f"{n:08x}ff", sent=sent, **{**options, "model": model}))
            sent, options["attempt"] = sent + 900, 1
        how = dice.random()
        chunks = _spoken(dice, model, f"msg_{dice.randrange(200)}")
        if how < 0.05:
            chunks, options["end"] = chunks[: len(chunks) // 2], "closed"
        elif how < 0.08:
            chunks, options["end"] = chunks[: len(chunks) // 2], None
        made.append(
            _with_sdk(
                recordings.stream(f"{n:08x}00", chunks, sent=sent, **options), dice.choice(["2.1.0", "2.11.0"])
            )
        )
    return made


def _with_sdk(records: list[Record], version: str) -> list[Record]:
    request, *others = records
    assert isinstance(request, Request)
    return [replace(request, headers={**request.headers, "x-stainless-package-version": version}), *others]


def recording(path: Path, seed: int) -> Path:
    """Three segments; a stream in flight when one is over goes on in the next."""
    lines = [record for stream in streams(seed) for record in stream]
    third = len(lines) // 3
    segment(path / "0.jsonl", "s0", lines[:third])
    segment(path / "1.jsonl", "s1", lines[third : 2 * third], previous="s0")
    segment(path / "2.jsonl", "s2", lines[2 * third :], previous="s1")
    return path
