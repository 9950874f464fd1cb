"""The bytes of an invented answer, and when they come: a call of a script played by the timing model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import Any, NamedTuple

from recorder.core.synthetic import (
    CHARS_PER_TOKEN,
    COALESCED,
    NS,
    Piece,
    cut,
    draw_id,
    draw_pace,
    model_of,
    pings_in,
    tokens_in,
)
from recorder.hygiene.script import Call

_KINDS = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool": ("input_json_delta", "partial_json"),
}
_PING: dict[str, Any] = {"type": "ping"}


class Chunk(NamedTuple):
    """Bytes that arrive together, `at` ns since the send."""

    at: int
    data: bytes


class Answer:
    """What one attempt gets: `headers` at `headers_at`, `chunks`, and `end_at`. Times are ns since the send."""

    def __init__(self, call: Call, random: Random) -> None:
        self._call = call
        self._random = random
        self._pace = draw_pace(random, model_of(str(call.request["model"])))
        self.headers_at = self._pace.headers
        self.headers = {
            "content-type": "text/event-stream; charset=utf-8",
            "request-id": draw_id(random, "req_011C", 20),
        }
        self._chunks: list[tuple[int, list[bytes]]] = []
        self._now = self.headers_at
        self._block = -1
        self._open: str | None = None
        """The kind of the block that was begun and not ended."""
        self._silent = 0
        """ns to wait before the next event."""
        self._chars = 0
        self._play()

    @property
    def chunks(self) -> list[Chunk]:
        return [Chunk(at, b"".join(parts)) for at, parts in self._chunks]

    @property
    def end_at(self) -> int:
        return self._now + int(self._random.uniform(0.0005, 0.002) * NS)

    def _play(self) -> None:
        call = self._call
        self._start()
        for step in call.steps:
            if "wait" in step:
                self._silent += int(step["wait"] * NS)
            elif "event" in step:
                self._send(step["event"], 0)
            else:
                self._say(next(kind for kind in _KINDS if kind in step), step)
        if call.end == "complete":
            self._stop()
            self._finish(call)
        elif call.end == "error_event":
            kind, message = call.error
            error = {"type": kind, "message": message}
            self._send({"type": "error", "error": error, "request_id": self.headers["request-id"]}, 0)
        elif self._silent:
            self._now += self._silent

    def _start(self) -> None:
        message: dict[str, Any] = {
            "model": self._call.request["model"],
            "id": draw_id(self._random, "msg_01", 22),
            "type": "message",
            "role": "assistant",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": self._input_tokens(), "output_tokens": 1},
        }
        self._send({"type": "message_start", "message": message}, int(self._random.uniform(0.001, 0.004) * NS))

    def _input_tokens(self) -> int:
        asked = {name: self._call.request.get(name) for name in ("system", "messages", "tools")}
        return tokens_in(json_of(asked).decode())

    def _say(self, kind: str, step: Mapping[str, Any]) -> None:
        if kind != self._open or kind == "tool":
            self._stop()
            self._begin(kind, step)
        said = json.dumps(step.get("input", {}), ensure_ascii=False) if kind == "tool" else step[kind]
        for piece in cut(said, self._random, self._pace):
            self._delta(kind, piece)

    def _delta(self, kind: str, piece: Piece) -> None:
        name, field = _KINDS[kind]
        delta = {"type": name, field: piece.text}
        gap, coalesced = piece.delta.gap, piece.delta.coalesced and not self._silent
        self._send({"type": "content_block_delta", "index": self._block, "delta": delta}, gap, together=coalesced)
        self._chars += len(piece.text)

    def _begin(self, kind: str, step: Mapping[str, Any]) -> None:
        self._block, self._open = self._block + 1, kind
        match kind:
            case "tool":
                id_ = draw_id(self._random, "toolu_01", 22)
                block: dict[str, Any] = {"type": "tool_use", "id": id_, "name": step["tool"], "input": {}}
            case "thinking":
                block = {"type": "thinking", "thinking": "", "signature": ""}
            case _:
                block = {"type": "text", "text": ""}
        first = self._block == 0
        after = max(self._pace.first - self._now, 0) if first else int(self._random.uniform(0.01, 0.05) * NS)
        self._send({"type": "content_block_start", "index": self._block, "content_block": block}, after)
        if first:
            self._send(_PING, int(self._random.uniform(0.0005, 0.002) * NS))
        if kind == "tool":
            empty = {"type": "input_json_delta", "partial_json": ""}
            self._send({"type": "content_block_delta", "index": self._block, "delta": empty}, NS // 1000)

    def _stop(self) -> None:
        if self._open is None:
            return
        if self._open == "thinking":
            signature = {"type": "signature_delta", "signature": draw_id(self._random, "EqcE", 344)}
            self._send({"type": "content_block_delta", "index": self._block, "delta": signature}, NS // 50)
        self._send({"type": "content_block_stop", "index": self._block}, NS // 500)
        self._open = None

    def _finish(self, call: Call) -> None:
        tools = any("tool" in step for step in call.steps)
        reason = call.stop_reason or ("tool_use" if tools else "end_turn")
        delta = {"stop_reason": reason, "stop_sequence": None}
        usage = {"input_tokens": self._input_tokens(), "output_tokens": max(1, -(-self._chars // CHARS_PER_TOKEN))}
        self._send({"type": "message_delta", "delta": delta, "usage": usage}, NS // 100)
        self._send({"type": "message_stop"}, NS // 1000, together=self._random.random() < COALESCED)

    def _send(self, payload: dict[str, Any], after: int, *, together: bool = False) -> None:
        """One event, `after` ns and the silence that was asked for after the one before, or in its chunk."""
        event = _encoded(payload)
        if together and not self._silent:
            self._chunks[-1][1].append(event)
            return
        for ping in pings_in(self._silent):
            self._chunks.append((self._now + ping, [_encoded(_PING)]))
        self._now += after + self._silent
        self._silent = 0
        self._chunks.append((self._now, [event]))


def refusal(status: int, random: Random) -> tuple[dict[str, str], bytes]:
    """Headers and body of an attempt that is answered with this status."""
    known = {429: "rate_limit_error", 529: "overloaded_error", 401: "authentication_error"}
    kind = known.get(status, "invalid_request_error" if status < 500 else "api_error")
    request_id = draw_id(random, "req_011C", 20)
    error = {"type": kind, "message": kind.removesuffix("_error").replace("_", " ").capitalize()}
    body = json_of({"type": "error", "error": error, "request_id": request_id})
    return {"content-type": "application/json", "request-id": request_id}, body


def json_of(value: object) -> bytes:
    """As the API spells it; ASCII where there is half a surrogate pair in it, which UTF-8 has no bytes for."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def _encoded(payload: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (str(payload["type"]).encode(), json_of(payload))
