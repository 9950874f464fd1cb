"""The httpx2 transport that answers from scripts: same status, headers, bytes, chunks and exceptions."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import NamedTuple, Protocol

import httpx2

from . import raising
from .errors import EndOfRecording
from .raising import Carrier
from .schedule import sleep_until, sleep_until_async
from .script import Script


class Watcher(Protocol):
    """Is told what became of an answer."""

    def gave(self) -> None:
        """One more piece is handed over."""

    def over(self, error: Exception | None) -> None:
        """The client saw the end, or this exception."""


class Serving(NamedTuple):
    """What answers a request. `instant`: nothing is waited for."""

    script: Script
    instant: bool
    watcher: Watcher | None = None
    stream: str = ""
    """Id of the recorded stream."""


Answer = Callable[[httpx2.Request], Serving]


class ReplayTransport(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """Answers each request with what `answer` gives."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = time.perf_counter_ns()
        turn = _Turn(self._answer(request), request, sent, "sync")
        _wait(turn, turn.first_at, ends=turn.script.headers_at is None)
        if turn.script.headers_at is None:
            raise turn.failure()
        return turn.response(_SyncBody(turn))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = time.perf_counter_ns()
        turn = _Turn(self._answer(request), request, sent, raising.carrier())
        await _wait_async(turn, turn.first_at, ends=turn.script.headers_at is None)
        if turn.script.headers_at is None:
            raise turn.failure()
        return turn.response(_AsyncBody(turn))


class _Turn:
    """One request and its answer: what the client waits for, and what it sees; the same in both colours."""

    def __init__(self, serving: Serving, request: httpx2.Request, sent: int, carrier: Carrier) -> None:
        self.script, self._instant, self.watcher = serving.script, serving.instant, serving.watcher
        self.waits = not self._instant or self.script.timed
        self._request, self._sent = request, sent
        self._carrier: Carrier = carrier
        self._seconds = raising.read_timeout_s(request)
        self._before = 0
        """ns at which the read before this one was due."""

    @property
    def first_at(self) -> int:
        """When the response comes, or fails to."""
        return self.script.end_at if self.script.headers_at is None else self.script.headers_at

    def until(self, at: int, *, ends: bool = False) -> tuple[int, bool]:
        """For what is due at `at`: until when to wait (`perf_counter_ns`; 0: not at all), and whether the
        client's read timeout comes first."""
        hangs = ends and self.script.ending.how == "hang" and self.script.ending.error is None
        limit = None if self._seconds is None else int(self._seconds * 1e9)
        if self._instant:
            late = limit is not None and (hangs or (self.script.timed and at - self._before > limit))
            self._before = max(self._before, at)
            return 0, late
        now, due = time.perf_counter_ns(), self._sent + at
        if limit is not None and (hangs or (self.script.timed and due - now > limit)):
            return now + limit, True
        return due, False

    def too_late(self) -> Exception:
        return self._saw(raising.timeout(self._request, self._carrier))

    def failure(self) -> Exception:
        error = self.ended()
        assert error is not None, "a script without headers has an ending that raises"
        return error

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
        return error

    def response(self, body: httpx2.SyncByteStream | httpx2.AsyncByteStream) -> httpx2.Response:
        script = self.script
        headers = dict(script.headers)
        if self._instant and script.status >= 400:
            # The one way to keep the SDK from sleeping before a retry; it takes this header before `retry-after`.
            headers["retry-after-ms"] = "0.001"
        extensions = {"http_version": script.http.encode("ascii")}
        return httpx2.Response(script.status, headers=headers, stream=body, extensions=extensions)


class _SyncBody(httpx2.SyncByteStream):
    def __init__(self, turn: _Turn) -> None:
        self._turn = turn

    def __iter__(self) -> Iterator[bytes]:
        turn = self._turn
        waits, watcher = turn.waits, turn.watcher
        for piece in turn.script.pieces:
            if waits:
                _wait(turn, piece.at)
            if watcher is not None:
                watcher.gave()
            yield piece.data
        _wait(turn, turn.script.end_at, ends=True)
        if (error := turn.ended()) is not None:
            raise error


class _AsyncBody(httpx2.AsyncByteStream):
    def __init__(self, turn: _Turn) -> None:
        self._turn = turn

    async def __aiter__(self) -> AsyncIterator[bytes]:
        turn = self._turn
        waits, watcher = turn.waits, turn.watcher
        for piece in turn.script.pieces:
            if waits:
                await _wait_async(turn, piece.at)
            if watcher is not None:
                watcher.gave()
            yield piece.data
        await _wait_async(turn, turn.script.end_at, ends=True)
        if (error := turn.ended()) is not None:
            raise error


def _wait(turn: _Turn, at: int, *, ends: bool = False) -> None:
    deadline, late = turn.until(at, ends=ends)
    if deadline:
        sleep_until(deadline)
    if late:
        raise turn.too_late()


async def _wait_async(turn: _Turn, at: int, *, ends: bool = False) -> None:
    deadline, late = turn.until(at, ends=ends)
    if deadline:
        await sleep_until_async(deadline)
    if late:
        raise turn.too_late()
