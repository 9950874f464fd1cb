"""`recorder.replay(path)`: every client in the process is answered from a recording, or one client is.

Requests that are not for Claude pass: a test may talk to its own server.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, cast

import anthropic
import httpx2

from recorder.core.fingerprint import path_of
from recorder.log.reader import Problem, RecordingError, find_segments
from recorder.log.streams import Stream, read_streams

from . import sdk, stand_in, virtual_time
from .asked import asked, asked_by
from .errors import ClockError
from .faults.inject import Injected, Injector, Served
from .faults.verdict import Ended, Verdict, judge
from .match import Shelf
from .options import ReplayOptions, check
from .order import Order
from .schedule import Clock, Pace, RealClock
from .script import Script, at_once, script_of
from .transport import ReplayTransport, Serving
from .virtual import VirtualClock

Function = TypeVar("Function", bound=Callable[..., Any])
_PLACEHOLDER_KEY = "replayed-no-key-needed"


class Replay(stand_in.Answerer):
    """A recording that answers requests. Each recorded stream is served once.

    Requests are matched by method, path and body; `ReplayOptions` tells of the options. `hint` ends the message
    of a `NoMatch`. `repeat`: once all streams that are equal were served, begin again with the first.

    Raises RecordingError when the recording cannot be read, FaultError for a text that is no fault, TypeError for
    an unknown option, and ValueError for a value that an option cannot have.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        hint: str = "Record it again if the change is meant.",
        repeat: bool = False,
        **options: Unpack[ReplayOptions],
    ) -> None:
        check(options)
        self._again = lambda: Replay(path, hint=hint, repeat=repeat, **options)
        super().__init__(os.fspath(path))
        self.problems: list[Problem] = []
        self._shelf = Shelf(
            self._whole_streams(path),
            self.name,
            repeat=repeat,
            ignore=options.get("ignore", ()),
            match=options.get("match"),
            hint=hint,
        )
        sdk.install()
        timing = options.get("timing", "instant")
        speed, idle_limit = options.get("speed", 1.0), options.get("idle_limit")
        self._instant = timing != "recorded"
        self._order = Order(self._shelf.streams) if timing == "ordered" else None
        self._pace: Callable[[Stream], Pace] = lambda stream: Pace(stream, timing, speed, idle_limit)
        self._virtual = options.get("clock") == "virtual"
        self._clock: Clock | None = None if self._virtual else RealClock()
        self._transport = ReplayTransport(self.answer, self._now)
        faults = options.get("faults")
        self._injector = None if faults is None else Injector(faults, instant=self._instant, clock=self._now)
        self.ended: Ended = "unknown"
        """How the run ended, for a verdict: leaving the `with` block says so, or who runs it by other means."""

    def _whole_streams(self, path: str | os.PathLike[str]) -> list[Stream]:
        """Those that can be replayed; what cannot is among the problems."""
        streams = list(read_streams(find_segments(path), report=self.problems.append))
        bare = [stream for stream in streams if stream.is_without_text]
        if bare and len(bare) == len(streams):
            raise RecordingError(self.name, "recorded without text, so there is nothing to replay")
        self.problems += [
            Problem(stream.path, None, f"stream {stream.id}: recorded without text; not replayed", "missing")
            for stream in bare
        ]
        return [stream for stream in streams if stream not in bare]

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


def replay(path: str | os.PathLike[str], **options: Unpack[ReplayOptions]) -> Replay:
    """Answer from the recording at `path`: `with recorder.replay(path): ...`, or `.client()` for one client.

    Before a function it is a decorator: each call of the function begins the recording anew.

    Options, as they are when left out; `recorder.replayer.options.ReplayOptions` tells of each: timing="instant"
    (or "ordered", "recorded"), speed=1.0, idle_limit=None (seconds), clock="real" (or "virtual"), ignore=(),
    match=None, faults=None.
    """
    check(options)  # what a Replay has beside is not for everybody
    return Replay(path, **options)
