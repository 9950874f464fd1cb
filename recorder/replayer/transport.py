"""The httpx2 transport that answers from scripts: same status, headers, bytes, chunks and exceptions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import NamedTuple, Protocol, Self

import httpx2

from . import raising
from .errors import EndOfRecording
from .raising import Carrier
from .schedule import Clock, RealClock
from .script import Script
from .sdk import without_wait


class Watcher(Protocol):
    """Is told what became of an answer."""

    def gave(self) -> None:
        """One more piece is handed over."""

    def over(self, error: Exception | None) -> None:
        """The client saw the end, or this exception."""


class Turns(Protocol):
    """Gives the turn to concurrent answers, in an order."""

    def wait(self) -> None:
        """Block until what comes next may be handed over."""
        ...

    async def wait_async(self) -> None:
        """The same for a task."""
        ...

    @property
    def is_followed(self) -> bool:
        """What comes next is of another answer."""
        ...

    def leave(self) -> None:
        """Nothing more is read; may be said again."""
        ...


class Serving(NamedTuple):
    """What answers a request. `instant`: nothing is waited for, but for `turns` where there are some."""

    script: Script
    instant: bool
    clock: Clock
    watcher: Watcher | None = None
    turns: Turns | None = None
    stream: str = ""
    """Id of the recorded stream."""


Answer = Callable[[httpx2.Request], Serving]


class ReplayTransport(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """Answers each request with what `answer` gives. `now`: the clock of the answers."""

    def __init__(self, answer: Answer, now: Callable[[], int]) -> None:
        self._answer = answer
        self._now = now

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = self._now()
        with _Turn(self._answer(request), request, sent, "sync") as turn:
            turn.wait(turn.first_at, ends=turn.fails)
            return turn.response(_SyncBody(turn))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = self._now()
        with _Turn(self._answer(request), request, sent, raising.carrier()) as turn:
            await turn.wait_async(turn.first_at, ends=turn.fails)
            return turn.response(_AsyncBody(turn))


class _Turn:
    """One request and its answer: what the client waits for, and what it sees; the same in both colours.

    Who leaves its `with` block by an exception reads no further.
    """

    def __init__(self, serving: Serving, request: httpx2.Request, sent: int, carrier: Carrier) -> None:
        self.script, self._instant, self._clock, self.watcher, self._turns, _ = serving
        self.at_once = self._instant and not self.script.timed and self.watcher is None and self._turns is None
        """Nothing is waited for between the chunks, and nobody watches."""
        self._request, self._sent = request, sent
        self._carrier: Carrier = carrier
        self._seconds = raising.read_timeout_s(request)
        self._before = 0
        """ns at which the read before this one was due."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.leave()

    @property
    def fails(self) -> bool:
        """No response comes."""
        return self.script.headers_at is None

    @property
    def first_at(self) -> int:
        """When the response comes, or fails to."""
        return self.script.end_at if self.script.headers_at is None else self.script.headers_at

    def wait(self, at: int, *, ends: bool = False) -> None:
        """Block until what is due at `at` is due."""
        if self._turns is not None:
            self._turns.wait()
        deadline, late = self._until(at, ends=ends)
        if deadline:
            self._clock.sleep_until(deadline)
        if late:
            raise self._too_late()

    async def wait_async(self, at: int, *, ends: bool = False) -> None:
        """The same for a task."""
        if self._turns is not None:
            await self._turns.wait_async()
        deadline, late = self._until(at, ends=ends)
        if deadline:
            await self._clock.sleep_until_async(deadline)
        if late:
            raise self._too_late()

    def leave(self) -> None:
        """The client reads no further."""
        if self._turns is not None:
            self._turns.leave()

    def _until(self, at: int, *, ends: bool) -> tuple[int, bool]:
        """For what is due at `at`: until when to wait (by the clock; 0: not at all), and whether the client's
        read timeout comes first."""
        hangs = ends and self.script.ending.how == "hang" and self.script.ending.error is None
        limit = None if self._seconds is None else int(self._seconds * 1e9)
        if self._instant:
            late = limit is not None and (hangs or (self.script.timed and at - self._before > limit))
            self._before = max(self._before, at)
            return 0, late
        now, due = self._clock.now(), self._sent + at
        if limit is not None and (hangs or (self.script.timed and due - now > limit)):
            return now + limit, True
        return due, False

    def _too_late(self) -> Exception:
        return self._saw(raising.timeout(self._request, self._carrier))

    def ended(self) -> Exception | None:
        """What the end of the script is to this client. A hang with no timeout would be for ever: it is told."""
        error = raising.failure(self.script, self._request, self._carrier)
        if self.script.ending.how == "hang" and self.script.ending.error is None and self._seconds is None:
            error = EndOfRecording(
                "the server hangs here and this client has no read timeout: it would wait for ever"
            )
        if error is None:
            if self.watcher:
                self.watcher.over(None)
            return None
        return self._saw(error)

    def _saw(self, error: Exception) -> Exception:
        if self.watcher:
            self.watcher.over(error)
        if self._instant and isinstance(self._clock, RealClock):  # in a virtual one a sleep costs nothing
            without_wait(error)
        return error

    def response(self, body: httpx2.SyncByteStream | httpx2.AsyncByteStream) -> httpx2.Response:
        """Raises what the client sees, where none comes."""
        script = self.script
        if self.fails:
            error = self.ended()
            assert error is not None, "a script without headers has an ending that raises"
            raise error
        extensions = {"http_version": script.http.encode("ascii")}
        response = httpx2.Response(script.status, headers=dict(script.headers), stream=body, extensions=extensions)
        if self._instant:
            without_wait(response)
        return response


class _SyncBody(httpx2.SyncByteStream):
    def __init__(self, turn: _Turn) -> None:
        self._turn = turn

    def __iter__(self) -> Iterator[bytes]:
        turn, script = self._turn, self._turn.script
        try:
            if turn.at_once:
                yield from [piece.data for piece in script.pieces]
            else:
                for piece in script.pieces:
                    turn.wait(piece.at)
                    if turn.watcher is not None:
                        turn.watcher.gave()
                    yield piece.data
            turn.wait(script.end_at, ends=True)
            if (error := turn.ended()) is not None:
                raise error
        finally:
            turn.leave()

    def close(self) -> None:
        self._turn.leave()

    __del__ = close


class _AsyncBody(httpx2.AsyncByteStream):
    def __init__(self, turn: _Turn) -> None:
        self._turn = turn

    async def __aiter__(self) -> AsyncIterator[bytes]:
        turn, script = self._turn, self._turn.script
        try:
            if turn.at_once:
                for data in [piece.data for piece in script.pieces]:
                    yield data
            else:
                for piece in script.pieces:
                    await turn.wait_async(piece.at)
                    if turn.watcher is not None:
                        turn.watcher.gave()
                    yield piece.data
            await turn.wait_async(script.end_at, ends=True)
            if (error := turn.ended()) is not None:
                raise error
        finally:
            turn.leave()

    async def aclose(self) -> None:
        self._turn.leave()

    def __del__(self) -> None:
        self._turn.leave()
