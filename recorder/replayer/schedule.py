"""When each piece of a recorded stream is due: absolute times from the send, so that nothing drifts."""

from __future__ import annotations

import time
from bisect import bisect_left
from itertools import pairwise
from typing import Literal, Protocol

import anyio
import anyio.lowlevel

from recorder.log.streams import Stream

ReplayTiming = Literal["instant", "ordered", "recorded"]
ReplayClock = Literal["real", "virtual"]
_SPIN_NS = 1_200_000
"""An event loop wakes up to 2 ms late: sleep until this much before, then yield to it until it is time."""


class Pace:
    """Maps recorded times to times of this run, in ns from the send.

    `speed` divides all times. `idle_limit` (s, after `speed`) cuts longer silences down to it.
    """

    def __init__(
        self, stream: Stream, timing: ReplayTiming, speed: float = 1.0, idle_limit: float | None = None
    ) -> None:
        self.instant = timing != "recorded"
        self._speed = speed
        self._starts: list[int] = []
        """Recorded times at which a silence began that is too long."""
        self._cuts = [0]
        """ns cut off in all up to and with each of them."""
        if idle_limit is not None:
            for start, end in pairwise(_arrivals(stream)):
                excess = int((end - start) / speed) - int(idle_limit * 1e9)
                if excess > 0:
                    self._starts.append(start)
                    self._cuts.append(self._cuts[-1] + excess)

    def due(self, at: int) -> int:
        """ns after the send at which what was recorded at `at` is due."""
        if self.instant:
            return 0
        return int(at / self._speed) - self._cuts[bisect_left(self._starts, at)]


def _arrivals(stream: Stream) -> list[int]:
    """The recorded times at which something happened, from the send on."""
    response, end = stream.response, stream.end
    times = [0, *(chunk.at for chunk in stream.chunks())]
    return sorted([*times, *([response.at] if response else []), *([end.at] if end else [])])


class Clock(Protocol):
    """What answers wait by; all times are ns."""

    def now(self) -> int:
        """Monotonic."""
        ...

    def sleep_until(self, deadline: int) -> None:
        """Block the thread until `now()` is `deadline`."""
        ...

    async def sleep_until_async(self, deadline: int) -> None:
        """The same for a task of asyncio or trio."""
        ...


class RealClock:
    """`perf_counter_ns`."""

    now = staticmethod(time.perf_counter_ns)

    def sleep_until(self, deadline: int) -> None:
        sleep_until(deadline)

    async def sleep_until_async(self, deadline: int) -> None:
        """To the precision of `_SPIN_NS` or better."""
        left = deadline - self.now()
        if left > _SPIN_NS:
            await anyio.sleep((left - _SPIN_NS) / 1e9)
        while self.now() < deadline:
            await anyio.lowlevel.checkpoint()


def sleep_until(deadline: int) -> None:
    """Block until `deadline`, in ns of `time.perf_counter_ns`."""
    while (left := deadline - time.perf_counter_ns()) > 0:
        time.sleep(left / 1e9)
