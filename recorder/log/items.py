"""What the tap tells the writer, item by item, and what the writer did with it."""

from __future__ import annotations

from msgspec import Struct

from recorder.core.records import ErrorInfo, How

UNIT = 512
"""Bytes of a body that count as one item of the queue."""


class Sent(Struct, frozen=True):
    """The request of an attempt."""

    wall: int
    mono: int
    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes
    tags: dict[str, str] | None


class Received(Struct, frozen=True):
    """The response of an attempt. `decoded`: its chunks come without content-encoding."""

    status: int
    headers: list[tuple[str, str]]
    url: str | None
    http: str | None
    decoded: bool


class Ended(Struct, frozen=True):
    """The end of an attempt."""

    how: How
    error: ErrorInfo | None


class Dropped(Struct, frozen=True):
    """Chunks that found the queue full."""

    chunks: int
    bytes: int


Item = bytes | Sent | Received | Ended | Dropped


def weight(item: Item) -> int:
    """Entries in the second deque, beside the item's own."""
    if type(item) is bytes:
        return len(item) // UNIT
    return len(item.body) // UNIT if type(item) is Sent else 0


class Stats(Struct, kw_only=True):
    """What a tap did so far. `*_bytes` in bytes, the rest counts."""

    streams: int = 0
    events: int = 0
    lines: int = 0
    written_bytes: int = 0
    dropped_chunks: int = 0
    dropped_bytes: int = 0
    dropped_streams: int = 0
    """Attempts whose request found the queue full: nothing of them is recorded."""
    lost_records: int = 0
    """What the disk had not taken when the tap was closed."""
    errors: int = 0
    """Failures of our own, of the disk or of the code; the first is logged."""
    sampled_out: int = 0
    """Attempts that are not written because of `sample` and `keep`."""
    given_up: int = 0
    """Attempts that were held until `keep` could be asked, and were too large for it."""
    queue_high_water: int = 0
