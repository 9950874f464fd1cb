"""The rows of one segment, as Parquet files on this disk.

A stream's rows are with the segment that its end stands in, all of them: what earlier segments have of it is
collected. So are the earlier attempts of a call, for the call's row alone. A stream without an end waits for the
segment that has it; with the last segment of its writer it is lost, and goes with that.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from recorder.analytics.export import Capture, write_parquet
from recorder.analytics.quoting import literal
from recorder.analytics.report import Tables
from recorder.analytics.selection import Selection
from recorder.core.lines import encode_line
from recorder.core.records import Request
from recorder.log.parts import Part
from recorder.log.reader import Problem, Report

from .layout import WRITTEN, Written

ORDER = {
    "calls": "wall_ns, call",
    "streams": "wall_ns, stream",
    "blocks": "stream, block",
    "events": "stream, seq",
    "stalls": "stream, seq",
}
"""How the rows of an object are sorted."""


class StillOpen(Exception):
    """Streams are open in a segment that is over, and the segment that goes on from it is not there yet."""


class Made(Struct):
    """`files` and their rows, by table; the streams that go on, and in which segment each began."""

    files: dict[str, Path]
    tables: dict[str, Written]
    open: dict[str, str]


class Segment(Struct, frozen=True, kw_only=True):
    """A segment with what it takes to make rows of it.

    `before`: the segments that it goes on from, as far as they are there, the last first. `opened`: the streams
    that had not ended before it, and in which segment each began. `goes_on`: another one goes on from it; `last`:
    none will.
    """

    part: Part
    before: list[Part]
    opened: Mapping[str, str]
    goes_on: bool
    last: bool

    @property
    def id(self) -> str:
        return self.part.header.segment


def write_rows(segment: Segment, directory: Path, *, capture: Capture, report: Report) -> Made:
    """Write the rows of a segment, a file for each table. Raises StillOpen, RecordingError, QueryError,
    OSError."""
    tables = _tables(segment, set(segment.opened), directory, capture=capture, report=report)
    others: set[str] = set()
    if calls := _begun_before(tables):
        others = set(_streams_of(calls, segment.before)) - segment.opened.keys()
    if others:
        tables = _tables(segment, others | segment.opened.keys(), directory, capture=capture, report=_silent)
    left = {
        stream for (stream,) in tables.query("SELECT stream FROM streams WHERE outcome = 'lost'").rows
    } - others
    if left and not segment.goes_on:
        if not segment.last:
            raise StillOpen
        left.clear()
    selection = Selection(where=_none_of(others | left))
    made = Made({}, {}, {stream: segment.opened.get(stream, segment.id) for stream in sorted(left)})
    for table in WRITTEN:
        file = directory / f"{table}.parquet"
        rows = write_parquet(
            tables, table, file, capture=capture, selection=selection, added={"segment": segment.id},
            order=ORDER[table],
        )  # fmt: skip
        made.files[table] = file
        made.tables[table] = Written(rows, file.stat().st_size)
    return made


def _tables(
    segment: Segment, earlier: Collection[str], directory: Path, *, capture: Capture, report: Report
) -> Tables:
    """The tables of a segment, and of these streams as far as earlier segments have them."""
    part = segment.part
    files = [part.path if part.whole else _copy(part, directory / "segment.jsonl")]
    if earlier and segment.before:
        files.append(_collect(segment.before, earlier, directory / "before.jsonl"))

    def told(problem: Problem) -> None:
        line = problem.line if problem.path == part.path else None
        report(msgspec.structs.replace(problem, path=part.path, line=line))

    return Tables(files, salvage=True, report=told, payloads=capture == "full")


def _copy(part: Part, target: Path) -> Path:
    with target.open("wb") as file:
        file.writelines(part.lines())
    return target


def _collect(parts: list[Part], streams: Collection[str], target: Path) -> Path:
    """What the segments have of some streams, as a recording."""
    pattern = _naming("stream", streams)
    with target.open("wb") as file:
        for part in reversed(parts):
            file.write(encode_line(part.header))
            file.writelines(line for line in part.lines() if pattern.search(line))
    return target


def _begun_before(tables: Tables) -> set[str]:
    """Calls of which the first attempt is not there."""
    rows = tables.query(
        "SELECT call FROM streams WHERE call IS NOT NULL GROUP BY call HAVING min(attempt) > 0"
    ).rows
    return {call for (call,) in rows}


def _streams_of(calls: Collection[str], parts: list[Part]) -> Iterator[str]:
    """The attempts of calls in earlier segments; not further back than to the first of each."""
    pattern = _naming("call", calls)
    left = set(calls)
    for part in parts:
        if not left:
            return
        for line in part.lines():
            if pattern.search(line) and (request := _request(line)) and request.call in left:
                yield request.stream
                if request.attempt == 0:
                    left.discard(request.call)


def _request(line: bytes) -> Request | None:
    try:
        return _decode_request(line)
    except msgspec.DecodeError:
        return None


_decode_request = msgspec.json.Decoder(Request).decode


def _naming(field: str, ids: Collection[str]) -> re.Pattern[bytes]:
    """Lines that name one of the ids, as every writer of ours spells them."""
    names = b"|".join(re.escape(msgspec.json.encode(one)) for one in sorted(ids))
    return re.compile(b'"' + field.encode() + b'":(?:' + names + b")")


def _none_of(streams: Collection[str]) -> str | None:
    if not streams:
        return None
    return f"stream NOT IN ({', '.join(map(literal, sorted(streams)))})"


def _silent(problem: Problem) -> None:
    """It was told already."""
