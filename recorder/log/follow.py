"""Recordings while they grow: the records of new whole lines, file by file, in constant memory.

A file is known by its inode, not by its name, so one that is renamed is not read again. Files that grew are
held open, the last `_HELD` of them: what was written to a file just before it was removed, or compressed and
removed, is still read, and its inode is nobody else's meanwhile. Nothing here waits: `poll` gives what is new
since the call before, and who calls it decides how often.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from recorder.core.lines import decode_line
from recorder.core.records import FORMAT, VERSION, Header, StreamRecord

from .files import COMPRESSED, find_segments, is_compressed, why
from .reader import MAX_LINE, Problem, RecordingError, Report, read_records

_BLOCK = 1 << 18
_HEADER = 1 << 16
_HELD = 0 if os.name == "nt" else 64
"""Windows lets nobody remove a file that is open."""
_LOOK_S = 0.5
"""How often directories are searched for new files, in seconds."""

_Identity = tuple[int, int]


class Followed(NamedTuple):
    """A record, and the file that it stands in."""

    path: Path
    record: Header | StreamRecord


class Follower:
    """Follows files, directories and globs, which need not be there yet.

    `back`: of a file that is there at the first `poll`, begin with the line that stands so many bytes before
    its end; None: with its first line. Only the `back_files` files that changed last are gone back in. Of
    every file the header comes first, and a file that appears later is read from its start.

    `report` is told, once for each file, of what cannot be read: a file that may not be, that is no recording,
    that is newer than this version, that has lines which are no records. Nothing is raised for them. A file
    that got shorter is read again from its start. `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        *,
        back: int | None = 0,
        back_files: int = 32,
        report: Report,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paths = list(paths)
        self._back = back
        self._back_files = back_files
        self._report = report
        self._clock = clock
        self._looked: float | None = None
        self._files: dict[_Identity, _File] = {}
        self._held: dict[_File, None] = {}
        self._left: list[_File] = []
        """Files that are no longer there, and perhaps held open."""
        self._names: set[Path] = set()
        """Every name that was ever followed."""
        self._told: set[Problem] = set()

    @property
    def files(self) -> int:
        """How many files are followed now."""
        return len(self._files)

    @property
    def has_seen_any(self) -> bool:
        """There was a recording, followed or compressed already."""
        return bool(self._names)

    def poll(self) -> Iterator[Followed]:
        """The records that are new since the call before, older files first; each is given once, so take all."""
        compressed = self._look() if self._is_time_to_look() else []
        grown = [file for file in self._files.values() if file.has_grown()]
        left = [file for file in self._left if file.is_open]
        # By age, because a stream may go on in the next segment of its process.
        news = [(file.stat.st_mtime_ns, file.path, self._new(file)) for file in (*left, *grown)]
        news += [(stat.st_mtime_ns, path, self._whole(path)) for path, stat in compressed]
        for _, _, records in sorted(news, key=lambda one: one[:2]):
            yield from records
        for file in self._left:
            self._let_go(file)
        self._left.clear()

    def close(self) -> None:
        """Let go of all files."""
        for file in [*self._held, *self._left]:
            self._let_go(file)

    def _is_time_to_look(self) -> bool:
        if self._looked is None or self._clock() >= self._looked + _LOOK_S:
            return True
        return not all(file.is_in_place() for file in self._files.values())

    def _look(self) -> list[tuple[Path, os.stat_result]]:
        """Find out which files there are; returns compressed ones that were never followed."""
        first, self._looked = self._looked is None, self._clock()
        there: dict[_Identity, tuple[Path, os.stat_result]] = {}
        compressed: list[tuple[Path, os.stat_result]] = []
        for path in self._found():
            try:
                stat = path.stat()
            except OSError:
                continue  # gone since it was found
            if path.name.endswith(COMPRESSED):
                compressed.append((path, stat))
            elif not is_compressed(path):  # and no half of one
                there.setdefault((stat.st_dev, stat.st_ino), (path, stat))
        self._part_with_what_is_gone(there)
        self._begin({key: one for key, one in there.items() if key not in self._files}, first=first)
        self._names.update(path for path, _ in there.values())
        unread = [one for one in compressed if one[0].with_suffix("") not in self._names]
        self._names.update(path.with_suffix("") for path, _ in unread)
        return [] if first and self._back is not None else unread

    def _found(self) -> Iterator[Path]:
        for path in self._paths:
            try:
                yield from find_segments(path)
            except RecordingError as error:
                if "permission" in error.reason:
                    self._tell(error.path, error.reason)
            except OSError:
                pass  # a directory vanished while it was searched

    def _part_with_what_is_gone(self, there: dict[_Identity, tuple[Path, os.stat_result]]) -> None:
        for identity, file in list(self._files.items()):
            path, stat = there.get(identity, (None, None))
            if path is None or stat is None or not file.is_the_same(path, stat):
                self._left.append(self._files.pop(identity))
            else:
                file.path, file.stat = path, stat

    def _begin(self, new: dict[_Identity, tuple[Path, os.stat_result]], *, first: bool) -> None:
        latest = sorted(new, key=lambda identity: new[identity][1].st_mtime_ns, reverse=True)
        for n, identity in enumerate(latest):
            file = self._files[identity] = _File(*new[identity])
            if first and self._back is not None:
                try:
                    file.skip(self._back if n < self._back_files else 0)
                except OSError as error:
                    self._tell(file.path, why(error))

    def _new(self, file: _File) -> Iterator[Followed]:
        """The records of the lines that `file` got."""
        try:
            for line in file.lines():
                record = self._record(file, line)
                if file.ignored:
                    break
                if isinstance(record, Header | StreamRecord):
                    yield Followed(file.path, record)
        except FileNotFoundError:
            pass  # the next look finds out where it went
        except OSError as error:
            self._tell(file.path, why(error))
        self._hold(file)

    def _record(self, file: _File, line: bytes) -> object:
        """The record of a line, if it is one. Sets `file.ignored` where no record can be hoped for."""
        try:
            line.decode("utf-8") if not line.isascii() else None
            record = decode_line(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            record = None
        reason = "a line that is no record left out (more of them are not told)" if record is None else None
        if isinstance(record, Header):
            file.started = file.started or record.format == FORMAT
            if record.v > VERSION:
                reason, file.ignored = f"written by a newer sse-recorder (format {record.v}); left out", True
        if not file.started:
            reason, file.ignored = "not a recording (its first line is no header); left out", True
        if reason:
            self._tell(file.path, reason)
        return record

    def _whole(self, path: Path) -> Iterator[Followed]:
        """The records of a compressed segment: it was written and compressed between two looks."""
        try:
            for _, record in read_records(path, salvage=True, report=lambda one: self._tell(path, one.reason)):
                if isinstance(record, Header | StreamRecord):
                    yield Followed(path, record)
        except RecordingError as error:
            self._tell(path, error.reason)

    def _hold(self, file: _File) -> None:
        self._held.pop(file, None)
        self._held[file] = None
        while len(self._held) > _HELD:
            self._let_go(next(iter(self._held)))

    def _let_go(self, file: _File) -> None:
        self._held.pop(file, None)
        file.close()

    def _tell(self, path: Path, reason: str) -> None:
        problem = Problem(path, None, reason, "corrupt")
        if problem not in self._told:
            self._told.add(problem)
            self._report(problem)


class _File:
    """One file, and how far it was read."""

    def __init__(self, path: Path, stat: os.stat_result) -> None:
        self.path = path
        self.stat = stat
        """As it was last seen."""
        self.started = False
        """Its header was read."""
        self.ignored = False
        """It is no recording that can be read."""
        self._file: BinaryIO | None = None
        self._offset = 0
        """Of the first byte that was not read."""
        self._header = b""
        """First line of a file that is not read from its start, until it is handed out."""
        self._rest = bytearray()
        """A last line without an end, so far."""
        self._too_long = False
        """That line is being skipped."""

    @property
    def is_open(self) -> bool:
        return self._file is not None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def is_in_place(self) -> bool:
        """False when the file is no longer where it was; takes note of its size."""
        try:
            stat = self.path.stat()
        except OSError:
            return False
        if not os.path.samestat(stat, self.stat):
            return False
        self.stat = stat
        return True

    def is_the_same(self, path: Path, stat: os.stat_result) -> bool:
        """Whether what has our inode now is this file: an inode that nobody holds may get another file."""
        unchanged = (stat.st_size, stat.st_mtime_ns) == (self.stat.st_size, self.stat.st_mtime_ns)
        return self.is_open or path == self.path or unchanged

    def has_grown(self) -> bool:
        """Or got shorter: there is something to read, or to read again."""
        return not self.ignored and self.stat.st_size != self._offset

    def skip(self, back: int) -> None:
        """Go to the line that stands `back` bytes before the end. Raises OSError."""
        self._offset = self.stat.st_size  # of a file that cannot be opened now, only what comes later is new
        file = self._open()
        try:
            start = _line_start(file, max(0, self.stat.st_size - back))
            file.seek(0)
            self._header = file.readline(_HEADER) if start else b""
            self._offset = start
        finally:
            self.close()

    def lines(self) -> Iterator[bytes]:
        """The whole lines that are new, without their ends. Raises OSError."""
        file = self._open()
        size = os.fstat(file.fileno()).st_size
        if size < self._offset:
            self._offset, self._too_long = 0, False
            self._rest.clear()
        file.seek(self._offset)
        if self._header:
            header, self._header = self._header, b""
            yield header
        while self._offset < size and (block := file.read(min(_BLOCK, size - self._offset))):
            self._offset += len(block)
            yield from self._split(block)

    def _split(self, block: bytes) -> Iterator[bytes]:
        *ended, rest = block.split(b"\n")
        for line in ended:
            if not self._too_long:
                yield bytes(self._rest) + line if self._rest else line
            self._rest.clear()
            self._too_long = False
        if not self._too_long:
            self._rest += rest
        if len(self._rest) > MAX_LINE:
            self._rest.clear()
            self._too_long = True

    def _open(self) -> BinaryIO:
        if self._file is None:
            file = self.path.open("rb")
            if not os.path.samestat(os.fstat(file.fileno()), self.stat):
                file.close()
                raise FileNotFoundError(str(self.path))  # another has its name now
            self._file = file
        return self._file


def _line_start(file: BinaryIO, position: int) -> int:
    """Where the line begins in which `position` stands."""
    while position > 0:
        begin = max(0, position - _BLOCK)
        file.seek(begin)
        end = file.read(position - begin).rfind(b"\n")
        if end >= 0:
            return begin + end + 1
        position = begin
    return 0
