"""Is a recording what FORMAT.md promises? Reads everything, changes nothing, and says where it is not so.

Checked are the lines (by the reader), the footers, the order of each stream's records, what the records repeat
of their payloads, the totals and the summary of `end`, and that the body and its chunks come back. A torn last
line, a stream without `end` and a segment without a footer are what a killed process leaves behind: the first
is a warning, the second is counted, the third is said, none is a problem. Nor is a record of an unknown kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from recorder.core import wire
from recorder.core.framing import Parser, parser_for
from recorder.core.payload import read
from recorder.core.records import (
    Bytes,
    End,
    Event,
    Footer,
    Gap,
    Header,
    Request,
    Response,
    StreamRecord,
    Summary,
    Unknown,
)
from recorder.core.sse import Block, SSEParser
from recorder.core.summary import Summarizer

from .footers import Footers
from .lock import is_live
from .reader import Problem, RecordingError, read_records

_COUNTS = ("at", "wait", "wall", "mono", "attempt", "status", "chunk", "events", "bytes", "chunks", "size")
"""Fields that are times or counts: never negative, and within 64 bits."""


class FileCheck(Struct, kw_only=True):
    """What was found in one segment. Counts, but for `problems` and `warnings`.

    `lost`: streams that begin here and have no `end`. `gaps`: chunks that the tap could not record.
    `unknown`: records of a kind that this version does not know.
    `sealed`: it ends with a footer, so nothing is missing at its end. `live`: its writer has it open.
    `unreadable`: why there was nothing to check, when the file is no recording, is newer, or cannot be opened.
    """

    path: Path
    lines: int = 0
    streams: int = 0
    events: int = 0
    lost: int = 0
    gaps: int = 0
    unknown: int = 0
    sealed: bool = False
    live: bool = False
    problems: list[Problem] = []
    warnings: list[Problem] = []
    unreadable: RecordingError | None = None


def verify(paths: Iterable[Path]) -> list[FileCheck]:
    """Check the segments of a recording, in this order. Raises nothing for what it finds in them."""
    checks: list[FileCheck] = []
    streams = _Streams()
    for path in paths:
        check = FileCheck(path=path)
        checks.append(check)
        try:
            _read_file(check, streams)
        except RecordingError as error:
            check.unreadable = error
            check.problems.append(Problem(error.path, error.line, error.reason, "corrupt"))
    for stream in streams.open.values():
        stream.check.lost += 1
    return checks


class _Streams:
    """What is known of the streams of all segments: an open one as a whole, an ended one by name."""

    def __init__(self) -> None:
        self.open: dict[str, _Stream] = {}
        self._ended: set[str] = set()
        self._rooted: set[str] = set()
        """Segments that are here with all before them."""
        self._uprooted: set[str] = set()
        self._beheaded = False
        """Something before this segment is not here: streams that began there cannot be checked."""

    def header(self, header: Header) -> str | None:
        """What is to be said of a segment that starts."""
        previous = header.previous
        self._beheaded = previous is not None and previous not in self._rooted
        if previous is None or not self._beheaded:
            self._rooted.add(header.segment)
            return None
        known = previous in self._uprooted
        self._uprooted.add(header.segment)
        said = f"segment {previous}, which it goes on from, is not here: streams that began there are left out"
        return None if known else said

    def take(self, record: StreamRecord, check: FileCheck) -> list[str]:
        """What is wrong with `record`, the next one of its stream."""
        name, wrong = record.stream, list[str]()
        if name in self._ended:
            if not isinstance(record, Request):
                return [f"{_kind(record)} after its end"]
            self._ended.remove(name)
            wrong.append("it is there twice")
        if name not in self.open:
            if self._beheaded and not isinstance(record, Request):
                return []
            self.open[name] = _Stream(check)
            check.streams += 1
        try:
            return [*wrong, *self.open[name].take(record)]
        except ValueError as error:  # base64 that is none
            return [f"its bytes cannot be read: {error}"]
        finally:
            if isinstance(record, End):
                del self.open[name]
                self._ended.add(name)


def _read_file(check: FileCheck, streams: _Streams) -> None:
    path, footers = check.path, Footers()
    for number, record in read_records(
        path, salvage=True, report=lambda problem: _sort(problem, check), observe=footers.observe
    ):
        check.lines += 1
        wrong = footers.take(record)
        if isinstance(record, Header):
            if said := streams.header(record):
                check.warnings.append(Problem(path, number, said, "missing"))
        elif isinstance(record, Unknown):
            check.unknown += 1
        elif not isinstance(record, Footer):
            check.events += isinstance(record, Event)
            check.gaps += record.chunks if isinstance(record, Gap) else 0
            wrong += [f"stream {record.stream}: {reason}" for reason in streams.take(record, check)]
        check.problems += [Problem(path, number, reason, "contradiction") for reason in wrong]
    if footers.damaged:
        check.problems.append(Problem(path, None, "a footer that is no record", "contradiction"))
    check.sealed = footers.sealed
    with suppress(OSError):
        check.live = not check.sealed and is_live(path)


def _sort(problem: Problem, check: FileCheck) -> None:
    harmless = problem.kind in ("torn", "empty")
    (check.warnings if harmless else check.problems).append(problem)


class _Stream:
    """One stream, record by record: what was seen of it, to hold the next record against."""

    def __init__(self, check: FileCheck) -> None:
        self.check = check
        """Of the file in which the stream begins."""
        self._next_seq = 0
        self._at = 0
        self._last: Event | Bytes | None = None
        self._response: Response | None = None
        self._events = self._bytes = self._pieces = 0
        self._whole = True
        """Every payload is there, as it was sent: nothing was redacted or left out, no gap."""
        self._counted = True
        """The size of everything that was sent is known."""
        self._opaque = False
        """The body, or the rest of it, could not be decoded: its events are not known."""
        self._summary = Summarizer()

    def take(self, record: StreamRecord) -> Iterator[str]:
        """What is wrong with `record`, the next one of the stream."""
        yield from self._order(record)
        match record:
            case Response():
                if self._response is not None or self._last is not None:
                    yield "a response that is not its second record"
                self._response = record
                self._opaque = record.encoded is not None
            case Event():
                self._events += 1
                sent = wire.wire(record) if _has_payload(record) else None
                yield from self._body(record, sent)
                yield from self._event(record, sent)
            case Bytes():
                if record.sha256 is not None and record.size is None:
                    yield "a hash without a size"
                if record.size is not None and _has_payload(record):
                    yield "size stands for bytes that are not there, and they are"
                self._pieces += 1
                yield from self._body(record, wire.wire(record) if _has_payload(record) else None)
                self._opaque = self._opaque or record.encoded is not None
            case Gap():
                self._whole = self._counted = False
            case End():
                yield from self._chunks(record, 0)
                yield from self._end(record)
            case Request():
                pass
        self._last = record if isinstance(record, Event | Bytes) else self._last

    def _order(self, record: StreamRecord) -> Iterator[str]:
        if isinstance(record, Request) != (self._next_seq == 0):
            yield "more than one request" if isinstance(record, Request) else "it does not begin with a request"
        if record.seq != self._next_seq:
            yield f"seq {record.seq} where {self._next_seq} comes next"
        self._next_seq = record.seq + 1
        for name in _COUNTS:
            if (getattr(record, name, 0) or 0) < 0:
                yield f"{name} is {getattr(record, name)}"
        if record.at < self._at:
            yield f"at {record.at} is before {self._at}, the record before"
        self._at = max(self._at, record.at)

    def _body(self, record: Event | Bytes, sent: bytes | None) -> Iterator[str]:
        """Order and number of the chunks; counts the bytes."""
        if self._response is None:
            yield f"{_kind(record)} before the response"
        size = len(sent) if sent is not None else record.size
        if sent is None or record.redacted:
            self._whole = False
        if size is None or record.redacted:
            self._counted, size = False, None
        self._bytes += size or 0
        yield from self._chunks(record, size)

    def _chunks(self, record: Event | Bytes | End, size: int | None) -> Iterator[str]:
        """The rule of FORMAT.md, Chunks; `size` of the record's wire bytes, where that is known."""
        ordinal = record.chunks if isinstance(record, End) else record.chunk
        ended = ordinal - (self._last.chunk if self._last else 0)
        fewest = ended if self._last is None else max(0, ended - 1)
        splits = record.split or ()
        if ended < 0 or not fewest <= len(splits) <= ended:
            yield f"chunks cannot be put together: ordinal {ordinal} with {len(splits)} in split"
        offsets = [offset for offset, _, _ in splits]
        last = max(offsets, default=0)
        if offsets != sorted(offsets) or min(offsets, default=0) < 0 or (size is not None and last > size):
            yield f"chunks cannot be put together: split at {offsets}"

    def _event(self, event: Event, sent: bytes | None) -> Iterator[str]:
        if sent is None:
            return
        blocks = _blocks(self._parser(), sent, first=self._last is None)
        block = blocks[0] if len(blocks) == 1 else Block(sent)
        payload = block.payload
        if payload is None:
            yield "its bytes are not one event"
            return
        if (block.event, block.id, block.retry) != (event.event, event.id, event.retry):
            yield "event, id or retry differ from its bytes"
        if payload.decode("utf-8", "replace") != wire.payload(event).decode("utf-8", "replace"):
            yield "payload differs from its bytes"
        said = read(event.event, payload)
        for name in ("block", "delta", "chars"):
            recorded, expected = getattr(event, name), getattr(said, name)
            if recorded != expected:
                yield f"{name} is {recorded!r} where its payload says {expected!r}"
        if bytes(event.data) and not said.strict:
            yield "data is JSON that some readers refuse"
        if said.value is not None:
            self._summary.event(event.event, said.value)
        elif payload == b"[DONE]":
            self._summary.stopped = True

    def _end(self, end: End) -> Iterator[str]:
        if end.events != self._events:
            yield f"end says {end.events} events, there are {self._events}"
        if self._counted and end.bytes != self._bytes:
            yield f"end says {end.bytes} bytes, there are {self._bytes}"
        if not self._whole:
            return
        is_stream = self._parser() is not None
        if not is_stream and self._pieces == 1 and self._last is not None:
            self._summary.body(wire.wire(self._last), self._response.status if self._response else 0)
        if self._opaque or (self._pieces > 1 and not is_stream):
            return  # what the payloads said is not in one record
        expected = self._summary.record()
        if end.summary != expected:
            yield f"summary differs from the payloads: {_differences(end.summary, expected)}"
        if end.complete and is_stream and not self._summary.stopped:
            yield "complete, but there is no message_stop"
        if self._summary.stopped and not end.complete:
            yield "not complete, but there is a message_stop"

    def _parser(self) -> Parser | None:
        return parser_for(self._response.headers) if self._response else None


def _has_payload(record: Event | Bytes) -> bool:
    """False in a recording without text."""
    spelt = (record.text, record.base64, record.raw if isinstance(record, Event) else None)
    return bool(bytes(record.data)) or any(text is not None for text in spelt)


def _blocks(parser: Parser | None, sent: bytes, *, first: bool) -> list[Block]:
    parser = parser or SSEParser()
    if not first and isinstance(parser, SSEParser):
        parser.feed(b"\n")  # only the first block of a body may begin with a BOM
    return [*parser.feed(sent), *parser.flush()]


def _differences(recorded: Summary | None, expected: Summary | None) -> str:
    names = Summary.__struct_fields__
    pairs = ((name, getattr(recorded, name, None), getattr(expected, name, None)) for name in names)
    return ", ".join(f"{name} is {was!r}, not {said!r}" for name, was, said in pairs if was != said)


def _kind(record: StreamRecord) -> str:
    return f"{type(record).__name__.lower()} record"
