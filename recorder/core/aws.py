"""Amazon's binary event stream to events: `feed` bytes, `flush` at the end, as in sse.py, without any AWS package.

A frame (https://smithy.io/2.0/aws/amazon-eventstream.html), all integers big-endian:

    total length 4 | headers length 4 | CRC-32 of these 4 | headers | body | CRC-32 of all before 4

Bedrock wraps each event of a stream in one: `:event-type` is `chunk` and the body `{"bytes": base64, "p": …}`,
where `bytes` is the payload that `data:` has elsewhere and `p` padding. The event has no name but the payload's
`type`. A frame of message type `exception` or `error` is an `error` event, as the SDK makes it one.

What is no such frame is a block that dispatches nothing. Behind a prelude that cannot be right, and behind a hole,
the next right one is searched for: its checksum finds it, in time linear in the body.
"""

from __future__ import annotations

import binascii
import json
import re
import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from zlib import crc32

import msgspec
from msgspec import Struct

from .payload import as_object, lenient
from .sse import Block

CONTENT_TYPE = "application/vnd.amazon.eventstream"
MAX_HEADERS = 128 << 10
MAX_BODY = 24 << 20
"""Bytes; botocore's limits. A prelude that names more is none."""
PIECE = 1 << 20
"""Bytes that are no frame in one block: bounds what is held of a body that only says it is an event stream."""
_PRELUDE = struct.Struct(">III")
_OVERHEAD = _PRELUDE.size + 4
_LIKE_A_PRELUDE = re.compile(rb"(?=[\x00\x01][\s\S]{3}\x00[\x00-\x02][\s\S]{6})")
"""The high bytes of lengths within the limits: leaves few places at which a checksum has to be computed."""
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value, by the type of the header. Types 6 (bytes) and 7 (text) say their length."""


class _Chunk(Struct):
    bytes: str


class _Typed(Struct):
    type: str


_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_typed = msgspec.json.Decoder(_Typed).decode


class EventStreamParser:
    """Incremental parser: `feed(bytes)` gives the blocks completed by these bytes."""

    __slots__ = ("_buffer", "_lost", "_searched")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lost = False
        """What comes next is no frame; one has to be found."""
        self._searched = 0

    def feed(self, data: bytes) -> list[Block]:
        """Take the next bytes of the body; give the blocks that they complete."""
        self._buffer += data
        blocks: list[Block] = []
        while self._buffer:
            if self._lost and not self._find(blocks):
                break
            if len(self._buffer) < _PRELUDE.size:
                break
            size = _frame_size(self._buffer)
            if not size:
                self._lost = True
                continue
            if len(self._buffer) < size:
                break
            blocks.append(_parse(self._take(size)))
        return blocks

    def flush(self) -> list[Block]:
        """No more bytes come: give what is left, which is no frame."""
        blocks = [Block(self._take(len(self._buffer)))] if self._buffer else []
        self._lost, self._searched = False, 0
        return blocks

    def resync(self) -> None:
        """Bytes are missing here: what comes up to the next frame dispatches nothing. Call it after `flush`."""
        self._lost = True

    def _find(self, blocks: list[Block]) -> bool:
        """Put what stands before the next frame into `blocks`; False when there is none yet."""
        start = _next_prelude(self._buffer, self._searched)
        found = start is not None
        self._searched = start if start is not None else max(0, len(self._buffer) - _PRELUDE.size + 1)
        while self._searched >= PIECE:
            blocks.append(Block(self._take(PIECE)))
            self._searched -= PIECE
        if found:
            if self._searched:
                blocks.append(Block(self._take(self._searched)))
            self._lost, self._searched = False, 0
        return found

    def _take(self, size: int) -> bytes:
        taken = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        return taken


def frame(headers: Mapping[str, str], body: bytes) -> bytes:
    """One frame, with text headers."""
    encoded = b"".join(
        struct.pack(">B", len(key)) + key + struct.pack(">BH", 7, len(text)) + text
        for key, text in ((name.encode(), value.encode()) for name, value in headers.items())
    )
    prelude = struct.pack(">II", _OVERHEAD + len(encoded) + len(body), len(encoded))
    wire = prelude + struct.pack(">I", crc32(prelude)) + encoded + body
    return wire + struct.pack(">I", crc32(wire))


def with_payload(wire: bytes, payload: bytes) -> Block:
    """The event of the frame `wire`, with another payload in it and another frame around it."""
    headers, body = _parts(wire)
    if _is_error(headers):
        said = as_object((as_object(lenient(payload)) or {}).get("error")) or {}
        kind, message = str(said.get("type")), str(said.get("message"))
        if ":exception-type" in headers:
            headers = {":message-type": "exception", ":exception-type": kind}
            body = json.dumps({"message": message}).encode()
        else:
            headers = {":message-type": "error", ":error-code": kind, ":error-message": message}
    else:
        members: dict[str, Any] = as_object(lenient(body)) or {}
        body = json.dumps({**members, "bytes": b64encode(payload).decode("ascii")}).encode()
    return _parse(frame(headers, body))


def _next_prelude(buffer: bytearray, start: int) -> int | None:
    candidates = _LIKE_A_PRELUDE.finditer(buffer, start)
    return next((one.start() for one in candidates if _frame_size(buffer, one.start())), None)


def _frame_size(buffer: bytearray, start: int = 0) -> int:
    """Bytes of the frame whose prelude stands at `start`; 0 when that is no prelude."""
    total, headers, checksum = _PRELUDE.unpack_from(buffer, start)
    body = total - headers - _OVERHEAD
    if headers > MAX_HEADERS or not 0 <= body <= MAX_BODY:
        return 0
    return total if crc32(buffer[start : start + 8]) == checksum else 0


def _parse(wire: bytes) -> Block:
    """The block of one frame, whose lengths are right."""
    try:
        headers, body = _parts(wire)
        if _is_error(headers):
            return Block(wire, "error", _error(headers, body), framed=True)
        if headers.get(":event-type") == "chunk":
            payload = b64decode(_carried(body))
            name = _name(payload)
            return Block(wire, name, payload, framed=True) if name and payload else Block(wire)
    except (ValueError, LookupError, TypeError, struct.error, RecursionError):
        pass  # what stands in it is not what Bedrock sends
    return Block(wire)


def _carried(body: bytes) -> str:
    try:
        return _decode_chunk(body).bytes
    except (msgspec.MsgspecError, UnicodeDecodeError):  # JSON that only `json`, and so botocore, takes
        return json.loads(body)["bytes"]


def _parts(wire: bytes) -> tuple[Mapping[str, str], bytes]:
    """The text headers and the body of a frame. Raises ValueError, LookupError or struct.error."""
    if crc32(memoryview(wire)[:-4]) != int.from_bytes(wire[-4:], "big"):
        raise binascii.Error("checksum")
    end = _PRELUDE.size + _PRELUDE.unpack_from(wire)[1]
    return _text_headers(wire[_PRELUDE.size : end]), wire[end:-4]


@lru_cache(maxsize=16)  # nearly every frame of a stream has the same
def _text_headers(head: bytes) -> Mapping[str, str]:
    at, headers = 0, dict[str, str]()
    while at < len(head):
        name_end = at + 1 + head[at]
        kind = head[name_end]
        value = name_end + 1
        if kind in (6, 7):
            value += 2
            size = int.from_bytes(head[value - 2 : value], "big")
        else:
            size = _SIZES[kind]
        if kind == 7:
            headers[head[at + 1 : name_end].decode()] = head[value : value + size].decode()
        at = value + size
    if at != len(head):
        raise ValueError("a header that ends behind the last")
    return headers


def _is_error(headers: Mapping[str, str]) -> bool:
    return headers.get(":message-type") in ("exception", "error")


def _error(headers: Mapping[str, str], body: bytes) -> bytes:
    """The payload of the `error` event that the SDK makes of the frame."""
    if kind := headers.get(":exception-type"):
        said = as_object(lenient(body)) or {}
        message = said.get("Message", said.get("message", ""))
    else:
        kind, message = headers.get(":error-code", ""), headers.get(":error-message", "")
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()


def _name(payload: bytes) -> str | None:
    """The event's name, as the SDK has it; None for a payload that it skips. Raises UnicodeDecodeError."""
    payload.decode()
    try:
        return _decode_typed(payload).type
    except (msgspec.MsgspecError, UnicodeDecodeError):
        members = as_object(lenient(payload))
    if members is None:
        return "completion"
    kind = members.get("type")
    return kind if isinstance(kind, str) else "completion" if "completion" in members else None
