"""A recording copied with changes: a new file, sealed, that says what was done to it."""

from __future__ import annotations

import secrets as random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from recorder.core.edit import Edit, EditError, Kept, edited
from recorder.core.lines import encode_line
from recorder.core.records import End, Event, Footer, Header, Record, Request, StreamRecord, Unknown
from recorder.core.rewrite import rewritten, with_fields

from .new import NewRecording
from .reader import Problem, RecordingError, Report, find_segments, read_records

_R = TypeVar("_R", Header, Request)


class Edits(Struct, frozen=True, kw_only=True):
    """What is done to a recording. Streams and calls are named by their ids, or how these begin.

    `streams`: the only ones that `edit` and `tags` change; none: all. `keep`: the only ones that are copied; none:
    all. `drop`: the ones that are not. `rename`: new ids of streams and calls. `tags`: new values; None takes a
    tag away.
    """

    streams: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    rename: Mapping[str, str] = {}
    tags: Mapping[str, str | None] = {}
    edit: Edit = Edit()


class Copied(Struct):
    """What was done: streams that were copied, how many of them were changed, and those left out."""

    streams: int = 0
    changed: int = 0
    dropped: int = 0


def edit_recording(source: Path, target: Path, edits: Edits, *, salvage: bool = False, report: Report) -> Copied:
    """Copy the recording `source` (a file, a directory) to the new file `target`, changed by `edits`.

    Streams stand there whole, one after the other, each in a segment with the header of the one that it began in.
    Records and fields that this version does not know are copied as they are. Times stay relative to each send;
    an attempt is sent as long after the end of the one before as it was, and where all is scaled, so is the time
    between the sends.

    Raises EditError for what cannot be done, RecordingError when `target` exists, for an id that no stream has,
    and as `read_records` does; OSError when it cannot be written.
    """
    segments = find_segments(source)
    lines = list(_requests(segments, salvage=salvage))
    plan = _Plan(source, edits, lines)
    copied = Copied()
    with NewRecording(target) as new:
        writer = _Writer(new, plan, copied)
        for stream in _streams(segments, salvage=salvage, report=report):
            writer.take(stream)
        if not copied.streams:
            raise EditError("no stream would be left; nothing was written")
        if plan.needs_place and not copied.changed:
            raise EditError("no stream has such a place; nothing was written")
    return copied


class _Line(NamedTuple):
    record: StreamRecord | Unknown
    line: bytes


class _Raw(Struct):
    """A stream as it stands in the file, or records of an unknown kind that belong to none that is open."""

    header: Header
    header_line: bytes
    lines: list[_Line]


def _lines(
    segments: Sequence[Path], *, salvage: bool, report: Report
) -> Iterator[tuple[Path, int, Record | Unknown, bytes]]:
    for path in segments:
        last = [b""]

        def observe(data: bytes, last: list[bytes] = last) -> None:
            last[0] = data

        for number, record in read_records(path, salvage=salvage, report=report, observe=observe):
            yield path, number, record, last[0]


def _requests(segments: Sequence[Path], *, salvage: bool) -> Iterator[tuple[Request, int]]:
    """Every request, and when it was sent, ns by a clock that all segments share."""
    header: Header | None = None
    for _, _, record, _ in _lines(segments, salvage=salvage, report=lambda _: None):
        if isinstance(record, Header):
            header = record
        elif isinstance(record, Request) and header is not None:
            yield record, header.wall - header.mono + record.mono


def _streams(segments: Sequence[Path], *, salvage: bool, report: Report) -> Iterator[_Raw]:
    """The streams, each when its end was read; those without one last."""
    head: tuple[Header, bytes] | None = None
    still_open: dict[str, _Raw] = {}
    orphans = set[str]()
    for path, number, record, line in _lines(segments, salvage=salvage, report=report):
        if isinstance(record, Header):
            head = record, line
        if isinstance(record, Header | Footer) or head is None:
            continue
        name = record.stream
        if isinstance(record, Request):
            still_open[record.stream] = _Raw(*head, [])
        elif isinstance(record, Unknown) and name not in still_open:
            yield _Raw(*head, [_Line(record, line)])
            continue
        if name is None or (stream := still_open.get(name)) is None:
            if name not in orphans:
                report(Problem(path, number, f"stream {name} has no request record; left out", "missing"))
            orphans.add(str(name))
            continue
        stream.lines.append(_Line(record, line))
        if isinstance(record, End):
            yield still_open.pop(record.stream)
    yield from still_open.values()


