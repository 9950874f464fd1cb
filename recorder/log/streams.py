"""Records to streams: the lines of many interleaved streams, put together one stream at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from recorder.core import wire
from recorder.core.message import fold
from recorder.core.payload import as_object, lenient
from recorder.core.records import Bytes, End, Event, Footer, Header, Request, Response, StreamRecord, Unknown
from recorder.core.timing import Timing, timing

from .reader import Problem, Report, read_records


class Stream:
    """One HTTP attempt: its request, its response, every event with its time, and how it ended.

    `response` is None when the connection failed, `end` when the process died before the stream did.
    """

    def __init__(self, header: Header, request: Request, path: Path) -> None:
        self.header = header
        self.path = path
        self.request = request
        self.response: Response | None = None
        self.end: End | None = None
        self.records: list[StreamRecord] = [request]

    def __repr__(self) -> str:
        return f"<Stream {self.id} {self.request.method} {self.request.url} {len(self.records)} records>"

    @property
    def id(self) -> str:
        return self.request.stream

    @property
    def url(self) -> str:
        """The URL that answered, as far as it is known: the request line may have less of it."""
        known = (self.response.url if self.response else None) or (self.end.url if self.end else None)
        return known or self.request.url

    @property
    def status(self) -> int | None:
        """Of the response. None: there was none, or nobody knows it."""
        return None if self.response is None or "response" in self.unknown else self.response.status

    @property
    def unknown(self) -> tuple[str, ...]:
        """What nobody knows of an imported stream: see `Missing` in `core/records.py`."""
        return self.request.unknown or ()

    @property
    def call(self) -> str:
        """Equal for all attempts of one SDK method call."""
        return self.request.call

    @property
    def events(self) -> list[Event]:
        """The server-sent events, in order."""
        return [record for record in self.records if isinstance(record, Event)]

    @property
    def sent(self) -> int:
        """When it was sent, Unix time in ns: by the monotonic clock, put on the wall clock once a segment."""
        return self.header.wall - self.header.mono + self.request.mono

    @property
    def is_without_text(self) -> bool:
        """Whether its text was left out, all of it or of some events."""
        if "timing" in (self.request.redacted or ()):
            return True
        # by type(): opening a recording asks this of every record
        sized = any((type(one) is Event or type(one) is Bytes) and one.size is not None for one in self.records)
        return sized and not self.reduced

    def chunks(self) -> list[wire.Chunk]:
        """The body as the transport delivered it: bytes, `at` and `wait` in ns. Raises NotRecorded, as `body`."""
        return wire.chunks(self.records)

    def body(self) -> bytes:
        """The body, after content-decoding, byte for byte (but for what was redacted).

        Raises `recorder.core.wire.NotRecorded` (a ValueError) where `reduced`.
        """
        return wire.body(self.records)

    @property
    def reduced(self) -> bool:
        """The body was large and binary: only its size and its SHA-256 were kept."""
        return any(isinstance(record, Bytes) and record.sha256 is not None for record in self.records)

    def message(self) -> dict[str, Any] | None:
        """The final Message, as far as it came: folded from the events, or the JSON body of a plain call."""
        if self.events:
            return fold(lenient(wire.payload(event)) for event in self.events)
        has_body = any(isinstance(one, Bytes) for one in self.records) and not self.reduced
        body = as_object(lenient(self.body())) if has_body else None
        return body if body is not None and body.get("type") == "message" else None

    def timing(self) -> Timing:
        """The metrics of METRICS: seconds from the moment the request was sent."""
        return timing(self.records)


def read_streams(paths: Iterable[Path], *, salvage: bool = False, report: Report) -> Iterator[Stream]:
    """The streams of some segments, each when its `end` record is read; those without one last.

    Holds the streams that are open at one point of the files, not the files. Raises RecordingError
    (see `read_records`); a stream whose request is missing is reported and left out.
    """
    open_streams: dict[str, Stream] = {}
    orphans: set[str] = set()
    for path in paths:
        header: Header | None = None
        for number, record in read_records(path, salvage=salvage, report=report):
            if type(record) is Event and (known := open_streams.get(record.stream)) is not None:
                records = known.records
                if record.seq == records[-1].seq + 1:
                    records.append(record)  # nearly every line
                    continue
            if isinstance(record, Header):
                header = record
                continue
            if isinstance(record, Unknown | Footer) or header is None:
                continue
            if isinstance(record, Request):
                open_streams[record.stream] = Stream(header, record, path)
                continue
            stream = open_streams.get(record.stream)
            if stream is None:
                _orphan(record.stream, orphans, path, number, report)
                continue
            _add(stream, record, path, number, report)
            if stream.end is not None:
                yield open_streams.pop(stream.id)
    yield from open_streams.values()


def _orphan(stream: str, orphans: set[str], path: Path, number: int, report: Report) -> None:
    if stream not in orphans:
        report(Problem(path, number, f"stream {stream} has no request record; left out", "missing"))
    orphans.add(stream)


def _add(stream: Stream, record: StreamRecord, path: Path, number: int, report: Report) -> None:
    expected = stream.records[-1].seq + 1
    if record.seq != expected:
        missing = f"seq {expected} to {record.seq - 1}" if record.seq > expected else f"order at seq {record.seq}"
        report(Problem(path, number, f"stream {stream.id}: {missing} is missing", "missing"))
    stream.records.append(record)
    if isinstance(record, Response):
        stream.response = record
    elif isinstance(record, End):
        stream.end = record
