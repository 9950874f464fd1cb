"""A few streams out of large recordings: only their own lines are decoded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from recorder.core.lines import decode_line
from recorder.core.records import End, Header, Request, Response, StreamRecord

from .files import DamagedError, open_segment
from .reader import MAX_LINE, RecordingError
from .streams import Stream

_NAME = b'"stream":"'
_WITHIN = 40
"""Bytes from a line's start within which our writer names the stream."""


def pick_streams(paths: Iterable[Path], ids: Iterable[str]) -> dict[str, Stream]:
    """The streams of these ids, as far as they are there and readable, in the order in which they were sent.

    Lines that are no records are passed over: loading the tables has told of them. Raises RecordingError for a
    file that cannot be opened.
    """
    wanted = {msgspec.json.encode(one)[1:-1] for one in ids}
    found: dict[str, Stream] = {}
    for path in paths if wanted else ():
        header: Header | None = None
        for line in _lines(path):
            if header is None or line.startswith(b'{"kind":"header"'):
                header = _header(line) or header
            elif _may_be_of(line, wanted):
                _take(line, path, header, wanted, found)
    return dict(sorted(found.items(), key=lambda one: (one[1].request.wall, one[1].request.mono)))


def _lines(path: Path) -> Iterable[bytes]:
    try:
        with open_segment(path) as file:
            while line := file.readline(MAX_LINE):
                yield line
    except DamagedError:
        return
    except OSError as error:
        raise RecordingError(path, (error.strerror or str(error)).lower()) from None


def _may_be_of(line: bytes, wanted: set[bytes]) -> bool:
    """Whether the line is of a wanted stream; True, too, where it is not written as ours are."""
    begin = line.find(_NAME, 0, _WITHIN) + len(_NAME)
    if begin < len(_NAME):
        return True
    name = line[begin : line.find(b'"', begin)]
    return name in wanted or b"\\" in name


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
