"""Recordings to run commands on, made by the core: every way in which a stream can end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from recorder.core.attempt import Attempt
from recorder.core.lines import encode_line
from recorder.core.records import FORMAT, VERSION, ErrorInfo, Header, How, Record
from recorder.core.redact import Secrets

WALL = 1_795_223_100_000_000_000  # 2026-11-21T01:05:00Z
SSE = [("content-type", "text/event-stream; charset=utf-8"), ("request-id", "req_011C")]
JSON = [("content-type", "application/json")]
MS = 1_000_000

Chunk = tuple[int, int, bytes]
"""(at, wait) in ms, bytes."""


def header(v: int = VERSION) -> Header:
    return Header(
        format=FORMAT,
        v=v,
        segment="9f2c1e7a40b3d586",
        wall=WALL,
        mono=0,
        recorder="0.1.0",
        anthropic="2.11.0",
        pid=4711,
    )


def sse(*payloads: dict[str, Any]) -> bytes:
    return b"".join(
        b"event: %s\ndata: %s\n\n" % (p["type"].encode(), json.dumps(p, ensure_ascii=False).encode())
        for p in payloads
    )


def message_start(model: str = "claude-haiku-4-5-20251001") -> dict[str, Any]:
    usage = {"input_tokens": 8, "output_tokens": 1}
    message = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "usage": usage,
    }
    return {"type": "message_start", "message": message}


def block_start(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **fields: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def block_stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def message_delta(tokens: int, reason: str = "end_turn") -> dict[str, Any]:
    usage = {"output_tokens": tokens}
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


STOP = {"type": "message_stop"}


def text_chunks(words: Sequence[str], *, start: int = 400, step: int = 50) -> list[Chunk]:
    """A whole stream of one text block: the words one by one, the last two in one chunk."""
    deltas = [delta(0, "text_delta", text=word) for word in words]
    chunks = [(start - 100, 20, sse(message_start(), block_start(0, type="text", text=""), {"type": "ping"}))]
    groups = [[one] for one in deltas[:-2]] + [deltas[-2:]]
    chunks += [(start + n * step, step - 1, sse(*group)) for n, group in enumerate(groups)]
    end = start + len(groups) * step
    return [*chunks, (end, step - 1, sse(block_stop(0), message_delta(len(words)), STOP))]


ASKED = {
    "max_tokens": 64,
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "What is a stream?"}],
    "stream": True,
}


def stream(
    stream_id: str,
    chunks: Iterable[Chunk] = (),
    *,
    status: int | None = 200,
    headers: list[tuple[str, str]] = SSE,
    end: How | None = "read",
    error: ErrorInfo | None = None,
    sent: int = 0,
    attempt: int = 0,
    call: str | None = None,
    tags: dict[str, str] | None = None,
    model: str = "claude-haiku-4-5",
    request: dict[str, Any] | None = None,
) -> list[Record]:
    """The records of one stream, sent `sent` ms after WALL."""
    one = Attempt(stream=stream_id, call=call or stream_id, attempt=attempt, secrets=Secrets())
    records: list[Record] = [
        one.request(
            wall=WALL + sent * MS,
            mono=sent * MS,
            method="POST",
            url="/v1/messages",
            headers=[("x-stainless-lang", "python")],
            body=json.dumps(request or {"model": model, **ASKED}).encode(),
            tags=tags,
        )
    ]
    at = 0
    if status is not None:
        url = "https://api.anthropic.com/v1/messages"
        records.append(one.response(at=300 * MS, status=status, headers=headers, url=url, http="HTTP/1.1"))
        at = 300
    for at, wait, data in chunks:
        records += one.chunk(at * MS, wait * MS, data)
    if end is not None:
        records += one.end((at + 5) * MS, 4 * MS, end, error)
    return records


WORDS = ["A", " stream", " is", " a", " sequence", " of", " events", "."]
DISCONNECT = ErrorInfo(
    type="httpx2.RemoteProtocolError",
    message="peer closed connection without sending complete message body (incomplete chunked read)",
)


def text(stream_id: str = "7e470000a1b2c3d4", **options: Any) -> list[Record]:
    return stream(stream_id, text_chunks(WORDS), **options)


def thinking(stream_id: str = "7417000000000001", **options: Any) -> list[Record]:
    chunks = [
        (
            400,
            90,
            sse(message_start("claude-opus-4-5"), block_start(0, type="thinking", thinking="", signature="")),
        ),
        (500, 90, sse(delta(0, "thinking_delta", thinking="Let me"))),
        (600, 90, sse(delta(0, "thinking_delta", thinking=" think."))),
        (700, 90, sse(delta(0, "signature_delta", signature="c2ln"), block_stop(0))),
        (800, 90, sse(block_start(1, type="text", text=""), delta(1, "text_delta", text="Fünf."))),
        (900, 90, sse(block_stop(1), message_delta(12), STOP)),
    ]
    return stream(stream_id, chunks, model="claude-opus-4-5", **options)


def tool(stream_id: str = "7001000000000001", **options: Any) -> list[Record]:
    use = block_start(0, type="tool_use", id="toolu_1", name="get_weather", input={})
    chunks = [
        (400, 90, sse(message_start("claude-sonnet-4-5"), use, delta(0, "input_json_delta", partial_json=""))),
        (500, 90, sse(delta(0, "input_json_delta", partial_json='{"city": "Par'))),
        (600, 90, sse(delta(0, "input_json_delta", partial_json='is"}'))),
        (700, 90, sse(block_stop(0), message_delta(20, "tool_use"), STOP)),
    ]
    return stream(stream_id, chunks, model="claude-sonnet-4-5", **options)


def error_event(stream_id: str = "e440000000000001", **options: Any) -> list[Record]:
    broken = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    return stream(stream_id, [*text_chunks(WORDS)[:4], (600, 90, sse(broken))], **options)


def failed(stream_id: str = "fa11000000000001", **options: Any) -> list[Record]:
    return stream(stream_id, text_chunks(WORDS)[:4], end="failed", error=DISCONNECT, **options)


def truncated(stream_id: str = "7400000000000001", **options: Any) -> list[Record]:
    return stream(stream_id, [*text_chunks(WORDS)[:4], (700, 90, b"event: content_block_del")], **options)


def closed(stream_id: str = "c105000000000001", **options: Any) -> list[Record]:
    return stream(stream_id, text_chunks(WORDS)[:3], end="closed", **options)


def lost(stream_id: str = "1057000000000001", **options: Any) -> list[Record]:
    return stream(stream_id, text_chunks(WORDS)[:3], end=None, **options)


def overloaded(stream_id: str = "5290000000000001", **options: Any) -> list[Record]:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    return stream(stream_id, [(310, 9, body)], status=529, headers=JSON, **options)


def connect_failed(stream_id: str = "c000000000000001", **options: Any) -> list[Record]:
    error = ErrorInfo(type="httpx2.ConnectError", message="[Errno 111] Connection refused")
    return stream(stream_id, status=None, end="failed", error=error, **options)


def whole_body(stream_id: str = "1503000000000001", **options: Any) -> list[Record]:
    answer = {
        "id": "msg_02",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5-20251001",
        "content": [{"type": "text", "text": "Five."}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 8, "output_tokens": 3},
    }
    asked = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "2+3?"}]}
    return stream(stream_id, [(310, 9, json.dumps(answer).encode())], headers=JSON, request=asked, **options)


KINDS = (
    text, thinking, tool, error_event, failed, truncated, closed, lost, overloaded, connect_failed, whole_body,
)  # fmt: skip
OUTCOMES = [
    "complete", "complete", "complete", "error_event", "failed", "truncated", "closed", "lost", "http_error",
    "connect_failed", "complete",
]  # fmt: skip
"""Of KINDS, in their order."""


def every_kind() -> list[list[Record]]:
    """One stream of each kind, sent a second apart."""
    return [kind(sent=1000 * n) for n, kind in enumerate(KINDS)]


def lines(*streams: Iterable[Record], v: int = VERSION) -> bytes:
    """A segment."""
    return encode_line(header(v)) + b"".join(encode_line(record) for records in streams for record in records)


def write(path: Path, *streams: Iterable[Record]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lines(*streams))
    return path
