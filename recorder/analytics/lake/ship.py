"""Segments into a lake: each once, whatever is killed, and however many ship.

What an object is called depends on the segment alone, and the host in it on the claim, which whoever comes first
puts there and all others heed; so two that ship one segment write the same objects. The marker comes last, where
there is none: a segment with a marker is done, one without is done again. Nothing on this disk is changed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import msgspec
from msgspec import Struct

from recorder.analytics.export import Capture
from recorder.log.files import DamagedError, RecordingError, find_segments
from recorder.log.lock import is_live
from recorder.log.parts import Part, is_last_of_its_writer, parts_of
from recorder.log.reader import Report
from recorder.version import __version__

from .layout import (
    WRITTEN,
    Claim,
    Partition,
    Shipped,
    checked,
    claim_name,
    day_of,
    host_of,
    marker_name,
    object_name,
)
from .rows import Segment, StillOpen, write_rows
from .state import latest
from .store import Store, StoreError

POLL_S = 2.0
MOST_S = 60.0
"""How long is waited between two tries of a store that does not answer."""
Action = Literal["shipped", "there", "live", "waits", "failed"]


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of a segment.

    `there`: it was in the lake already. `live`: it is being written. `waits`: for the segment before it, or, while
    streams are open, for the one that goes on from it. `failed`: `reason` says why, one line. `streams`, `events`:
    rows; `bytes`: of all its objects.
    """

    segment: str
    path: Path
    action: Action
    streams: int | None = None
    events: int | None = None
    bytes: int | None = None
    reason: str | None = None


