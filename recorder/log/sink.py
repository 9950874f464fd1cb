"""Where the lines go: one file to append to, or segment after segment in a directory.

Used by the writer's thread alone. What the disk does not take stays here, to be offered again.

A directory gets a new segment when this one has `rotate_bytes`, or is `rotate_s` old. A whole, sealed segment
can be compressed, copied and deleted, one that is being written cannot: by size, so that one piece stays small
enough to handle; by age, so that old records can be deleted from under a process that lives for months and
writes little. It is looked at when something was written: what is idle stays as it is.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from recorder.core.records import Header

from .files import SUFFIX, RecordingError, is_compressed
from .items import Stats
from .segment import Segment, check_appendable

LOOK_NS = 1_000_000_000
"""How often it is looked whether the file is still there."""
ROTATE_BYTES = 256 << 20
"""A million events; compressed in a second."""
ROTATE_S = 24 * 60 * 60.0

Durability = Literal["write", "fsync"]
"""`write`: what is written survives the end of its process. `fsync`: a power cut as well; one fsync a batch."""


class Limits(Struct, frozen=True, kw_only=True):
    """When a segment of a directory is full; None is never. Raises ValueError for what is no limit."""

    rotate_bytes: int | None = ROTATE_BYTES
    rotate_s: float | None = ROTATE_S

    def __post_init__(self) -> None:
        for name, value in (("rotate_bytes", self.rotate_bytes), ("rotate_s", self.rotate_s)):
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value!r}; it is more than 0, or None")


class Sink:
    """Appends lines for one process.

    `stats` is counted up, and goes into the footers with what was counted `beside`; `failed` is told of what was
    noticed and got over; `clock` gives ns.
    """

    def __init__(
        self,
        path: Path,
        header: Callable[[], Header],
        stats: Stats,
        *,
        limits: Limits,
        durability: Durability,
        clock: Callable[[], int],
        failed: Callable[[str, Exception], None],
        beside: Callable[[], Stats] = Stats,
    ) -> None:
        self.path = path
        self._header = header
        self._stats = stats
        self._beside = beside
        self._limits = limits
        self._durability = durability
        self._clock = clock
        self._failed = failed
        self._segment: Segment | None = None
        self._series: str | None = None
        """What the names of all segments of this process begin with."""
        self._ordinal = 0
        self._previous: str | None = None
        self._lines = b""
        """Whole lines, not all of them on the disk yet."""
        self._taken = 0
        """Bytes of them that are."""
        self._looked_at = 0
        self._unsynced = False

    @property
    def left(self) -> int:
        """Lines that the disk has not taken."""
        return self._lines.count(b"\n", self._taken)

    def take(self, lines: bytes) -> None:
        """Append whole lines, after those that are left. Raises OSError and RecordingError: then all of them, or
        the rest, are left."""
        self._lines += lines
        self._look_after_segment()
        if self._segment is None:
            if not self._lines:
                return
            self._segment = self._open()
        view = memoryview(self._lines)
        while self._taken < len(view):
            taken = self._segment.write(view[self._taken :])
            self._taken += taken
            self._stats.written_bytes += taken
            self._unsynced = self._durability == "fsync"
        self._lines, self._taken = b"", 0
        if self._unsynced:
            self._unsynced = False
            try:
                self._segment.sync()
            except OSError:
                # The system may have dropped what it could not write, and the next sync would not say so.
                self.abandon()
                raise
        if self._is_full():
            self._seal()

    def close(self) -> None:
        """Seal the segment, if it holds all that it should. Raises OSError when that fails."""
        try:
            if not self._lines:
                self._seal()
        finally:
            self.abandon()

    def _seal(self) -> None:
        if self._segment is None:
            return
        self._segment.end(msgspec.to_builtins(self._stats + self._beside()))
        try:
            if self._durability == "fsync":
                self._segment.sync()
        finally:
            self.abandon()  # whatever happens: one segment has one footer

    def abandon(self) -> None:
        """Let go of the segment without sealing it: it is gone, or another process's. Raises OSError."""
        segment, self._segment = self._segment, None
        if segment is not None:
            self._previous = segment.header.segment
            segment.close()

    def _open(self) -> Segment:
        header = msgspec.structs.replace(self._header(), previous=self._previous)
        if self._appends:
            return Segment.append(self.path, header)
        if self._series is None:
            started = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(header.wall / 1e9))
            self._series = f"{started}-{header.pid}-{secrets.token_hex(3)}"
        path = self.path / f"{self._series}-{self._ordinal:06}{SUFFIX}"
        segment = Segment.create(path, header)
        self._ordinal += 1
        return segment

    @property
    def _appends(self) -> bool:
        return self.path.suffix == SUFFIX

    def _is_full(self) -> bool:
        """Whether the next lines go into a new segment."""
        segment, limits = self._segment, self._limits
        if segment is None or self._appends:
            return False
        if limits.rotate_bytes is not None and segment.seal.bytes >= limits.rotate_bytes:
            return True
        return limits.rotate_s is not None and self._clock() - segment.header.mono >= limits.rotate_s * 1e9

    def _look_after_segment(self) -> None:
        """Once a second: a file that was removed, or moved away, would take records and show them to nobody."""
        now = self._clock()
        if self._segment is None or now < self._looked_at + LOOK_NS:
            return
        self._looked_at = now
        if self._segment.is_gone():
            self.abandon()
            self._taken = 0  # the first half of a line is gone with the file: all of it goes into the next one
            self._failed("the file was removed; going on in a new one", FileNotFoundError(self.path))


def check_path(path: Path) -> None:
    """Raises RecordingError for a path that nothing can be recorded to."""
    if is_compressed(path):
        raise RecordingError(path, "a compressed recording cannot be added to", f"name a directory or a *{SUFFIX}")
    if path.suffix == SUFFIX:
        check_appendable(path)
