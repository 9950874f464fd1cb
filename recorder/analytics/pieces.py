"""Files of recordings in pieces that DuckDB can read: whole lines, plain, none too long to hold in memory.

A small plain file is such a piece itself. Of others, and of what was added to a file since it was read, copies are
made, one at a time: DuckDB reads no part of a file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkstemp
from typing import BinaryIO

from msgspec import Struct
from msgspec.json import encode
from msgspec.structs import replace

from recorder.core.lines import encode_line
from recorder.core.payload import is_strict
from recorder.core.records import NO_DATA, Bytes, Event, Footer, Record, Request, Unknown
from recorder.log.files import DamagedError, RecordingError, first_line, is_compressed, open_segment
from recorder.log.reader import Problem, read_records

PIECE = 320 << 20
"""Bytes of a piece, but for the line that goes on beyond: this bounds the memory of loading."""
_BUFFER = 1 << 20
SANE_NS = 1 << 60
"""36 years: sums and differences of times beyond could leave 64 bits."""


class Piece(Struct, frozen=True):
    """Whole lines of a file. `readable`: a file that holds nothing else."""

    file: Path
    readable: Path
    start: int
    """Bytes of the plain text before it."""
    end: int

    def is_as_it_was(self) -> bool:
        """False when the file itself is read, and was written to meanwhile."""
        return self.readable is not self.file or self.file.stat().st_size == self.end

    def discard(self) -> None:
        """Remove the copy, if it is one."""
        if self.readable is not self.file:
            self.readable.unlink(missing_ok=True)


class Cutter:
    """Cuts the whole lines of a file, from `start` on (up to `limit`; both the end of a line), into pieces.

    When all were taken, `end` is how far they went, `torn` how many bytes without a line end are behind them, and
    `damage` why the rest of a compressed file cannot be had. Raises OSError.
    """

    def __init__(self, file: Path, start: int, directory: Path, limit: int | None = None) -> None:
        self.end = start
        self.torn = 0
        self.damage: str | None = None
        self._file = file
        self._directory = directory
        self._limit = limit

    def __iter__(self) -> Iterator[Piece]:
        file = self._file
        if self.end == 0 and self._limit is None and not is_compressed(file) and _is_whole(file):
            self.end = file.stat().st_size
            yield Piece(file, file, 0, self.end)
            return
        with open_segment(file) as source:
            _skip(source, self.end)
            # what follows a line that is not finished would be its rest by now
            while not self.torn and (piece := self._copy(source)):
                yield piece

    def _copy(self, source: BinaryIO) -> Piece | None:
        start = self.end
        size = PIECE if self._limit is None else min(PIECE, self._limit - start)
        fd, name = mkstemp(suffix=".jsonl", dir=self._directory)
        with open(fd, "wb") as target:  # noqa: PTH123 - it is open already
            for data in self._whole_lines(source, size):
                target.write(data)
                self.end += len(data)
        piece = Piece(self._file, Path(name), start, self.end)
        if start == self.end:
            piece.discard()
            return None
        return piece

    def _whole_lines(self, source: BinaryIO, size: int) -> Iterator[bytes]:
        """`size` bytes, and the rest of the line that goes on beyond."""
        begun = bytearray()
        try:
            while size > 0 and (data := source.read(min(_BUFFER, size))):
                size -= len(data)
                lines, end, rest = data.rpartition(b"\n")
                if end:
                    yield bytes(begun) + lines + end
                    begun = bytearray()
                begun += rest
            while begun and not begun.endswith(b"\n") and (data := source.readline(_BUFFER)):
                begun += data
        except DamagedError as error:
            self.damage = str(error)
        if begun.endswith(b"\n"):
            yield bytes(begun)
        else:
            self.torn = len(begun)


def _is_whole(file: Path) -> bool:
    """Whether it is small enough to be a piece, and ends where a line does."""
    with file.open("rb") as source:
        size = source.seek(0, os.SEEK_END)
        if not 0 < size <= PIECE:
            return False
        source.seek(-1, os.SEEK_END)
        return source.read() == b"\n"


def _skip(source: BinaryIO, size: int) -> None:
    if source.seekable():
        source.seek(size)
        return
    while size > 0 and (data := source.read(min(size, _BUFFER))):
        size -= len(data)


def cleaned(piece: Piece, directory: Path) -> tuple[Piece, list[Problem]]:
    """The records of a piece, with their payloads such that every JSON reader takes them, and what is left out.

    Raises RecordingError for a file that is no recording or is newer than this version.
    """
    copy, target = directory / "copy.jsonl", directory / "cleaned.jsonl"
    before = _copy_with_header(piece, copy)
    problems: list[Problem] = []
    try:
        with target.open("wb") as out:
            for number, record in read_records(copy, salvage=True, report=problems.append):
                if isinstance(record, Unknown | Footer):
                    continue
                if _is_sane(record):
                    out.write(encode_line(_strict(record)))
                else:
                    problems.append(
                        Problem(copy, number, "not a record: a time beyond all bounds; left out", "corrupt")
                    )
    except RecordingError as error:
        raise RecordingError(piece.file, error.reason, error.hint, line=(error.line or 1) + before) from None
    finally:
        copy.unlink()
    told = [replace(problem, path=piece.file, line=(problem.line or 1) + before) for problem in problems]
    return replace(piece, readable=target), told


def _copy_with_header(piece: Piece, copy: Path) -> int:
    """Copy a piece so that it begins with the file's header; returns how many lines of the file come before."""
    with copy.open("wb") as out, piece.readable.open("rb") as source:
        if piece.start:
            out.write(first_line(piece.file))
        shutil.copyfileobj(source, out, _BUFFER)
    return count_lines(piece.file, piece.start) - 1 if piece.start else 0


def _strict(record: Record) -> Record:
    if isinstance(record, Request | Event | Bytes) and (data := bytes(record.data)) and not is_strict(data):
        return replace(record, data=NO_DATA, text=data.decode("utf-8", "replace"))
    return record


def _is_sane(record: Record) -> bool:
    times = [getattr(record, name, 0) or 0 for name in ("at", "wait", "mono", "waited", "held")]
    times += [time for split in getattr(record, "split", None) or () for time in split]
    return all(abs(time) < SANE_NS for time in times)


def count_lines(file: Path, size: int) -> int:
    """Line ends in the first `size` bytes of the plain text."""
    count = 0
    with open_segment(file) as source:
        while size > 0 and (data := source.read(min(size, _BUFFER))):
            count += data.count(b"\n")
            size -= len(data)
    return count


def first_line_of(file: Path, stream: str) -> int | None:
    """Number of the first line that names a stream; None for one that is spelt as no writer spells it."""
    name = b'"stream":' + encode(stream) + b","
    with open_segment(file) as source:
        return next((number for number, line in enumerate(source, 1) if name in line), None)