class Shipper:
    """Ships the segments at `paths`: files, directories, globs, which need not be there yet when `follow` is
    used."""

    def __init__(
        self,
        paths: Sequence[Path],
        store: Store,
        *,
        host: str,
        capture: Capture = "timing",
        report: Report,
        is_last: Callable[[Part, Sequence[Part]], bool] = is_last_of_its_writer,
    ) -> None:
        """`report` is told of lines that are left out."""
        self._paths = list(paths)
        self._store = store
        self._host = host_of(host)
        self._capture: Capture = capture
        self._report = report
        self._is_last = is_last
        self._files: dict[Path, tuple[tuple[object, ...], list[Part]]] = {}
        self._done: dict[str, Shipped] = {}
        """Markers of segments that are known to be in the lake."""

    def once(self) -> Iterator[Outcome]:
        """Ship what there is to ship; the outcome of each segment. Raises RecordingError for a path that names
        none, and StoreError as soon as the store fails."""
        known, refused = self._known()
        yield from refused
        for part in sorted(known, key=lambda part: (part.header.wall, part.header.mono, part.path)):
            yield self._handle(part, known)

    def follow(self, note: Callable[[str], None], wait: Callable[[float], None] = time.sleep) -> Iterator[Outcome]:
        """For ever: what was shipped, and what failed, once. A store that fails is tried again, after longer and
        longer, up to `MOST_S`; `note` is told when that begins and when it ends."""
        told: set[tuple[str, str | None]] = set()
        pause = POLL_S
        while True:
            try:
                for outcome in self.once():
                    if outcome.action == "shipped" or (
                        outcome.action == "failed" and (outcome.segment, outcome.reason) not in told
                    ):
                        told.add((outcome.segment, outcome.reason))
                        yield outcome
            except StoreError as error:
                if pause == POLL_S:
                    note(f"{error}; tried again until it works, nothing is lost meanwhile")
                pause = min(pause * 2, MOST_S)
            except RecordingError:
                pause = POLL_S  # nothing is there yet
            else:
                if pause > POLL_S:
                    note(f"{self._store.url}: works again")
                pause = POLL_S
            wait(pause)

    def _known(self) -> tuple[list[Part], list[Outcome]]:
        """All segments there, each once, and the files that cannot be read."""
        known: dict[str, Part] = {}
        refused: list[Outcome] = []
        for path in dict.fromkeys(file for one in self._paths for file in find_segments(one)):
            try:
                for part in self._parts(path):
                    before = known.get(part.header.segment)
                    if before is None or before.end - before.start < part.end - part.start:
                        known[part.header.segment] = part  # the longest of its copies
            except (OSError, DamagedError, ValueError) as error:
                if path.exists() and path.stat().st_size:
                    refused.append(Outcome(segment="", path=path, action="failed", reason=_said(error, path)))
        return list(known.values()), refused

    def _parts(self, path: Path) -> list[Part]:
        """A file that is being written is looked into once: what comes belongs to its last segment."""
        there = path.stat()
        live = is_live(path)
        state = (there.st_ino, live) if live else (there.st_ino, live, there.st_size, there.st_mtime_ns)
        cached = self._files.get(path)
        if cached is None or cached[0] != state:
            cached = self._files[path] = (state, parts_of(path))
        return cached[1]

    def _handle(self, part: Part, known: Sequence[Part]) -> Outcome:
        segment = part.header.segment
        try:
            if part.live:
                return Outcome(segment=segment, path=part.path, action="live")
            checked(segment)
            if there := self._marker(part):
                return self._there(part, there)
            before = _before(part, known)
            if before and before[0].header.segment not in self._done:
                return Outcome(segment=segment, path=part.path, action="waits")
            return self._ship(part, known, before)
        except StillOpen:
            return Outcome(segment=segment, path=part.path, action="waits")
        except (OSError, DamagedError, ValueError) as error:
            return Outcome(segment=segment, path=part.path, action="failed", reason=_said(error, part.path))

    def _there(self, part: Part, there: Shipped) -> Outcome:
        """One that was cut when it was shipped is not shipped again: it would be there twice."""
        if not there.sealed and there.size < part.end - part.start:
            reason = (
                f"{part.path}: the lake has the first {there.size:,} bytes of this segment; it has more by now"
            )
            return Outcome(segment=there.segment, path=part.path, action="failed", reason=reason)
        return Outcome(segment=there.segment, path=part.path, action="there")

    def _marker(self, part: Part) -> Shipped | None:
        segment = part.header.segment
        if segment not in self._done:
            content = self._store.get(marker_name(day_of(part.header.wall), segment))
            if content is not None:
                self._done[segment] = msgspec.json.decode(content, type=Shipped)
        return self._done.get(segment)

    def _claimed(self, part: Part) -> Partition:
        """Where it goes. Raises RecordingError for one that somebody else ships with another capture."""
        segment, day = part.header.segment, day_of(part.header.wall)
        name = claim_name(day, segment)
        claim = Claim(segment=segment, host=self._host, capture=self._capture)
        if not self._store.create(name, msgspec.json.encode(claim)) and (content := self._store.get(name)):
            claim = msgspec.json.decode(content, type=Claim)
        if claim.capture != self._capture:
            raise RecordingError(part.path, f"begun to ship with --capture {claim.capture}", "go on with the same")
        return Partition(day, claim.host)

    def _ship(self, part: Part, known: Sequence[Part], before: list[Part]) -> Outcome:
        partition = self._claimed(part)
        segment = Segment(
            part=part,
            before=before,
            opened=self._done[before[0].header.segment].open if before else {},
            goes_on=any(other.header.previous == part.header.segment for other in known),
            last=self._is_last(part, known),
        )
        with TemporaryDirectory(prefix="recorder-") as name:
            made = write_rows(segment, Path(name), capture=self._capture, report=self._report)
            for table in WRITTEN:
                self._store.put(object_name(table, partition, segment.id), made.files[table])
        shipped = Shipped(
            segment=segment.id, day=partition.day, host=partition.host, capture=self._capture,
            recorder=__version__, size=part.end - part.start, sealed=part.sealed, tables=made.tables,
            open=made.open,
        )  # fmt: skip
        if not self._store.create(marker_name(partition.day, segment.id), msgspec.json.encode(shipped)):
            self._take_back(partition, segment.id)
        self._done[segment.id] = shipped
        return Outcome(
            segment=segment.id, path=part.path, action="shipped", streams=made.tables["streams"].rows,
            events=made.tables["events"].rows, bytes=sum(one.bytes for one in made.tables.values()),
        )  # fmt: skip

    def _take_back(self, partition: Partition, segment: str) -> None:
        """Somebody else was faster: so much faster, perhaps, that the rows stand elsewhere by now."""
        state = latest(self._store, partition)
        if state is not None and any(segment in merged.segments for merged in state.merged):
            self._store.delete(object_name(table, partition, segment) for table in reversed(WRITTEN))


def _before(part: Part, known: Sequence[Part]) -> list[Part]:
    """The segments that it goes on from, the last first."""
    by_id = {one.header.segment: one for one in known}
    found: list[Part] = []
    while (name := (found[-1] if found else part).header.previous) in by_id:
        found.append(by_id.pop(name))
    return found


def _said(error: Exception, path: Path) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{os.fspath(path)}: {error.strerror.lower()}"
    said = str(error).partition("\n")[0]
    return said if isinstance(error, RecordingError) else f"{os.fspath(path)}: {said}"
