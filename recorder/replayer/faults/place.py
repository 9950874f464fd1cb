"""Places in a body, and the body as events that can be edited without moving what is not touched.

A place is written as one value:

    12                  event 12, counted from 0 (`message_start`); -1 is the last one
    "50%" or 0.5        the event half way through the stream (of a body without events: the byte)
    "100b"              byte 100 of the body
    "text_delta"        the first event of that name, delta type or content block type
    "text_delta:3"      the third after it
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec

from recorder.core.payload import as_object, lenient
from recorder.core.sse import Block, SSEParser
from recorder.core.wire import Chunk

from ..script import Script, piece

At = int | float | str
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")
_BYTE = re.compile(r"(\d+)b")
_KIND = re.compile(r"([A-Za-z_][\w.-]*)(?::(\d+))?")


class Part(NamedTuple):
    """The stretch of one chunk that belongs to one frame."""

    chunk: int
    at: int
    data: bytes


class Frame(NamedTuple):
    """One block of an event stream: an event (with a `payload`), a comment, or an unfinished tail."""

    parts: tuple[Part, ...]
    event: str | None
    payload: bytes | None

    @property
    def data(self) -> bytes:
        return b"".join(part.data for part in self.parts)

    @property
    def value(self) -> dict[str, Any] | None:
        """The payload, decoded, where it is a JSON object."""
        return as_object(lenient(self.payload)) if self.payload is not None else None

    def saying(self, data: bytes) -> Frame:
        """The same frame with other bytes, delivered together when it was complete."""
        last = self.parts[-1]
        return Frame((Part(last.chunk, last.at, data),), self.event, self.payload)

    def telling(self, value: dict[str, Any]) -> Frame:
        """The same event with another payload."""
        data = event_bytes(self.event, msgspec.json.encode(value))
        return self.saying(data)

    def called(self, name: str) -> bool:
        """True when it is an event of this name, or its delta or its content block is of this type."""
        if self.payload is None:
            return False
        if self.event == name:
            return True
        value = self.value or {}
        inner = (as_object(value.get(key)) or {} for key in ("delta", "content_block"))
        return value.get("type") == name or any(one.get("type") == name for one in inner)


def event_bytes(name: str | None, payload: bytes) -> bytes:
    """A server-sent event as the API spells it."""
    return (b"event: %s\n" % name.encode() if name else b"") + b"data: %s\n\n" % payload


def check_place(at: At) -> None:
    """Raises ValueError for what is no place."""
    if isinstance(at, str):
        known = _PERCENT.fullmatch(at) or _BYTE.fullmatch(at) or _KIND.fullmatch(at)
        percent = _PERCENT.fullmatch(at)
        if known and not (percent and float(percent[1]) > 100):
            return
    elif isinstance(at, int) or 0 <= at <= 1:
        return
    raise ValueError(
        f"at={at!r} is no place; write 12 (event 12), -1, 50%, 100b (byte 100), text_delta or text_delta:3"
    )


def frames_of(script: Script) -> list[Frame]:
    """The body, block by block; none for a body that is no event stream."""
    if script.encoded or "event-stream" not in script.headers.get("content-type", ""):
        return []
    parser = SSEParser()
    blocks = [*parser.feed(script.body()), *parser.flush()]
    pieces = [(number, chunk.at, memoryview(chunk.data)) for number, chunk in enumerate(script.pieces)][::-1]
    return [_frame(block, pieces) for block in blocks]


def _frame(block: Block, pieces: list[tuple[int, int, memoryview]]) -> Frame:
    """Takes the bytes of the block off the pieces, the first of which is last."""
    parts: list[Part] = []
    missing = len(block.wire)
    while missing:
        number, at, data = pieces.pop()
        parts.append(Part(number, at, bytes(data[:missing])))
        if len(data) > missing:
            pieces.append((number, at, data[missing:]))
        missing -= min(len(data), missing)
    return Frame(tuple(parts), block.event, block.payload)


def with_frames(script: Script, frames: Iterable[Frame]) -> Script:
    """The script with this body: parts of one chunk that follow each other travel together, no time goes back."""
    pieces: list[Chunk] = []
    chunk, before = -1, 0
    for part in (part for frame in frames for part in frame.parts if part.data):
        at = max(before, part.at)
        if pieces and part.chunk == chunk:
            pieces[-1] = piece(pieces[-1].at, pieces[-1].data + part.data)
        else:
            pieces.append(piece(at, part.data))
        chunk, before = part.chunk, at
    return with_pieces(script, pieces)


def with_pieces(script: Script, pieces: Iterable[Chunk]) -> Script:
    """The script with this body; a content-length that no longer holds is left out."""
    headers = {name: value for name, value in script.headers.items() if name != "content-length"}
    return msgspec.structs.replace(script, pieces=tuple(pieces), headers=headers)


def find(frames: Sequence[Frame], at: At) -> int | None:
    """Index of the frame of the event at that place; None when there is none."""
    events = [index for index, frame in enumerate(frames) if frame.payload is not None]
    if not events:
        return None
    if isinstance(at, int):
        return events[at] if -len(events) <= at < len(events) else None
    if (share := _share(at)) is not None:
        return events[min(int(share * len(events)), len(events) - 1)]
    assert isinstance(at, str)
    if byte := _BYTE.fullmatch(at):
        ends = accumulate(len(frame.data) for frame in frames)
        return next((index for index, end in enumerate(ends) if end > int(byte[1]) and index in set(events)), None)
    kind = _KIND.fullmatch(at)
    assert kind is not None, "places are checked when a fault is made"
    named = [index for index in events if frames[index].called(kind[1])]
    number = int(kind[2] or 0)
    return named[number] if number < len(named) else None


def offset_of(script: Script, at: At) -> int | None:
    """The byte at which the event at that place begins, or that byte; None when there is none."""
    size = sum(len(chunk.data) for chunk in script.pieces)
    if isinstance(at, str) and (byte := _BYTE.fullmatch(at)):
        return int(byte[1]) if int(byte[1]) <= size else None
    frames = frames_of(script)
    if not frames and (share := _share(at)) is not None:
        return int(share * size)
    index = find(frames, at)
    return None if index is None else sum(len(frame.data) for frame in frames[:index])


def split_at(script: Script, offset: int) -> tuple[list[Chunk], list[Chunk]]:
    """The pieces before a byte, and those from it on; a chunk that it lies in is cut in two."""
    before: list[Chunk] = []
    after: list[Chunk] = []
    start = 0
    for chunk in script.pieces:
        inside = min(max(offset - start, 0), len(chunk.data))
        if inside:
            before.append(piece(chunk.at, chunk.data[:inside]))
        if inside < len(chunk.data):
            after.append(piece(chunk.at, chunk.data[inside:]))
        start += len(chunk.data)
    return before, after


def _share(at: At) -> float | None:
    if isinstance(at, float):
        return at
    percent = _PERCENT.fullmatch(at) if isinstance(at, str) else None
    return float(percent[1]) / 100 if percent else None
