"""What Bedrock sends: events of a message in Amazon's binary framing. Written apart from the library's decoder."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from collections.abc import Iterable, Mapping

import msgspec

from recorder.testing.reply import Ending, Headers, Reply, Step, pairs

_CONTENT_TYPE = ("content-type", "application/vnd.amazon.eventstream")


def bedrock_event(payload: Mapping[str, object] | bytes, *, padding: str = "abcdefgh") -> bytes:
    """One frame that carries `payload` (bytes: as they are), as Bedrock writes it."""
    inner = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    body = msgspec.json.encode({"bytes": b64encode(inner).decode(), "p": padding})
    return bedrock_frame(
        {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}, body
    )


def bedrock_exception(kind: str, message: str) -> bytes:
    """A frame that ends a stream with an exception, such as `throttlingException`."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return bedrock_frame(headers, msgspec.json.encode({"message": message}))


def bedrock_frame(headers: Mapping[str, str], body: bytes) -> bytes:
    """Any frame with text headers."""
    head = b"".join(
        _text(name.encode(), "B") + b"\x07" + _text(value.encode(), "H") for name, value in headers.items()
    )
    sizes = struct.pack(">II", len(head) + len(body) + 16, len(head))
    frame = sizes + struct.pack(">I", zlib.crc32(sizes)) + head + body
    return frame + struct.pack(">I", zlib.crc32(frame))


def bedrock_reply(
    events: Iterable[Mapping[str, object] | bytes],
    *,
    first: int = 0,
    gap: int = 0,
    headers: Headers = (),
    end: Ending = "read",
) -> Reply:
    """As `Reply.sse`, in this framing: one step per event, at `first` and then every `gap` (ns).

    A mapping is framed by `bedrock_event`; bytes are sent as they are.
    """
    steps = tuple(
        Step(at=first + i * gap, data=event if isinstance(event, bytes) else bedrock_event(event))
        for i, event in enumerate(events)
    )
    return Reply(headers=(_CONTENT_TYPE, *pairs(headers)), steps=steps, end=end)


def _text(value: bytes, size: str) -> bytes:
    return struct.pack(f">{size}", len(value)) + value
