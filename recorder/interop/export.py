"""Recordings in the formats of other tools."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from msgspec import Struct

from recorder.core import wire
from recorder.core.records import Gap
from recorder.log.reader import Problem, RecordingError, Report
from recorder.log.streams import Stream

from .asciicast import write_asciicast
from .exchange import Exchange
from .har import write_har
from .limits import Refused
from .sse import write_http, write_sse
from .vcr import write_vcr

Write = Callable[[Iterable[Stream], Report], Iterator[bytes]]


class Target(Struct, frozen=True, kw_only=True):
    """A format. `write` gives the bytes of one file, in pieces: of all streams or, with `each`, of a single one.

    It may raise Refused for a stream that the format cannot hold; `report` is told of what is left out.
    """

    suffix: str
    each: bool
    write: Write


def export_streams(
    streams: Iterable[Stream], to: str, target: Path | None, *, single: bool, report: Report
) -> list[Path]:
    """Write the streams in the format `to`, one of `EXPORTS`; gives the files that were written.

    `target` is a file, or a directory for a format of which each file has one stream, unless a `single` one is
    wanted; None is the standard output. What a directory cannot be given is left out, and `report` is told. No
    file is written over. Raises RecordingError, Refused and OSError.
    """
    form = EXPORTS[to]
    if target is None:
        for piece in form.write(_only(streams) if form.each else streams, report):
            sys.stdout.buffer.write(piece)
        return []
    if single or not form.each:
        return [_write(target, form.write(_only(streams) if form.each else streams, report))]
    written: list[Path] = []
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for stream in streams:
        try:
            written.append(_write(target / f"{_plain(stream.id)}{form.suffix}", form.write([stream], report)))
        except Refused as refused:
            report(Problem(stream.path, None, f"{refused.reason}; left out", "missing"))
    return written


def _only(streams: Iterable[Stream]) -> list[Stream]:
    found = list(islice(streams, 2))
    if len(found) > 1:
        raise Refused("more than one stream there", "name one (recorder ls shows their ids), or a directory by -o")
    return found


def _plain(stream: str) -> str:
    """An id as a file's name: in a recording it may be anything."""
    return re.sub(r"[^A-Za-z0-9_\-]", "_", stream)[:80]


def _write(path: Path, pieces: Iterator[bytes]) -> Path:
    """All of it, or no file. Raises OSError, RecordingError where there is one already."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise RecordingError(path, "is there already", "nothing was written; choose another name") from None
    try:
        with os.fdopen(fd, "wb") as file:
            file.writelines(pieces)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def exchanges_of(streams: Iterable[Stream], report: Report, *, tells_end: bool) -> Iterator[Exchange]:
    """What the formats of requests and responses can hold. `tells_end`: that a stream broke, too."""
    for stream in streams:
        lacking = _lacking(stream)
        if lacking is None and not tells_end and stream.response is None:
            lacking = "there was no response"
        if lacking is not None:
            report(Problem(stream.path, None, f"stream {stream.id}: {lacking}; left out", "missing"))
            continue
        if not tells_end and (stream.end is None or stream.end.end == "failed"):
            broke = f"stream {stream.id}: it broke, which the format cannot say: there it ends like a whole one"
            report(Problem(stream.path, None, broke, "missing"))
        yield _exchange(stream)


def _lacking(stream: Stream) -> str | None:
    """Why its body cannot be given."""
    if stream.is_without_text:
        return "recorded without text"
    if stream.reduced:
        return "its body is a file, of which only size and SHA-256 are recorded"
    if any(isinstance(record, Gap) for record in stream.records):
        return "a part of its body was not recorded"
    return None


def _exchange(stream: Stream) -> Exchange:
    request, response, end = stream.request, stream.response, stream.end
    unknown = stream.unknown
    headers = dict(response.headers) if response else {}
    if response and response.encoded is None and headers.pop("content-encoding", None):
        headers.pop("content-length", None)  # the recorded body is decoded
    headers.pop("transfer-encoding", None)
    return Exchange(
        source="recording",
        method=request.method,
        url=stream.url,
        headers=list(request.headers.items()),
        body=wire.payload(request),
        status=response.status if response else None,
        http=response.http if response else None,
        response_headers=list(headers.items()),
        answer=stream.body(),
        wall=None if "wall" in unknown else request.wall,
        headers_at=response.at if response and "headers" not in unknown else None,
        end_at=end.at if end and "end" not in unknown else None,
        phases=response.phases if response else None,
        error=end.error if end else None,
        whole=end is not None and end.end == "read",
        missing=tuple(name for name in ("request", "response", "spelling") if name in unknown),
    )


def _of_exchanges(write: Callable[[Iterable[Exchange]], Iterator[bytes]], *, tells_end: bool = True) -> Write:
    return lambda streams, report: write(exchanges_of(streams, report, tells_end=tells_end))


def _one_by_one(write: Callable[[Exchange], Iterator[bytes]]) -> Write:
    return _of_exchanges(lambda exchanges: (piece for one in exchanges for piece in write(one)))


def _asciicast(streams: Iterable[Stream], _: Report) -> Iterator[bytes]:
    for stream in streams:
        if (lacking := _lacking(stream)) is not None:
            raise Refused(f"stream {stream.id}: {lacking}")
        yield from write_asciicast(stream)


EXPORTS = {
    "sse": Target(suffix=".sse", each=True, write=_one_by_one(write_sse)),
    "http": Target(suffix=".http", each=True, write=_one_by_one(write_http)),
    "har": Target(suffix=".har", each=False, write=_of_exchanges(write_har)),
    "vcr": Target(suffix=".yaml", each=False, write=_of_exchanges(write_vcr, tells_end=False)),
    "asciicast": Target(suffix=".cast", each=True, write=_asciicast),
}
"""The formats, by name."""
