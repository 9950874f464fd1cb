"""A few streams out of large recordings: only their own lines are decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from recorder.core.lines import decode_line
from recorder.core.records import End, Header, Request, Response, StreamRecord

from .files import DamagedError, open_segment
from .reader import MAX_LINE, RecordingError
from .streams import Stream

_EVENT = b'{"kind":"event","stream":"'
"""How our writer begins the line of an event."""
_HEADER = b'{"kind":"header"'
_NAME = b'"stream":"'
_WITHIN = 40
"""Bytes from a line's start within which it names the stream."""
_BLOCK = 1 << 20


def pick_streams(paths: Iterable[Path], ids: Iterable[str]) -> dict[str, Stream]:
    """The streams of these ids, as far as they are there and readable, in the order in which they were sent.

    Lines that are no records are passed over: loading the tables has told of them. Raises RecordingError for a
    file that cannot be opened.
    """
    wanted = {msgspec.json.encode(one)[1:-1] for one in ids}
    found: dict[str, Stream] = {}
    for path in paths if wanted else ():
        header: Header | None = None
        for line in _candidates(path, wanted):
            if line.startswith(_HEADER):
                header = _header(line) or header
            elif header is not None:
                _take(line, path, header, wanted, found)
    return dict(sorted(found.items(), key=lambda one: (one[1].request.wall, one[1].request.mono)))


def _candidates(path: Path, wanted: set[bytes]) -> Iterator[bytes]:
    """The lines that may be of a wanted stream: events of others are left out as cheaply as Python can."""
    first = len(_EVENT)
    last = first + min(map(len, wanted))
    beginnings = {name[: last - first] for name in wanted}
    for lines in _blocks(path):
        yield from [
            line
            for line in lines
            if line[first:last] in beginnings or (not line.startswith(_EVENT) and _may_be_of(line, wanted))
        ]


def _may_be_of(line: bytes, wanted: set[bytes]) -> bool:
    """Whether the line is of a wanted stream, or of none, or not written as ours are."""
    begin = line.find(_NAME, 0, _WITHIN) + len(_NAME)
    if begin < len(_NAME):
        return True
    name = line[begin : line.find(b'"', begin)]
    return name in wanted or b"\\" in name


def _blocks(path: Path) -> Iterator[list[bytes]]:
    """All lines, many at a time; a last one without an end is none, nor is one that is too long."""
    rest = b""
    try:
        with open_segment(path) as file:
            while block := file.read(_BLOCK):
                *lines, rest = (rest + block).split(b"\n")
                yield lines
                rest = rest if len(rest) <= MAX_LINE else b""
    except DamagedError:
        return
    except OSError as error:
        raise RecordingError(path, (error.strerror or str(error)).lower()) from None


def _header(line: bytes) -> Header | None:
    record = _record(line)
    return record if isinstance(record, Header) else None


def _record(line: bytes) -> object:
    try:
        return decode_line(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _take(line: bytes, path: Path, header: Header, wanted: set[bytes], found: dict[str, Stream]) -> None:
    record = _record(line)
    if not isinstance(record, StreamRecord) or msgspec.json.encode(record.stream)[1:-1] not in wanted:
        return
    if isinstance(record, Request):
        found[record.stream] = Stream(header, record, path)
    elif (stream := found.get(record.stream)) is not None:
        stream.records.append(record)
        if isinstance(record, Response):
            stream.response = record
        elif isinstance(record, End):
            stream.end = record
