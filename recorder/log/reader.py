"""Files in: lines to records, strictly or salvaging, in constant memory. Never silent about what it left out.

A torn last line is what a killed process leaves behind: it is reported and is no error. Anything else that
is not a record is an error to a strict reader; a salvaging one reports it and reads on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
from msgspec import Struct

from recorder.core.lines import decode_line
from recorder.core.records import FORMAT, VERSION, Event, Header, Record, Unknown

from .files import SUFFIX as SUFFIX
from .files import DamagedError, open_segment, unreadable
from .files import RecordingError as RecordingError
from .files import find_segments as find_segments

MAX_LINE = 128 << 20
"""Bytes. A 16 MiB event can be six times as long as a JSON string; past this a line is left out, not loaded."""


class CorruptError(RecordingError):
    """A line in the middle of a recording is not a record."""


class Problem(Struct, frozen=True):
    """Something that was left out, and where (`line` from 1).

    `kind`: `torn` (a last line without an end), `empty` (a file without a line), `corrupt` (a line that is no
    record), `missing` (records that others show to have been there), `contradiction` (a record that others belie).
    """

    path: Path
    line: int | None
    reason: str
    kind: Literal["torn", "empty", "corrupt", "missing", "contradiction"]

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}" if self.line else f"{self.path}: {self.reason}"


Report = Callable[[Problem], None]
Observe = Callable[[bytes], None]


def read_records(
    path: Path, *, salvage: bool = False, report: Report, observe: Observe | None = None
) -> Iterator[tuple[int, Record | Unknown]]:
    """(line number, record) of one segment. `observe` is given every byte, before the record that it is of.

    Raises RecordingError for a file that is no recording, is newer than this version, or cannot be opened,
    and, unless salvaging, CorruptError for a line that is not a record.
    """
    try:
        with open_segment(path) as file:
            yield from _read(_lines(file, observe), path, salvage=salvage, report=report)
    except OSError as error:
        raise unreadable(path, error) from None


def _read(
    lines: Iterator[_Line], path: Path, *, salvage: bool, report: Report
) -> Iterator[tuple[int, Record | Unknown]]:
    started = False
    bad: Problem | None = None  # told only after the next line: a header there makes it a torn last line
    number = 0
    for number, record in lines:
        if started and bad is None and type(record) is Event:
            yield number, record  # nearly every line
            continue
        if bad is not None:
            torn = Problem(path, bad.line, "torn last line of the segment before left out", "torn")
            _leave_out(torn if isinstance(record, Header) else bad, salvage=salvage, report=report)
            bad = None
        if isinstance(record, _Bad):
            bad = Problem(path, number, f"{record.reason} left out", record.kind)
        elif isinstance(record, Header):
            _check_version(record, path, number)
            started = True
        if not started and not (bad is not None and bad.kind == "torn"):
            damage = record.reason.removesuffix(";") if isinstance(record, _Bad) and record.damaged else None
            raise RecordingError(path, damage or "not a recording (its first line is no header)", line=number)
        if not isinstance(record, _Bad):
            yield number, record
    if bad is not None:
        _leave_out(bad, salvage=salvage, report=report)
    if number == 0:
        report(Problem(path, None, "empty file", "empty"))


class _Bad(Struct, frozen=True):
    """A line that is no record, and why. `damaged`: so is all that would follow."""

    reason: str
    kind: Literal["torn", "corrupt"] = "corrupt"
    damaged: bool = False


_Line = tuple[int, Record | Unknown | _Bad]


def _lines(file: BinaryIO, observe: Observe | None) -> Iterator[_Line]:
    readline = file.readline if observe is None else partial(_observed, file, observe)
    number = 0
    try:
        while line := readline(MAX_LINE):
            number += 1
            if line.endswith(b"\n"):
                yield number, _record(line)
            elif len(line) < MAX_LINE:
                yield number, _Bad(f"torn last line ({len(line)} bytes without an end)", "torn")
                if observe is not None:
                    observe(b"")
                return  # what a writer adds to it meanwhile is the rest of a line, and no line
            else:
                while (rest := readline(1 << 20)) and not rest.endswith(b"\n"):
                    pass  # not to be held in memory
                yield number, _Bad(f"line longer than {MAX_LINE >> 20} MiB;")
    except DamagedError as error:
        yield number + 1, _Bad(f"damaged from here on ({error});", damaged=True)


def _observed(file: BinaryIO, observe: Observe, limit: int) -> bytes:
    line = file.readline(limit)
    observe(line)
    return line


def _leave_out(bad: Problem, *, salvage: bool, report: Report) -> None:
    if bad.kind == "corrupt" and not salvage:
        reason = bad.reason.removesuffix("; left out")
        raise CorruptError(bad.path, reason, "salvaging reads the rest (--salvage)", line=bad.line)
    report(bad)


def _record(line: bytes) -> Record | Unknown | _Bad:
    """The record of a line, or what is wrong with it."""
    try:
        line.decode("utf-8") if not line.isascii() else None
        return decode_line(line)
    except UnicodeDecodeError as error:
        return _Bad(f"bad UTF-8 at byte {error.start};")
    except RecursionError:
        return _Bad("nested too deeply;")
    except msgspec.ValidationError as error:
        return _Bad(f"not a record: {error};")
    except msgspec.DecodeError as error:
        return _Bad(f"not JSON: {error};")


def _check_version(header: Header, path: Path, number: int) -> None:
    if header.format != FORMAT:
        raise RecordingError(path, f"not a recording (its format is {header.format!r})", line=number)
    if header.v > VERSION:
        raise RecordingError(
            path,
            f"written by a newer sse-recorder (format {header.v}; this one reads up to {VERSION})",
            "pip install -U sse-recorder",
            line=number,
        )
    if header.v < 1:
        raise RecordingError(path, f"format {header.v} does not exist", line=number)
