"""A clock that does not wait: time stands still while something runs, and jumps when everything sleeps.

The first of all deadlines is where it jumps to: of threads in `time.sleep`, of asyncio's timers, of answers that
are due. So what an application measures is what it would have measured, and to the nanosecond the same each run.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import heapq
import itertools
import math
import queue
import selectors
import sys
import threading
from bisect import insort
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from .errors import ClockError

_PATIENCE_S = 0.001
"""Real time that a socket is given before the clock jumps."""
_WAITING_TRIES = 10
"""How often that is given to a thread that looks as if it waited for another: it may just have been woken."""
_RUNNING_TRIES = 200
"""And to one that does not: it computes, or it waits in a way of its own."""
_WAITING_IN = {
    (threading.__file__, "wait"),
    (threading.__file__, "acquire"),
    (threading.__file__, "join"),
    (threading.__file__, "_wait_for_tstate_lock"),
    (queue.__file__, "get"),
    (selectors.__file__, "select"),
    (concurrent.futures.thread.__file__, "_worker"),
}
"""Where a thread waits for another one: file and function."""
_NEVER = sys.maxsize


class VirtualClock:
    """Time in ns since it was made. `start` is the real monotonic clock, in ns, at that moment.

    Threads that take part are those in `threads`: the clock jumps at once when all of them sleep.
    """

    def __init__(self, start: int) -> None:
        self.start = start
        self.uses = 0
        """How often it was entered and not left; at 0 it is over."""
        self.threads: set[threading.Thread] = set()
        self._now = 0
        self._changed = threading.Condition()
        self._waiting: list[int] = []
        """The deadlines of all threads that sleep, sorted; those that were reached and not yet noticed, too."""
        self._loops: dict[asyncio.AbstractEventLoop, IdleSelector] = {}
        self._trio: tuple[object, int] | None = None
        """The trio run that it follows, and our time at its 0."""
        self._following = False

    def elapsed(self) -> int:
        """ns since it was made."""
        if not self._following and (clock := _trio_clock()) is not None:
            with self._changed:
                self._following = True  # a MockClock that was made inside has us for its real clock
                self._follow(clock)
                self._following = False
        return self._now

    def now(self) -> int:
        """ns of the monotonic clock that it stands for."""
        return self.start + self.elapsed()

    def sleep(self, ns: int) -> None:
        self._sleep_until(self.elapsed() + ns)

    def sleep_until(self, deadline: int) -> None:
        """Block the thread until `now()` is `deadline`."""
        self._sleep_until(deadline - self.start)

    async def sleep_until_async(self, deadline: int) -> None:
        """The same for a task of asyncio, or of trio under its MockClock. Raises ClockError for any other loop."""
        if deadline <= self.now() or not self.uses:
            return
        if (clock := _trio_clock()) is not None:
            await self._sleep_in_trio(clock, deadline - self.start)
        else:
            loop = asyncio.get_running_loop()
            self.attach(loop)
            await self._loops[loop].sleep_until(deadline - self.start)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """From here on the loop's time is this clock's. Raises ClockError for a loop that is not asyncio's own."""
        if loop in self._loops:
            return
        if not isinstance(loop, asyncio.BaseEventLoop):
            raise ClockError(f"clock='virtual' needs asyncio's own event loop; this is {type(loop).__name__}")
        inner: Any = loop
        before = inner.time.after if isinstance(inner.time, _LoopTime) else 0
        inner.time = _LoopTime(self, before)
        inner._selector = self._loops[loop] = IdleSelector(inner._selector, self)

    def detach_all(self, real_now: Callable[[], int]) -> None:
        """The loops go on in real time, from where they are: the time of a loop never goes back."""
        for loop, selector in self._loops.items():
            inner: Any = loop
            if not loop.is_closed():
                inner._selector = selector.real
                inner.time.go_on(real_now)
        self._loops.clear()

    def idle(self, deadline: int | None, *, elsewhere: Callable[[float | None], object]) -> None:
        """A loop has nothing to do before `deadline` (ns elapsed). Jump, unless something comes from elsewhere:
        `elsewhere` waits for that, as many seconds as it is told, and says whether it came."""
        with self._sleeping(_NEVER if deadline is None else deadline):
            if deadline is None:
                elsewhere(None)
                return
            tries = 0
            while self._now < deadline and not self._try_to_jump(tries) and not elsewhere(_PATIENCE_S):
                tries += 1

    def _sleep_until(self, deadline: int) -> None:
        if (clock := _trio_clock()) is not None:
            if deadline > self._now:
                clock.jump((deadline - self._now) / 1e9)
            return
        tries = 0
        with self._sleeping(deadline):
            while self._now < deadline:
                self._try_to_jump(tries)
                with self._changed:
                    if self._now < deadline:
                        tries = 0 if self._changed.wait(_PATIENCE_S) else tries + 1

    @contextmanager
    def _sleeping(self, deadline: int) -> Generator[None]:
        thread = threading.current_thread()
        with self._changed:
            insort(self._waiting, deadline)
            outside = thread not in self.threads
            self.threads.add(thread)
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._waiting.remove(deadline)
                if outside:
                    self.threads.discard(thread)
                self._changed.notify_all()

    def _try_to_jump(self, tries: int) -> bool:
        """Nothing has happened for `tries` times `_PATIENCE_S`. At once where every thread sleeps."""
        with self._changed:
            asleep = len(self._waiting) >= len(self.threads)
            waiting = tries >= _WAITING_TRIES and self._nobody_runs()
            return (asleep or waiting or tries >= _RUNNING_TRIES) and self._jump()

    def _nobody_runs(self) -> bool:
        """As far as can be seen, every thread waits for another one."""
        frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]
        others = (frames.get(one.ident or 0) for one in self.threads if one is not threading.current_thread())
        return all(one and (one.f_code.co_filename, one.f_code.co_name) in _WAITING_IN for one in others)

    def _jump(self) -> bool:
        """To the first deadline; not past one that its thread has not noticed yet."""
        if not self._now < self._waiting[0] < _NEVER:
            return False
        self._now = self._waiting[0]
        self._changed.notify_all()
        return True

    def _follow(self, clock: Any) -> None:
        token, trio_now = sys.modules["trio"].lowlevel.current_trio_token(), round(clock.current_time() * 1e9)
        if self._trio is None or self._trio[0] is not token:
            self._trio = token, self._now - trio_now
        self._now = max(self._now, self._trio[1] + trio_now)

    async def _sleep_in_trio(self, clock: Any, deadline: int) -> None:
        trio: Any = sys.modules["trio"]
        if type(clock).__name__ != "MockClock":
            raise ClockError(
                "clock='virtual' in trio needs trio's own: trio.run(main, clock=trio.testing.MockClock("
                "autojump_threshold=0))"
            )
        while (left := deadline - self.elapsed()) > 0:
            await trio.sleep(left / 1e9)


