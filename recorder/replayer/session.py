"""`recorder.replay(path)`: every client in the process is answered from a recording, or one client is.

Requests that are not for Claude pass: a test may talk to its own server.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, cast, get_args

import anthropic
import httpx2

from recorder.core.fingerprint import path_of
from recorder.log.reader import Problem, RecordingError, find_segments
from recorder.log.streams import Stream, read_streams

from . import sdk, stand_in, virtual_time
from .asked import asked, asked_by
from .errors import ClockError
from .faults.inject import Faults, Injected, Injector, Served
from .faults.verdict import Ended, Verdict, judge
from .match import Matcher, Shelf
from .order import Order
from .schedule import Clock, Pace, RealClock, ReplayClock, ReplayTiming
from .script import Script, at_once, script_of
from .transport import ReplayTransport, Serving
from .virtual import VirtualClock

Function = TypeVar("Function", bound=Callable[..., Any])
_PLACEHOLDER_KEY = "replayed-no-key-needed"


class Replay(stand_in.Answerer):
    """A recording that answers requests. Each recorded stream is served once.

    timing: `instant` (no waiting, nor before the retry of an error response), `ordered` (the same, and what
    concurrent streams bring comes in its recorded order) or `recorded`: every chunk at its recorded time from the
    send, divided by `speed`, silences cut to `idle_limit` seconds.

    clock: `real`, or `virtual` inside the `with` block: nothing waits, and `time` and asyncio tell the time that
    it would be. Then entering raises ClockError in an event loop that is not asyncio's own.

    Requests are matched by method, path and body. `ignore` names fields of the body that are not compared, as
    dotted paths (`metadata.user_id` always is); `hint` ends the message of a `NoMatch`. `match(recorded, asked)`
    compares in another way: it returns the reasons why the recorded request is not the one asked, or nothing.

    faults: what goes wrong on purpose (`recorder.faults`): a fault, its text, or a function that gives one for
    each attempt, from the recorded stream that answers it and how often the same was asked before.

    repeat: once all streams that are equal were served, begin again with the first.

    Raises RecordingError when the recording cannot be read, FaultError for a text that is no fault, and ValueError
    for an unknown option.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        timing: ReplayTiming = "instant",
        speed: float = 1.0,
        idle_limit: float | None = None,
        clock: ReplayClock = "real",
        ignore: Sequence[str] = (),
        match: Matcher | None = None,
        hint: str = "Record it again if the change is meant.",
        faults: Faults | None = None,
        repeat: bool = False,
    ) -> None:
        _check("timing", timing, get_args(ReplayTiming))
        _check("clock", clock, get_args(ReplayClock))
        if not speed > 0:
            raise ValueError(f"speed is {speed!r}; it is a number above 0")
        if idle_limit is not None and not idle_limit >= 0:
            raise ValueError(f"idle_limit is {idle_limit!r}; it is a number of seconds, 0 or more")
        self._again = lambda: Replay(
            path,
            timing=timing,
            speed=speed,
            idle_limit=idle_limit,
            clock=clock,
            ignore=ignore,
            match=match,
            hint=hint,
            faults=faults,
            repeat=repeat,
        )
        super().__init__(os.fspath(path))
        self.problems: list[Problem] = []
        streams = list(read_streams(find_segments(path), report=self.problems.append))
        bare = [stream for stream in streams if stream.is_without_text]
        whole = [stream for stream in streams if stream not in bare]
        if streams and not whole:
            raise RecordingError(self.name, "recorded without text, so there is nothing to replay")
        self.problems += [
            Problem(stream.path, None, f"stream {stream.id}: recorded without text; not replayed", "missing")
            for stream in bare
        ]
        self._shelf = Shelf(whole, self.name, repeat=repeat, ignore=ignore, match=match, hint=hint)
        self._instant = timing != "recorded"
        sdk.install()
        self._order = Order(self._shelf.streams) if timing == "ordered" else None
        self._virtual = clock == "virtual"
        self._clock: Clock | None = None if self._virtual else RealClock()
        self._pace: Callable[[Stream], Pace] = lambda stream: Pace(stream, timing, speed, idle_limit)
        self._transport = ReplayTransport(self.answer, self._now)
        self._injector = None if faults is None else Injector(faults, instant=self._instant, clock=self._now)
        self.ended: Ended = "unknown"
        """How the run ended, for a verdict: leaving the `with` block says so, or who runs it by other means."""

    @property
    def streams(self) -> list[Stream]:
        """All that was recorded, in the order in which it was sent."""
        return self._shelf.streams

    @property
    def served(self) -> list[Stream]:
        """What was served so far, in that order."""
        return list(self._shelf.served)

    @property
    def unused(self) -> list[Stream]:
        """What nothing asked for so far."""
        return self._shelf.unused

    @property
    def transport(self) -> ReplayTransport:
        """The httpx2 transport that answers, sync and async."""
        return self._transport

    def client(self, **options: Any) -> anthropic.Anthropic:
        """A client that is answered by this recording, with `options` of `anthropic.Anthropic`."""
        options.setdefault("api_key", _PLACEHOLDER_KEY)
        return anthropic.Anthropic(**options, http_client=anthropic.DefaultHttpxClient(transport=self._transport))

    def async_client(self, **options: Any) -> anthropic.AsyncAnthropic:
        """An async client that is answered by this recording, with `options` of `anthropic.AsyncAnthropic`."""
        options.setdefault("api_key", _PLACEHOLDER_KEY)
        http = anthropic.DefaultAsyncHttpxClient(transport=self._transport)
        return anthropic.AsyncAnthropic(**options, http_client=http)

    def __enter__(self) -> Self:
        self.start_clock()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended = "well" if kind is None else "badly"
        self.stop_clock()
        super().__exit__(kind, error, trace)

    def start_clock(self) -> None:
        """Put this thread into the virtual clock, where that was asked for; entering does it."""
        if self._virtual and self._clock is None:
            self._clock = virtual_time.enter()

    def stop_clock(self) -> None:
        """The opposite; leaving does it."""
        if isinstance(self._clock, VirtualClock):
            virtual_time.leave(self._clock)
            self._clock = None

    def __call__(self, function: Function) -> Function:
        """Decorate a function, sync or async: each call of it is answered from the beginning."""

        @functools.wraps(function)
        def answered(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        @functools.wraps(function)
        async def answered_async(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return await function(*args, **kwargs)

        return cast("Function", answered_async if inspect.iscoroutinefunction(function) else answered)

    def answers(self, request: httpx2.Request) -> bool:
        """True for a request to Claude: it says so, its path does, or its path was recorded."""
        return super().answers(request) or path_of(str(request.url)).partition("?")[0] in self._shelf.paths

    def handle(self, request: httpx2.Request, _: stand_in.RealTransport, /) -> httpx2.Response:
        """Answers; never by the network."""
        return self._transport.handle_request(request)

    async def handle_async(self, request: httpx2.Request, _: stand_in.RealTransport, /) -> httpx2.Response:
        """The same for async clients."""
        return await self._transport.handle_async_request(request)

    def has(self, request: httpx2.Request) -> bool:
        """True when a recorded stream is left that answers this request."""
        return self._shelf.has(asked(request))

    def take(self, stream: Stream) -> Stream:
        """The recorded stream of the request that `stream` had; it counts as served. Raises NoMatch."""
        return self._shelf.take(asked_by(stream))

    @property
    def injected(self) -> list[Injected]:
        """Which attempts got which fault so far."""
        return self._injector.injected if self._injector else []

    def verdict(self, *, output: str | None = None, max_attempts: int = 6) -> Verdict:
        """What the client did under the faults; best asked for after the `with` block.

        `output`: what the application put out, where that is known. Raises ValueError without `faults`.
        """
        if self._injector is None:
            raise ValueError("this replay has no faults to judge by; give recorder.replay some: faults=...")
        return judge(
            self._injector.served,
            real_time=not self._instant,
            ended=self.ended,
            output=output,
            max_attempts=max_attempts,
        )

    def answer(self, request: httpx2.Request) -> Serving:
        """What answers the request; it counts as served. Raises NoMatch."""
        self.requests += 1
        if self._clock is None:
            raise ClockError(f"{self.name}: clock='virtual' holds inside its `with` block, and this is outside")
        one = asked(request)
        if self._injector is None:
            stream = self._shelf.take(one)
            return self._serving(stream, self._script(stream), self._clock, None)
        served = self._injector.serve(self._shelf.key(one), lambda: self._shelf.take(one), self._faultless)
        return self._serving(served.stream, served.script, self._clock, served)

    def _serving(self, stream: Stream, script: Script, clock: Clock, served: Served | None) -> Serving:
        turns = self._order.ask(stream, script) if self._order else None
        return Serving(script, self._instant, clock, served, turns, stream.id)

    def _faultless(self, stream: Stream) -> Script:
        """What a fault is done to: with nothing to wait for, unless times are needed."""
        return at_once(stream) if self._instant and self._order is None else self._script(stream)

    def _script(self, stream: Stream) -> Script:
        script = script_of(stream)
        return script if self._instant else script.retimed(self._pace(stream).due)

    def _now(self) -> int:
        return self._clock.now() if self._clock else 0


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} is {value!r}; it is {' or '.join(map(repr, known))}")


def replay(
    path: str | os.PathLike[str],
    *,
    timing: ReplayTiming = "instant",
    speed: float = 1.0,
    idle_limit: float | None = None,
    clock: ReplayClock = "real",
    ignore: Sequence[str] = (),
    match: Matcher | None = None,
    faults: Faults | None = None,
) -> Replay:
    """Answer from the recording at `path`: `with recorder.replay(path): ...`, or `.client()` for one client.

    Before a function it is a decorator: each call of the function begins the recording anew.
    """
    return Replay(
        path,
        timing=timing,
        speed=speed,
        idle_limit=idle_limit,
        clock=clock,
        ignore=ignore,
        match=match,
        faults=faults,
    )
