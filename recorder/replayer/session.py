"""`recorder.replay(path)`: every client in the process is answered from a recording, or one client is.

Inside `with`, the two network transports of httpx2 (and the SDK's aiohttp one) are stood in for, at their
public methods, so a client made long before is answered as well; a transport of one's own that wraps one of
them still runs. Requests that are not for Claude pass: a test may talk to its own server.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

import anthropic
import httpx2

from recorder.log.reader import Problem, find_segments
from recorder.log.streams import Stream, read_streams

from .errors import NoMatch
from .faults.inject import Faults, Injected, Injector
from .faults.verdict import Ended, Verdict, judge
from .match import Asked, Shelf
from .schedule import Pace, ReplayTiming
from .script import Script, at_once, script_of
from .transport import ReplayTransport, Serving

_PLACEHOLDER_KEY = "replayed-no-key-needed"


class Replay:
    """A recording that answers requests. Each recorded stream is served once.

    timing: `instant` (no waiting, nor before the retry of an error response) or `recorded`: every chunk at its
    recorded time from the send, divided by `speed`, silences cut to `idle_limit` seconds.

    faults: what goes wrong on purpose (`recorder.faults`): a fault, its text, or a function that gives one for
    each attempt, from the recorded stream that answers it and how often the same was asked before.

    Raises RecordingError when the recording cannot be read, FaultError for a text that is no fault.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        timing: ReplayTiming = "instant",
        speed: float = 1.0,
        idle_limit: float | None = None,
        faults: Faults | None = None,
    ) -> None:
        if timing not in ("instant", "recorded"):
            raise ValueError(f"timing is {timing!r}; it is 'instant' or 'recorded'")
        if not speed > 0:
            raise ValueError(f"speed is {speed!r}; it is a number above 0")
        if idle_limit is not None and not idle_limit >= 0:
            raise ValueError(f"idle_limit is {idle_limit!r}; it is a number of seconds, 0 or more")
        self.problems: list[Problem] = []
        streams = read_streams(find_segments(path), report=self.problems.append)
        self._shelf = Shelf(streams, os.fspath(path))
        self._instant = timing == "instant"
        self._pace: Callable[[Stream], Pace] = lambda stream: Pace(stream, timing, speed, idle_limit)
        self._transport = ReplayTransport(self._answer)
        self._injector = None if faults is None else Injector(faults, instant=self._instant)
        self._ended: Ended = "unknown"

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
        _entered.set((*_entered.get(), self))
        _stand_in(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = "well" if kind is None else "badly"
        _step_down(self)
        # Not by a token: a fixture may be left in another context than it was entered in.
        _entered.set(tuple(one for one in _entered.get() if one is not self))

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def answers(self, request: httpx2.Request) -> bool:
        """True for a request to Claude: it says so, or its path was recorded."""
        return "anthropic-version" in request.headers or request.url.path in self._shelf.paths

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
            ended=self._ended,
            output=output,
            max_attempts=max_attempts,
        )

    def _answer(self, request: httpx2.Request) -> Serving:
        if self._injector is None:
            return Serving(self._script(self._shelf.take(request)), self._instant)
        script_of = at_once if self._instant else self._script
        served = self._injector.serve(Asked(request).fingerprint, lambda: self._shelf.take(request), script_of)
        return Serving(served.script, self._instant, served)

    def _script(self, stream: Stream) -> Script:
        script = script_of(stream)
        return script if self._instant else script.retimed(self._pace(stream).due)


def replay(
    path: str | os.PathLike[str],
    *,
    timing: ReplayTiming = "instant",
    speed: float = 1.0,
    idle_limit: float | None = None,
    faults: Faults | None = None,
) -> Replay:
    """Answer from the recording at `path`: `with recorder.replay(path): ...`, or `.client()` for one client."""
    return Replay(path, timing=timing, speed=speed, idle_limit=idle_limit, faults=faults)


_entered: ContextVar[tuple[Replay, ...]] = ContextVar("recorder_replays", default=())
"""The replays that this thread or task is in, innermost last."""
_lock = threading.Lock()
_active: list[Replay] = []
"""The replays that any thread or task is in."""
_originals: list[tuple[type, str, Any]] = []


def _replay_for(request: httpx2.Request) -> Replay | None:
    """The replay that answers this request: its context's; in a thread without one, the only one that would."""
    for replay in reversed(_entered.get()):
        if replay in _active:
            return replay if replay.answers(request) else None
    candidates = {id(replay): replay for replay in _active if replay.answers(request)}
    if len(candidates) > 1:
        raise NoMatch(
            f"{request.method} {request.url}: {len(candidates)} replays are active and this thread is in none of "
            "them; start it with contextvars.copy_context().run",
            kind="ambiguous",
        )
    return next(iter(candidates.values()), None)


def _stand_in(replay: Replay) -> None:
    with _lock:
        _active.append(replay)
        if len(_active) > 1:
            return
        _replace(httpx2.HTTPTransport, "handle_request", _sync_stand_in)
        _replace(httpx2.AsyncHTTPTransport, "handle_async_request", _async_stand_in)
        if aiohttp := sys.modules.get("anthropic._vendor.httpx_aiohttp.transport"):
            _replace(aiohttp.AiohttpTransport, "handle_async_request", _async_stand_in)


def _step_down(replay: Replay) -> None:
    with _lock:
        _active.remove(replay)
        while not _active and _originals:
            owner, name, method = _originals.pop()
            setattr(owner, name, method)


def _replace(owner: type, name: str, make: Callable[[Any], Any]) -> None:
    method = owner.__dict__[name]
    _originals.append((owner, name, method))
    setattr(owner, name, make(method))


def _sync_stand_in(method: Any) -> Any:
    def handle_request(self: Any, request: httpx2.Request) -> httpx2.Response:
        replay = _replay_for(request)
        return method(self, request) if replay is None else replay.transport.handle_request(request)

    return handle_request


def _async_stand_in(method: Any) -> Any:
    async def handle_async_request(self: Any, request: httpx2.Request) -> httpx2.Response:
        replay = _replay_for(request)
        if replay is None:
            return await method(self, request)
        return await replay.transport.handle_async_request(request)

    return handle_async_request