class IdleSelector:
    """In the place of a loop's selector: when the loop would wait for a timer, the clock jumps to it."""

    def __init__(self, real: Any, clock: VirtualClock) -> None:
        self.real = real
        self._clock = clock
        self._due: list[tuple[int, int, asyncio.Future[None]]] = []
        """What answers wait for, as a heap: in integers, where the loop's own timers are floats."""
        self._ordinals = itertools.count()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    async def sleep_until(self, deadline: int) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._due, (deadline, next(self._ordinals), future))
        await future

    def select(self, timeout: float | None = None) -> Any:
        now = self._clock.elapsed()
        if self._wake(now):
            timeout = 0
        if (ready := self.real.select(0)) or (timeout is not None and timeout <= 0):
            return ready
        deadline = self._due[0][0] if self._due else None
        if timeout is not None:
            timer = now + max(1, round(timeout * 1e9))
            deadline = timer if deadline is None else min(deadline, timer)
        if deadline is not None and len(self.real.get_map()) > 1:  # one is the loop's own
            ready = self.real.select(_PATIENCE_S)
        if not ready:
            self._clock.idle(deadline, elsewhere=lambda seconds: ready.extend(self.real.select(seconds)) or ready)
            self._wake(self._clock.elapsed())
        return ready

    def _wake(self, now: int) -> bool:
        """Tell those whose time has come, the earliest first."""
        woken = False
        while self._due and (self._due[0][2].done() or self._due[0][0] <= now):
            future = heapq.heappop(self._due)[2]
            if not future.done():
                future.set_result(None)
                woken = True
        return woken


class _LoopTime:
    """In the place of a loop's `time`. `after`: ns by which the loop is ahead of the clock that drives it."""

    def __init__(self, clock: VirtualClock, after: int) -> None:
        self._now = clock.now
        self.after = after

    def __call__(self) -> float:
        return (self._now() + self.after) / 1e9

    def go_on(self, real_now: Callable[[], int]) -> None:
        self.after += self._now() - real_now()
        self._now = real_now


def _trio_clock() -> Any:
    """The clock of the trio run that this is called from, or None."""
    if (trio := sys.modules.get("trio")) is None:
        return None
    try:
        return trio.lowlevel.current_clock()
    except RuntimeError:
        return None


def in_ns(seconds: float) -> int:
    """As `time.sleep` takes it. Raises ValueError for what is no length of time."""
    if math.isnan(seconds) or seconds < 0:
        raise ValueError("sleep length must be non-negative")
    return round(seconds * 1e9)
