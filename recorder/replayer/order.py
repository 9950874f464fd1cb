"""`ordered`: what concurrent streams bring is handed over in the order in which it was recorded, without waiting.

Each stream has one next thing: its response, a chunk, its end. The earliest of all is handed over when its
reader asks for it, and nothing else until that reader has come back for more or has closed: so what the
application does with a chunk is done before the next one is there, whichever stream it is of.

Nobody is waited for in vain. A stream that was closed, dropped or has failed leaves the order. A reader that is
itself blocked on another stream is passed over at once, one that does something else after `_BUSY_S`, and a
recorded stream that nothing asks for after `_MISSING_TRIES` times that, which is logged.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any, Literal

import anyio

from recorder.log.streams import Stream

from .script import Script

_BUSY_S = 0.02
"""How long a reader may do something else before others go on without it."""
_OVER_TRIES = 5
"""How often `_BUSY_S` nothing happens before a stream is not waited for that was over when those were sent that
wait for it: the program asks for a part of the recording only."""
_MISSING_TRIES = 75
"""The same for a stream that was open meanwhile: longer than the SDK sleeps before a second attempt."""

_log = logging.getLogger("recorder")
State = Literal["missing", "asked", "waiting", "holding", "away", "over"]


class Order:
    """The recorded streams in their order. Threads, asyncio and trio may be mixed."""

    def __init__(self, streams: Iterable[Stream]) -> None:
        self._lock = threading.Lock()
        self._left: deque[Place] = deque()
        """Places to take out. Kept apart because the garbage collector may drop a reader anywhere."""
        self._next: list[Entry] = []
        """What comes next of each stream that is waited for, as a heap."""
        self.ranks = itertools.count()
        self._missing: dict[str, Place] = {}
        self._asked: set[str] = set()
        self._blocked: set[object] = set()
        """Threads and tasks that wait for their turn."""
        self._latest = 0
        """When the latest of all that was handed over was recorded."""
        self.steps = 0
        """Counts whatever happens."""
        self._streams = list(streams)
        self._begin()

    def _begin(self) -> None:
        """Wait for all streams."""
        self._latest = 0
        self._asked.clear()
        for stream in self._streams:
            response, end = stream.response, stream.end
            last = end.at if end else stream.records[-1].at
            place = Place(self, stream.id, stream.sent, stream.sent + last)
            self._missing[stream.id] = place
            self._push(place, stream.sent + (response.at if response else last))

    def ask(self, stream: Stream, script: Script) -> Place:
        """The place of a stream that is asked for now, and answered by `script`."""
        with self._changing():
            if len(self._asked) == len(self._streams) and not self._next:
                self._begin()  # all of it again
            place = self._missing.pop(stream.id, None) or self._late(stream)
            self._asked.add(stream.id)
            first = (
                [] if script.headers_at is None else [script.headers_at, *(piece.at for piece in script.pieces)]
            )
            times = itertools.accumulate([*first, script.end_at], max)
            place.times = deque(place.sent + at for at in times)
            place.state, place.owner = "asked", _current()
        if when_done := getattr(place.owner, "add_done_callback", None):  # a task of asyncio
            when_done(self._look)
        return place

    def _late(self, stream: Stream) -> Place:
        """For a stream that is not waited for. One that is served again begins where the others are."""
        return Place(self, stream.id, self._latest if stream.id in self._asked else stream.sent, 0)

    def enqueue(self, place: Place, wake: Callable[[], object]) -> None:
        """The reader of `place` wants what comes next. `wake` is called when it is its turn."""
        with self._changing():
            place.wake, place.owner = wake, _current()
            if place.state == "over" or not place.times:
                wake()
                return
            place.state = "waiting"
            self._blocked.add(place.owner)
            self._push(place, place.times[0])

    def is_followed(self, place: Place) -> bool:
        """Whether another stream has what comes after what was handed over to `place`."""
        with self._lock:
            others = [
                at for at, _, other in self._next[:3] if other is not place
            ]  # the heap's root and the second
            return bool(others) and not (place.times and place.times[0] < min(others))

    def leave(self, place: Place) -> None:
        """Nothing more is read of it. Never blocks."""
        self._left.append(place)
        self._settle()

    def nudge(self, tries: int) -> None:
        """Nothing has happened for `tries` times `_BUSY_S`: pass over who is waited for in vain."""
        with self._changing():
            if not self._next:
                return
            at, _, place = self._next[0]
            if place.state == "missing":
                self._pass_over(at, tries)
            else:
                self._pass_by(place)

    def _pass_over(self, at: int, tries: int) -> None:
        """Streams that nobody asks for, though they were sent by now."""
        begun = min((place.sent for _, _, place in self._next if place.state == "waiting"), default=at)
        missing = [place for place in self._missing.values() if place.sent <= at]
        if tries < _MISSING_TRIES:
            missing = [place for place in missing if place.until <= begun and tries >= _OVER_TRIES]
        for place in missing:
            self._missing.pop(place.id).entry = None
        if late := [place.id for place in missing if place.until > begun]:
            more = f" and {len(late) - 1} more" if len(late) > 1 else ""
            _log.warning(
                "ordered replay: nothing asks for stream %s%s, which was open here; others go on", late[0], more
            )

    def _pass_by(self, place: Place) -> None:
        """Its reader does not come back now: first others have what is due before its next, then all."""
        if place.state == "holding" and place.times:
            self._push(place, place.times[0])
        else:
            place.entry = None
        place.state = "away"

    @contextmanager
    def _changing(self) -> Generator[None]:
        with self._lock:
            self.steps += 1
            yield
            self._advance()
        self._settle()

    def _settle(self) -> None:
        """Who lets go of the lock looks again: who left meanwhile found it taken."""
        while self._left and self._lock.acquire(blocking=False):
            try:
                self.steps += 1
                self._advance()
            finally:
                self._lock.release()

    def _look(self, _: object) -> None:
        with self._changing():
            pass

    def _advance(self) -> None:
        """Hand over what is next, if its reader is there."""
        while self._left:
            place = self._left.popleft()
            if place.state == "waiting":
                self._blocked.discard(place.owner)
            place.state, place.entry = "over", None
        while self._next:
            at, _, place = self._next[0]
            if place.entry is not self._next[0]:
                heapq.heappop(self._next)  # it has left, or comes at another time
            elif place.state == "waiting":
                self._latest = max(self._latest, at)
                self._hand_over(place)
            elif place.is_absent(self._blocked):
                self._pass_by(place)
            else:
                return

    def _hand_over(self, place: Place) -> None:
        place.times.popleft()
        place.state = "holding"
        self._blocked.discard(place.owner)
        place.wake()

    def _push(self, place: Place, at: int) -> None:
        place.entry = (at, place.rank, place)
        heapq.heappush(self._next, place.entry)


class Place:
    """Where one stream is in the order. `sent`, `until`: when the recorded one was sent, and over."""

    def __init__(self, order: Order, id: str, sent: int, until: int) -> None:  # noqa: A002 - what it is
        self._order = order
        self.id = id
        self.rank = next(order.ranks)
        """Among those of the same time."""
        self.sent, self.until = sent, until
        self.state: State = "missing"
        self.times: deque[int] = deque()
        """When what is still to come was recorded."""
        self.entry: Entry | None = None
        """The one that counts, of those in the heap."""
        self.owner: object = None
        """The thread or task that last asked."""
        self.wake: Callable[[], object] = bool

    def is_absent(self, blocked: set[object]) -> bool:
        """Its reader waits for another stream, or was a task that has ended."""
        if self.owner in blocked:
            return self.state in ("holding", "away")
        owner: Any = self.owner
        return self.state == "holding" and isinstance(owner, asyncio.Task) and owner.done()

    def wait(self) -> None:
        """Block until it is the turn of what comes next."""
        event = threading.Event()
        self._order.enqueue(self, event.set)
        tries, seen = 0, self._order.steps
        while not event.wait(_BUSY_S):
            tries, seen = self._look(tries, seen)

    async def wait_async(self) -> None:
        """The same for a task of asyncio or trio."""
        event = anyio.Event()
        self._order.enqueue(self, _waker(event))
        tries, seen = 0, self._order.steps
        while not event.is_set():
            with anyio.move_on_after(_BUSY_S):
                await event.wait()
            if not event.is_set():
                tries, seen = self._look(tries, seen)

    @property
    def is_followed(self) -> bool:
        """What comes next is of another stream."""
        return self._order.is_followed(self)

    def leave(self) -> None:
        """Nothing more is read of it."""
        if self.state != "over":
            self._order.leave(self)

    def _look(self, tries: int, seen: int) -> tuple[int, int]:
        tries = tries + 1 if self._order.steps == seen else 0
        if tries:
            self._order.nudge(tries)
        return tries, self._order.steps


Entry = tuple[int, int, Place]
"""When it was recorded, the rank of whose it is, and whose it is."""


def _waker(event: anyio.Event) -> Callable[[], object]:
    """Sets the event, from whatever thread."""
    thread = threading.get_ident()
    tell: Callable[[Callable[[], object]], object]
    try:
        tell = asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        trio: Any = sys.modules["trio"]
        tell = trio.lowlevel.current_trio_token().run_sync_soon
    return lambda: event.set() if threading.get_ident() == thread else tell(event.set)


def _current() -> object:
    """The task that runs, or the thread."""
    try:
        return asyncio.current_task() or threading.current_thread()
    except RuntimeError:
        pass
    try:
        trio: Any = sys.modules["trio"]
        return trio.lowlevel.current_task()
    except (KeyError, RuntimeError):
        return threading.current_thread()