class _Plan:
    """The edits, with every id spelt out."""

    def __init__(self, source: Path, edits: Edits, requests: Sequence[tuple[Request, int]]) -> None:
        self._source = source
        streams = dict.fromkeys(request.stream for request, _ in requests)
        calls = dict.fromkeys(request.call for request, _ in requests)
        self.edits = edits
        self.only = {self._one(name, streams) for name in edits.streams}
        self._kept = {self._one(name, streams) for name in edits.keep}
        self._dropped = {self._one(name, streams) for name in edits.drop}
        self.names = {self._one(old, {**streams, **calls}): new for old, new in edits.rename.items()}
        taken = next((new for new in self.names.values() if new in streams or new in calls), None)
        if taken is not None or len(set(self.names.values())) < len(self.names):
            raise EditError(f"rename: {taken or 'one new id'} would be there twice")
        self.first = min((sent for _, sent in requests), default=0)
        self.needs_place = bool(edits.edit.trims or edits.edit.cut) and not (self.names or edits.tags)

    def has(self, stream: str | None) -> bool:
        """Whether this stream is copied."""
        return stream not in self._dropped and (not self._kept or stream in self._kept)

    def changes(self, stream: str) -> bool:
        """Whether this one is among those that are edited."""
        return not self.only or stream in self.only

    def scaled(self) -> float:
        """By what the time between sends is scaled."""
        return 1.0 if self.only else self.edits.edit.times.scale

    def _one(self, name: str, known: Mapping[str, None]) -> str:
        found = [name] if name in known else [one for one in known if one.startswith(name)]
        if len(found) != 1:
            many = f"{len(found)} ids start with {name!r}" if found else f"no id starts with {name!r}"
            raise RecordingError(self._source, many, "recorder ls shows the ids")
        return found[0]


