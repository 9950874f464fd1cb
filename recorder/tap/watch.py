"""One attempt as the application's side sees it: what is noted of it goes to the writer's queue from here."""

from __future__ import annotations

from collections.abc import Callable

import anthropic
import httpx2

from recorder.core.records import ErrorInfo, How, Phases
from recorder.log.items import Dropped, Ended, Later, Received
from recorder.log.writer import Writer

from .phases import Connection

Headers = list[tuple[str, str]]


class Watch:
    """The application's side of one attempt: from here everything goes to the writer's queue, and no further."""

    __slots__ = (
        "__weakref__",
        "_announcement",
        "_answered",
        "_dropped_bytes",
        "_dropped_chunks",
        "_ended",
        "_queue",
        "_writer",
        "clock",
        "connection",
        "flows",
        "held",
        "put",
        "sent",
        "stream",
        "waited",
        "wall",
    )

    def __init__(self, stream: str, writer: Writer, clock: Callable[[], int], sent: int, wall: int) -> None:
        self.clock = clock
        self.connection = Connection(clock, sent)
        self.waited: int | None = None
        """ns for which the application was blocked, and between its reads, where these are not the tap's own."""
        self.held: int | None = None
        self._answered = False
        self.stream = stream
        self.sent = sent
        """On the clock: `at` counts from here."""
        self.wall = wall
        """The same moment on the wall clock, ns."""
        self._announcement: Callable[[], None] | None = None
        self._writer = writer
        self._queue = writer.queue
        self.put = writer.queue.put_chunk
        """The short way of a chunk, while it `flows`; False when there is no room."""
        self._ended = False
        self.flows = True
        """It has not ended, and the last chunk found room."""
        self._dropped_chunks = 0
        self._dropped_bytes = 0

    def announces(self, announce: Callable[[], None]) -> None:
        """Have the request told, by a call of `announced`, as late as can be: when it is on its way, or there is a
        connection to be waited for, or else before what is noted next. Telling it takes longer than all else that
        is done before it is sent."""
        self._announcement = announce
        self.connection.before_waiting = self.announce

    def announce(self) -> None:
        """Have the request told, if that is still to be done."""
        announce, self._announcement = self._announcement, None
        if announce is None:
            return
        self.connection.before_waiting = None
        if self._queue is self._writer.queue:
            announce()
        else:  # in the child of a fork: it is the parent's to record
            self.mute()

    def announced(self, sent: Later) -> None:
        """Hand in the request. If there is no room for it nothing of the attempt is recorded."""
        if not self._writer.put_request(self.stream, sent, self):
            self.mute()

    def response(
        self,
        response: httpx2.Response,
        request: httpx2.Request,
        *,
        headers: Callable[[], Headers],
        url: object,
        arrival: str | None,
        decoded: bool,
    ) -> int:
        """Note the response; returns when its headers had come, on the clock, or now if that is not known."""
        connection = self.connection
        known = connection.is_of(request)
        at = connection.answered if known else None
        at = self.clock() - self.sent if at is None else at
        http, status = response.http_version, response.status_code
        self.answered(at, status, headers, http=http, url=url, arrival=arrival, decoded=decoded, known=known)
        return self.sent + at

    def answered(
        self,
        at: int,
        status: int,
        headers: Callable[[], Headers],
        *,
        http: str,
        url: object = None,
        arrival: str | None = None,
        decoded: bool = False,
        known: bool = True,
    ) -> None:
        """Note a response whose headers had come `at` ns after the send. `known`: `connection` was told of it.

        `headers` and `str(url)` are asked by the writer, which has the time; `headers` first has the secrets among
        them learned. `url` if the request did not know it.
        """
        self.announce()
        self._answered = True
        if self._ended:
            return

        def received() -> Received:
            phases, reused = self._phases(known)
            asked = None if url is None else str(url)
            return Received(status, http, decoded, headers(), asked, phases, reused, arrival)

        self._writer.put(self.stream, at, 0, Later(received))

    def chunk(self, now: int, wait: int, data: bytes) -> None:
        """Note a chunk that came at `now`, after a read that blocked for `wait`; the short way could not."""
        if self._ended:
            return
        if not self.flows and self._queue.has_room():
            self._tell_dropped(now)
        if not (self.flows and self.put(self.stream, now - self.sent, wait, data)):
            self._drop(data)

    def end(self, now: int, wait: int, how: How, error: ErrorInfo | None = None, url: str | None = None) -> None:
        """The end, once: what comes after the first is what closing does."""
        self.announce()
        if self._ended:
            return
        self._ended = True
        self.flows = False
        if self._dropped_chunks:
            self._tell_dropped(now)
        phases, reused = (None, None) if self._answered else self._phases(True)
        self._writer.put(
            self.stream, now - self.sent, wait, Ended(how, error, phases, reused, self.waited, self.held, url)
        )

    def failed(self, now: int, wait: int, error: BaseException) -> None:
        """An exception came out of the transport. Cancellation and the like are the application's doing."""
        how: How = "failed" if isinstance(error, Exception) else "closed"
        self.end(now, wait, how, _error_info(error), _url_of(error))

    def closed(self) -> None:
        if not self._ended:
            self.end(self.clock(), 0, "closed")

    def mute(self) -> None:
        """Nothing more is recorded of it: this is the child of a fork, and the attempt is its parent's."""
        self._ended = True
        self.flows = False

    def _phases(self, known: bool) -> tuple[Phases | None, bool | None]:
        phases = self.connection.phases() if known else None
        if phases is None:
            self._writer.stats.without_phases += 1
            return None, None
        return phases, self.connection.reused()

    def _drop(self, data: bytes) -> None:
        self.flows = False
        self._dropped_chunks += 1
        self._dropped_bytes += len(data)
        self._writer.count_dropped(len(data))

    def _tell_dropped(self, now: int) -> None:
        dropped = Dropped(self._dropped_chunks, self._dropped_bytes)
        self._writer.put(self.stream, now - self.sent, 0, dropped)
        self._dropped_chunks = self._dropped_bytes = 0
        self.flows = not self._ended


def _error_info(error: BaseException) -> ErrorInfo:
    """The transport's own exception: the SDK wraps one that kept it from getting a response."""
    cause = error.__cause__
    if isinstance(cause, httpx2.HTTPError) and not isinstance(error, httpx2.HTTPError):
        error = cause
    kind = type(error)
    package = kind.__module__.partition(".")[0]
    name = kind.__qualname__ if package == "builtins" else f"{package}.{kind.__qualname__}"
    return ErrorInfo(type=name, message=str(error))


def _url_of(error: BaseException) -> str | None:
    """Of the request that failed: SDK middleware does not know it before."""
    request = error.request if isinstance(error, anthropic.APIConnectionError) else None
    return str(request.url) if request is not None else None
