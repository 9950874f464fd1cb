"""Records back to the bytes and chunks that they were made from: the inverse of attempt.py."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable

from msgspec import Struct

from .records import Bytes, End, Event, Record, Request
from .sse import usual_frame


class Chunk(Struct, frozen=True, gc=False):
    """Body bytes as the transport delivered them, after content-decoding.

    `at`: ns since the request was sent; `wait`: ns the read blocked.
    """

    at: int
    wait: int
    data: bytes


class NotRecorded(ValueError):
    """The bytes of the body were not recorded, only their number and their hash."""


def payload(record: Event | Bytes | Request) -> bytes:
    """What `data`, `text` or `base64` of the record stand for; of an event, the payload it dispatched."""
    if data := bytes(record.data):
        return data
    if record.text is not None:
        return record.text.encode("utf-8", "surrogatepass")
    if record.base64 is not None and not isinstance(record, Event):
        return b64decode(record.base64)
    return b""


def wire(record: Event | Bytes) -> bytes:
    """The exact body bytes of the record; none for one whose text was left out. Raises NotRecorded."""
    if type(record) is Bytes:
        return _wire_of_bytes(record)
    assert isinstance(record, Event)
    if record.size is not None:
        return b""
    if record.raw is not None:
        return record.raw.encode()
    if record.base64 is not None:
        return b64decode(record.base64)
    if record.frame is not None:
        return record.frame[0].encode() + payload(record) + record.frame[1].encode()
    before, after = usual_frame(record.event)
    return b"%b%b%b" % (before, bytes(record.data) or payload(record), after)


def _wire_of_bytes(record: Bytes) -> bytes:
    if record.sha256 is not None:
        raise NotRecorded(f"stream {record.stream}: its body is large and binary: only its size and hash are kept")
    return b"" if record.size is not None else payload(record)


def body(records: Iterable[Record]) -> bytes:
    """The body of a stream, after content-decoding, byte for byte. Raises NotRecorded."""
    return b"".join(wire(record) for record in records if isinstance(record, Event | Bytes))


def chunks(records: Iterable[Record]) -> list[Chunk]:
    """The chunks of a stream: their bytes, and when and how long the application waited for each.

    How the boundaries are stored is told in FORMAT.md, "Chunks". Raises NotRecorded.
    """
    done: list[Chunk] = []
    parts: list[bytes] = []
    last: Event | Bytes | None = None
    for record in records:
        if type(record) is Event and last is not None and record.split is None and record.chunk == last.chunk + 1:
            done.append(Chunk(last.at, last.wait, parts[0] if len(parts) == 1 else b"".join(parts)))
            parts, last = [wire(record)], record  # nearly every record: a chunk that is an event
            continue
        if not isinstance(record, Event | Bytes | End):
            continue
        ended = 0 if last is None else _ended(last, record)
        splits = record.split or ()
        if last is not None and len(splits) == ended - 1:
            done.append(Chunk(last.at, last.wait, b"".join(parts)))
            parts = []
        if isinstance(record, End):
            done.extend(Chunk(at, wait, b"") for _, at, wait in splits)
            return done
        data = wire(record)
        if splits:
            start = 0
            for offset, at, wait in splits:
                done.append(Chunk(at, wait, b"".join(parts) + data[start:offset]))
                parts, start = [], offset
            data = data[start:]
        parts.append(data)
        last = record
    if last is not None:
        done.append(Chunk(last.at, last.wait, b"".join(parts)))
    return done


def _ended(last: Event | Bytes, record: Event | Bytes | End) -> int:
    """How many chunks ended after `last` was complete, the one that completed it included, before `record` was."""
    return (record.chunks if isinstance(record, End) else record.chunk) - last.chunk
