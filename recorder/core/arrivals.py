"""The records of one stream as moments: what arrived when, where output paused, which blocks there were.

    arrival    response headers, a chunk of the body, or the end. Of the records that one chunk completed the
               first is `fresh`; a chunk that ended inside a record is an arrival of its own
    output     an event that carries model output: a `content_block_delta` with characters that is no
               signature, or a `content_block_start` with characters (a block that arrives whole)
    pause      from one moment of progress to the next: headers, each output, the end
    gap        a pause between two outputs of one block that came in different chunks
    hold       from an arrival to the read that brings the next: the application's time, not the server's
    censored   the read that brought it hardly blocked (`CENSORED_NS`): the bytes were there before they were asked
               for. They came at some time since the last arrival whose read did block (or the headers): no later
               one will do, because one read of the socket may take in several chunks. Where that is less than
               `CENSORED_NS` ago the arrival is as good as known

Where records were dropped nothing is known: no pause, hold or silence is counted that touches a `gap` record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

from .records import Bytes, End, Event, Gap, Request, Response, StreamRecord

CENSORED_NS = 500_000
"""A read that takes less has not waited for anybody."""
Moment = Response | Event | Bytes | Gap | End
_HEADERS, _DROPPED = -1, -2
"""Chunk ordinals of what is no chunk. The end takes the ordinal that the next chunk would have had."""


class Arrival(Struct, frozen=True):
    """A record, or a chunk that ended inside it. Times in ns."""

    record: Moment
    at: int
    wait: int
    chunk: int
    whole: bool
    """The record is complete here; false for a chunk that ended inside it."""
    fresh: bool
    """It did not come in the same chunk as what stands before it."""
    silence: int | None
    """Since the arrival before, or the send. None: not known."""
    hold: int | None
    """None: not known, or not fresh."""
    earliest: int
    """It came at this time or later, and no later than `at`. Equal to `at` unless it is censored."""

    @property
    def censored(self) -> bool:
        """The application came for it late: when it arrived is only known to lie from `earliest` to `at`."""
        return self.earliest < self.at

    @property
    def is_body(self) -> bool:
        return isinstance(self.record, Event | Bytes) or not self.whole

    @property
    def is_progress(self) -> bool:
        """Pauses begin and end here, or are broken off by a gap record."""
        return self.whole and (isinstance(self.record, Response | Gap | End) or is_output(self.record))


class Pause(Struct, frozen=True):
    """From one progress to the next: positions in the arrivals, and ns."""

    before: int
    after: int
    ns: int
    is_gap: bool


class Block(Struct):
    """A content block: its start, stop, first and last output in ns. None: not recorded."""

    index: int
    type: str | None = None
    start: int | None = None
    stop: int | None = None
    first: int | None = None
    last: int | None = None


class Stream:
    """The records of one stream, by `seq`."""

    def __init__(self, records: Iterable[StreamRecord]) -> None:
        records = list(records)
        self.unknown = next((one.unknown for one in records if isinstance(one, Request) and one.unknown), ())
        """What an imported stream does not tell."""
        self.arrivals = list(_arrivals(records))
        whole = [arrival.record for arrival in self.arrivals if arrival.whole]
        self.response = next((record for record in whole if isinstance(record, Response)), None)
        self.end = next((record for record in whole if isinstance(record, End)), None)
        self.events = [record for record in whole if isinstance(record, Event)]
        self.outputs = [event for event in self.events if is_output(event)]
        self.pauses = list(_pauses(self.arrivals))
        self.blocks = _blocks(self.events)

    @property
    def last_at(self) -> int:
        return self.arrivals[-1].at if self.arrivals else 0


def is_output(record: Moment) -> bool:
    """Whether the record is an event that carries model output."""
    if not isinstance(record, Event) or not record.chars:
        return False
    if record.event == "content_block_delta":
        return record.delta != "signature_delta"
    return record.event == "content_block_start"


def _arrivals(records: Iterable[StreamRecord]) -> Iterator[Arrival]:
    before: Arrival | None = None
    blocked: int | None = None
    for record, at, wait, chunk, whole in _moments(records):
        known = not isinstance(record, Gap) and not (before and isinstance(before.record, Gap))
        fresh = before is None or before.chunk != chunk
        silence = max(0, at - (before.at if before else 0)) if known else None
        hold = max(0, at - wait - before.at) if known and before and fresh else None
        earliest = at
        if isinstance(record, Response) or wait >= CENSORED_NS:
            blocked = at
        elif blocked is not None and at - blocked >= CENSORED_NS and not isinstance(record, Gap):
            earliest = blocked
        before = Arrival(record, at, wait, chunk, whole, fresh, silence, hold, earliest)
        yield before


def _moments(records: Iterable[StreamRecord]) -> Iterator[tuple[Moment, int, int, int, bool]]:
    """(record, at, wait, chunk, whole): the chunks that ended inside a record before the record."""
    for record in records:
        match record:
            case Request():
                continue
            case Response():
                yield record, record.at, 0, _HEADERS, True
            case Gap():
                yield record, record.at, 0, _DROPPED, True
            case Event() | Bytes() | End():
                chunk = record.chunks if isinstance(record, End) else record.chunk
                split = record.split or ()
                for ordinal, (_, at, wait) in enumerate(split, chunk - len(split)):
                    yield record, at, wait, ordinal, False
                yield record, record.at, record.wait, chunk, True


def _pauses(arrivals: Sequence[Arrival]) -> Iterator[Pause]:
    progress = [(place, arrival) for place, arrival in enumerate(arrivals) if arrival.is_progress]
    for (i, before), (j, after) in pairwise(progress):
        if isinstance(before.record, Gap) or isinstance(after.record, Gap):
            continue
        is_gap = (
            isinstance(before.record, Event)
            and isinstance(after.record, Event)
            and before.record.block == after.record.block
            and before.chunk != after.chunk
        )
        yield Pause(i, j, after.at - before.at, is_gap)


def _blocks(events: Iterable[Event]) -> dict[int, Block]:
    blocks: dict[int, Block] = {}
    for event in events:
        if event.block is None:
            continue
        block = blocks.setdefault(event.block, Block(event.block))
        if event.event == "content_block_start" and block.start is None:
            block.start, block.type = event.at, event.delta
        if event.event == "content_block_stop":
            block.stop = event.at
        if is_output(event):
            block.first = event.at if block.first is None else block.first
            block.last = event.at
    return blocks
