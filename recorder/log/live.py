"""The streams of recordings while they go on: which are open, how far each is, and each of them when it ends.

No record says that a stream was lost. It is taken for lost when the process that wrote it, once seen to be
there, is there no longer; or, where it never was (it ended before, or runs where its number means nothing,
in a container or on another machine), when nothing came for `QUIET_S` and no such process is there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from recorder.core.progress import Progress
from recorder.core.records import End, Header, StreamRecord

from .follow import Follower
from .reader import Report

QUIET_S = 600.0
"""Seconds: the SDK's own default timeout."""
_BACK = 4 << 20
"""Bytes of each file that are searched for streams which were open before."""
_ENDED = 10_000
"""Ids of ended streams that are remembered: a file that is read again is not told again."""


def is_there(pid: int) -> bool:
    """Whether a process of that number runs on this machine, as far as it can be known."""
    if os.name == "nt" or not 0 < pid < 2**31:
        return True  # Windows has no signal 0: it would end the process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


class Live:
    """The streams at `paths`, which need not be there yet.

    With `everything` also those that ended before. Else what was there before the first `poll` only shows which
    streams are open; one whose process is not there is not among them until more of it comes.

    `report` is told what cannot be read; see `Follower`. `clock`: monotonic seconds; `wall_clock`: Unix ns.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        *,
        everything: bool,
        report: Report,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], int] = time.time_ns,
        is_there: Callable[[int], bool] = is_there,
    ) -> None:
        self.open: dict[str, Progress] = {}
        """By id, in the order in which they were found."""
        self._follower = Follower(paths, back=None if everything else _BACK, report=report, clock=clock)
        self._telling = everything
        self._now = wall_clock
        self._is_there = is_there
        self._pids: dict[Path, int | None] = {}
        self._writers: dict[str, int | None] = {}
        """Of the open streams: the number of the process that wrote last."""
        self._seen: set[int] = set()
        """Processes that were there, once."""
        self._ended: dict[str, None] = {}

    @property
    def has_seen_any(self) -> bool:
        """There was a recording, followed or compressed already."""
        return self._follower.has_seen_any

    def begin(self) -> None:
        """Note what is there, so that all that comes is told. Without it the first `poll` does so."""
        if not self._telling:
            for _ in self.poll():
                pass

    def poll(self) -> Iterator[Progress]:
        """Read what is new; gives each stream that ended, or was lost (it has no `end`), once. Take all."""
        gone = self._gone()  # before reading: what they wrote is then there
        for path, record in self._follower.poll():
            if isinstance(record, Header):
                self._pids[path] = record.pid
                gone |= self._gone([record.pid]) - self._seen
            elif record.stream not in self._ended:
                stream = self._take(record)
                self._writers[stream.id] = self._pids.get(path)
                if isinstance(record, End):
                    yield from self._end(stream)
        if not self._telling:
            self._telling = True
            dead = self._gone()
            for name in [name for name, pid in self._writers.items() if pid in dead]:
                del self.open[name], self._writers[name]
        for stream in [stream for stream in self.open.values() if self._is_lost(stream, gone)]:
            yield from self._end(stream)

    def close(self) -> None:
        """Let go of the files."""
        self._follower.close()

    def _take(self, record: StreamRecord) -> Progress:
        stream = self.open.get(record.stream)
        if stream is None:
            stream = self.open[record.stream] = Progress(record, self._now())
        else:
            stream.take(record)
        return stream

    def _end(self, stream: Progress) -> Iterator[Progress]:
        del self.open[stream.id], self._writers[stream.id]
        self._ended[stream.id] = None
        if len(self._ended) > _ENDED:
            del self._ended[next(iter(self._ended))]
        if self._telling:
            yield stream

    def _gone(self, pids: Iterable[int | None] | None = None) -> set[int]:
        """Of `pids`, or all that wrote what is followed, those that are not there."""
        known = {pid for pid in (self._pids.values() if pids is None else pids) if pid is not None}
        gone = {pid for pid in known if not self._is_there(pid)}
        self._seen |= known - gone
        return gone

    def _is_lost(self, stream: Progress, gone: set[int]) -> bool:
        pid = self._writers[stream.id]
        if pid not in gone:
            return False
        return pid in self._seen or stream.silent_s(self._now()) > QUIET_S