class _Writer:
    """Writes stream after stream, changed as planned."""

    def __init__(self, new: NewRecording, plan: _Plan, copied: Copied) -> None:
        self._new = new
        self._plan = plan
        self._copied = copied
        self._header: Header | None = None
        self._later: dict[str, int] = {}
        """ns by which the next attempt of a call is sent later than it was."""

    def take(self, raw: _Raw) -> None:
        request = raw.lines[0].record
        if not isinstance(request, Request):
            if self._plan.has(request.stream):
                self._begin(raw)
                self._new.write(b"".join(self._unknown(one, 0, lambda at: at) for one in raw.lines))
            return
        if not self._plan.has(request.stream):
            self._copied.dropped += 1
            return
        self._begin(raw)
        self._copied.streams += 1
        lines, events = self._edited(request, raw)
        self._new.write(lines, streams=1, events=events)

    def _begin(self, raw: _Raw) -> None:
        """The header of the segment in which the stream began, if it is not the one that holds."""
        if raw.header is self._header:
            return
        self._header = raw.header
        edits = self._plan.edits
        names = [name for name in ("keep", "drop") if getattr(edits, name)]
        names += [name for name, on in _planned(edits).items() if on]
        new = replace(_marked(raw.header, ["drop" if name == "keep" else name for name in names]), previous=None)
        new = replace(new, segment=random.token_hex(8))
        line = rewritten(raw.header_line, raw.header, new)
        self._new.begin(new, line)

    def _edited(self, request: Request, raw: _Raw) -> tuple[bytes, int]:
        """The lines of the stream, and how many events are in them."""
        records = [one.record for one in raw.lines if not isinstance(one.record, Unknown)]
        edit = self._plan.edits.edit if self._plan.changes(request.stream) else Edit()
        try:
            done = edited(records, edit)
        except ValueError as error:
            raise EditError(f"stream {request.stream}: {error}") from None
        asked = self._request(request, list(done.done))
        if asked != request or done.done:
            self._copied.changed += 1
        scale = self._plan.scaled()
        late = done.records[-1].new.at - int(records[-1].at * scale)
        self._later[request.call] = self._later.get(request.call, 0) + late
        lines = self._spelt(raw, done.records, asked, done.moved)
        return lines, sum(isinstance(one.new, Event) for one in done.records)

    def _request(self, request: Request, done: list[str]) -> Request:
        """The request under its new names, and when it is sent now."""
        edits, names = self._plan.edits, self._plan.names
        header = self._header
        assert header is not None
        sent = header.wall - header.mono + request.mono - self._plan.first
        moved = self._later.get(request.call, 0) + int(sent * self._plan.scaled()) - sent
        new = replace(
            request,
            stream=names.get(request.stream, request.stream),
            call=names.get(request.call, request.call),
            wall=request.wall + moved,
            mono=request.mono + moved,
        )
        done += ["rename"] if (new.stream, new.call) != (request.stream, request.call) else []
        done += ["retime"] if moved and "retime" not in done else []
        if edits.tags and self._plan.changes(request.stream):
            tags = {**(request.tags or {}), **edits.tags}
            new = replace(new, tags={name: value for name, value in tags.items() if value is not None} or None)
            done += ["tags"] if new.tags != request.tags else []
        return _marked(new, done) if done else new

    def _spelt(self, raw: _Raw, kept: Sequence[Kept], asked: Request, moved: Callable[[int], int]) -> bytes:
        """The records as lines; those of an unknown kind too, but for what comes after a cut."""
        place = {id(one.old): one.new for one in kept if one.old is not None}
        there = [n for n, one in enumerate(raw.lines) if id(one.record) in place]
        whole = len(there) == sum(not isinstance(one.record, Unknown) for one in raw.lines)
        done: list[bytes] = []
        gone = 0
        for n, one in enumerate(raw.lines):
            if isinstance(one.record, Unknown):
                done += [self._unknown(one, gone, moved)] if whole or n < there[-1] else []
            elif (new := place.get(id(one.record))) is not None:
                new = asked if isinstance(one.record, Request) else replace(new, stream=asked.stream)
                done.append(rewritten(one.line, one.record, new))
            else:
                gone += 1
        made = [one.new for one in kept if one.old is None]
        return b"".join(done) + b"".join(encode_line(replace(one, stream=asked.stream)) for one in made)

    def _unknown(self, one: _Line, gone: int, moved: Callable[[int], int]) -> bytes:
        """A record of an unknown kind: under its new names, and at its new time, if it has such fields."""
        assert isinstance(one.record, Unknown)
        was: dict[str, object] = msgspec.json.decode(one.line)
        new: dict[str, object] = {}
        for name in ("stream", "call"):
            if isinstance(known := was.get(name), str):
                new[name] = self._plan.names.get(known, known)
        if type(seq := was.get("seq")) is int:
            new["seq"] = seq - gone
        if type(at := was.get("at")) is int:
            new["at"] = moved(at)
        new = {name: value for name, value in new.items() if value != was[name]}
        return with_fields(one.line, **new) if new else one.line


def _planned(edits: Edits) -> dict[str, bool]:
    """The names of the edits, and whether they are to be done."""
    return {
        "trim": bool(edits.edit.trims),
        "cut": edits.edit.cut is not None,
        "retime": edits.edit.times.change,
        "rename": bool(edits.rename),
        "tags": bool(edits.tags),
    }


def _marked(record: _R, names: Sequence[str]) -> _R:
    """The record, saying that this was done."""
    before = record.edited or ()
    return replace(
        record, edited=(*before, *(name for name in dict.fromkeys(names) if name not in before)) or None
    )
