"""A recorded stream changed so that it is one that could have been recorded: cut, trimmed, told in other times.

Records in, records out. `seq`, chunks, totals and the summary of `end` are made to fit what is left, times stay
relative to the send, and a read that takes longer waits longer. Holes stay holes: what was missing before is
missing after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from . import wire
from .payload import as_object, lenient
from .places import find, time_of
from .records import (
    Bytes,
    End,
    ErrorInfo,
    Event,
    How,
    Phases,
    Request,
    Response,
    StreamRecord,
    Summary,
)
from .retime import Times
from .summary import Summarizer

Ending = Literal["failed", "truncated", "closed", "timeout", "lost"]
ENDINGS: dict[str, tuple[How, ErrorInfo | None]] = {
    "failed": (
        "failed",
        ErrorInfo(
            type="httpx2.RemoteProtocolError",
            message="peer closed connection without sending complete message body (incomplete chunked read)",
        ),
    ),
    "timeout": ("failed", ErrorInfo(type="httpx2.ReadTimeout", message="The read operation timed out")),
    "closed": ("closed", None),
}
"""How a body ends that ends so, and the exception; one that is not named here was read to its end."""


class EditError(ValueError):
    """A stream cannot be changed so."""


class Edit(Struct, frozen=True, kw_only=True):
    """What is done to a stream, in this order; places are those of the stream as it was."""

    trims: tuple[tuple[str, str], ...] = ()
    """Events from one place up to another, left out; what comes after keeps its times."""
    cut: str | None = None
    """The first event that does not come any more."""
    end: Ending = "failed"
    """How it ends there."""
    times: Times = Times()


class Kept(NamedTuple):
    """A record as it is now, and as it was; None for one that was made here."""

    new: StreamRecord
    old: StreamRecord | None


class Edited(NamedTuple):
    """The records of a stream, the names of the edits that changed it, and what of a time (ns) became."""

    records: list[Kept]
    done: tuple[str, ...]
    moved: Callable[[int], int]


def edited(records: Sequence[StreamRecord], edit: Edit) -> Edited:
    """The stream after `edit`. A place that it does not have changes nothing.

    Raises EditError for what could not have been recorded.
    """
    dropped, done = set[int](), list[str]()
    for first, last in edit.trims:
        if span := _span(records, first, last):
            dropped |= {n for n in span if isinstance(records[n], Event | Bytes)}
            done.append("trim")
    kept = [Kept(one, one) for n, one in enumerate(records) if n not in dropped]
    kept = _closed_up(records, dropped) if dropped else kept
    if edit.cut is not None and (place := find(records, edit.cut)) is not None:
        stop = sum(n not in dropped for n in range(place))
        kept = _cut(kept, stop, records[place], edit)
        done.append("cut")
    if dropped or "cut" in done:
        kept = _recounted(records, kept)
    moved = edit.times.of([one.new for one in kept])
    if edit.times.change:
        kept = [Kept(moved.record(one.new), one.old) for one in kept]
        done.append("retime")
    return Edited(kept, tuple(dict.fromkeys(done)), moved.moment)


def _span(records: Sequence[StreamRecord], first: str, last: str) -> range:
    """Positions from one place up to another; a time past the end is the end."""
    start, stop = find(records, first), find(records, last)
    if start is None:
        return range(0)
    if stop is None and time_of(last) is not None:
        stop = len(records)
    return range(start, stop if stop is not None else start)


def _closed_up(records: Sequence[StreamRecord], dropped: set[int]) -> list[Kept]:
    """What is left: numbered without the dropped records, and waited for as long as those were."""
    kept: list[Kept] = []
    last, last_new = -1, -1
    """Ordinal of the chunk that completed the last record of the body: as it was, and as it is now."""
    owed: dict[int, int] = {}
    """ns waited for chunks of which nothing is left, so far."""
    waits: dict[int, int] = {}
    """What was waited for each chunk that is left, by its ordinal now."""
    for n, record in enumerate(records):
        renumbered = record if isinstance(record, Request) else replace(record, seq=record.seq - (n - len(kept)))
        if not isinstance(record, Event | Bytes | End):
            kept.append(Kept(renumbered, record))
            continue
        splits = len(record.split or ())
        start = _ordinal(record) - splits
        if n in dropped:
            owed |= {ordinal: wait for ordinal, wait in _reads(record) if ordinal > last}
            continue
        before = sum(wait for ordinal, wait in owed.items() if ordinal < start)
        owed = {}
        fresh = last < 0 or start > last
        chunk = (last_new + 1 if fresh else last_new) + splits
        kept.append(Kept(_placed(renumbered, chunk, before if fresh else 0, waits), record))
        last, last_new = _ordinal(record), chunk
    return kept


def _ordinal(record: Event | Bytes | End) -> int:
    return record.chunks if isinstance(record, End) else record.chunk


def _reads(record: Event | Bytes | End) -> Iterator[tuple[int, int]]:
    """(ordinal of the chunk, ns waited for it) of the chunks that ended in the record."""
    splits = record.split or ()
    yield from enumerate((wait for _, _, wait in splits), _ordinal(record) - len(splits))
    yield _ordinal(record), record.wait


def _placed(record: StreamRecord, chunk: int, more: int, waits: dict[int, int]) -> StreamRecord:
    """The record with another ordinal, and its first read waiting `more`."""
    assert isinstance(record, Event | Bytes | End)
    split, wait = record.split, record.wait
    if split:
        offset, at, first = split[0]
        split = ((offset, at, first + more), *split[1:])
    else:
        wait += more
    wait = waits.setdefault(chunk, wait)
    if isinstance(record, End):
        return replace(record, chunks=chunk, split=split, wait=wait)
    return replace(record, chunk=chunk, split=split, wait=wait)


def _cut(kept: list[Kept], stop: int, first: StreamRecord, edit: Edit) -> list[Kept]:
    """The records before `stop`, and the end that comes instead of `first`, the first that does not come."""
    left = kept[:stop]
    assert edit.cut is not None
    response = next((one.new for one in kept if isinstance(one.new, Response)), None)
    has_response = any(isinstance(one.new, Response) for one in left)
    if edit.end == "truncated" and not has_response:
        raise EditError(
            "a stream that is cut before its response was not read to its end; --end failed is possible"
        )
    if edit.end == "lost":
        return left
    last = left[-1].new
    at = first.at if (time := time_of(edit.cut)) is None else time
    began = first.at - (first.wait if isinstance(first, Event | Bytes | End) else first.at)
    how, error = ENDINGS.get(edit.end, ("read", None))
    end = End(
        stream=last.stream,
        seq=last.seq + 1,
        at=at,
        end=how,
        complete=False,
        events=0,
        bytes=0,
        chunks=_chunks_in(left),
        wait=max(0, at - max(began, last.at)) if has_response else 0,
        url=None if has_response or response is None else response.url,
        error=error,
        phases=None if has_response or response is None else _phases_until(response, at),
        reused=None if has_response or response is None else response.reused,
    )
    return [*left, Kept(end, None)]


def _chunks_in(kept: Sequence[Kept]) -> int:
    ordinals = [one.new.chunk for one in kept if isinstance(one.new, Event | Bytes)]
    return ordinals[-1] + 1 if ordinals else 0


def _phases_until(response: Response, at: int) -> Phases | None:
    phases = response.phases
    if phases is None:
        return None
    spans = {name: getattr(phases, name) for name in phases.__struct_fields__}
    begun = {name: (span[0], min(span[1], at)) for name, span in spans.items() if span and span[0] < at}
    return Phases(**begun)


def _recounted(records: Sequence[StreamRecord], kept: list[Kept]) -> list[Kept]:
    """Totals and summary of the end, for what is left."""
    *body, last = kept
    if not isinstance(last.new, End):
        return kept
    left = [one.new for one in body]
    was = next((one for one in records if isinstance(one, End)), None)
    gone = sum(map(_size, records)) - sum(map(_size, left))
    events = [one for one in left if isinstance(one, Event)]
    said = was.summary if was else None
    stopped = last.old is not None and not gone and was is not None and was.complete
    if any(isinstance(one, Event) for one in records):
        said, stopped = _summary(events, said)
    elif gone:
        said = None
    end = replace(
        last.new,
        events=len(events),
        bytes=max(0, was.bytes - gone) if was else sum(map(_size, left)),
        complete=stopped,
        summary=said,
    )
    return [*body, Kept(end, last.old)]


def _size(record: StreamRecord) -> int:
    if not isinstance(record, Event | Bytes):
        return 0
    return record.size if record.size is not None else len(wire.wire(record))


def _summary(events: Sequence[Event], was: Summary | None) -> tuple[Summary | None, bool]:
    """What the events say, and whether the terminal one is among them. `was`: what all of them said."""
    if any(event.size is not None for event in events):  # without text: what was said, as far as it still holds
        names = {event.event for event in events}
        said = was or Summary()
        usage = {name: value for name, value in (said.usage or {}).items() if name != "output_tokens"}
        if "message_delta" not in names:
            said = replace(said, stop_reason=None, usage=usage or None)
        return (said if "message_start" in names and said != Summary() else None), "message_stop" in names
    summarizer = Summarizer()
    for event in events:
        data = wire.payload(event)
        if (value := as_object(lenient(data))) is not None:
            summarizer.event(event.event, value)
        summarizer.stopped = summarizer.stopped or data == b"[DONE]"
    return summarizer.record(), summarizer.stopped
