"""What stands between a response body and its reader: note the time of each chunk and hand it on.

Both wrappers read the clock after a chunk arrived and when the next is asked for, so `wait` is what the
reader was blocked for and the rest is what the application held. They never read ahead (`eager.py` has those
that do, when they are asked for) and hold nothing back. They are of the kind they wrap and forward what they
do not know: `httpx2.Response.elapsed` and the SDK's tracing look for attributes on the body.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any, cast

import anthropic
import httpx2

from recorder.core.records import ErrorInfo, How, Phases
from recorder.log.items import Details, Dropped, Ended, Received
from recorder.log.writer import Writer

from .phases import Connection

Headers = list[tuple[str, str]]


class Watch:
    """The application's side of one attempt: from here everything goes to the writer's queue, and no further."""

    __slots__ = (
        "__weakref__",
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
    )

    def __init__(self, stream: str, writer: Writer, clock: Callable[[], int], sent: int) -> None:
        self.clock = clock
        self.connection = Connection(clock, sent)
        self.waited: int | None = None
        """ns for which the application was blocked, and between its reads, where these are not the tap's own."""
        self.held: int | None = None
        self._answered = False
        self.stream = stream
        self.sent = sent
        """On the clock: `at` counts from here."""
        self._writer = writer
        self._queue = writer.queue
        self.put = writer.queue.put_chunk
        """The short way of a chunk, while it `flows`; False when there is no room."""
        self._ended = False
        self.flows = True
        """It has not ended, and the last chunk found room."""
        self._dropped_chunks = 0
        self._dropped_bytes = 0

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
        self._answered = True

        def details() -> Details:
            phases, reused = self._phases(known)
            return Details(headers(), None if url is None else str(url), phases, reused)

        self._writer.put(self.stream, at, 0, Received(status, http, decoded, details, arrival))

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


class SyncBody(httpx2.SyncByteStream):
    """A body read by a sync client."""

    arrival: str | None = None
    """As in the response record."""
    stream_observer: Any = None
    """The SDK asks for it twice an event; found here it costs nothing, through `__getattr__` 4 µs."""

    def __init__(self, response: httpx2.Response, watch: Watch) -> None:
        self._body = cast("httpx2.SyncByteStream", response.stream)
        self._watch = watch
        self.stream_observer = getattr(self._body, "stream_observer", None)

    def __iter__(self) -> Iterator[bytes]:
        watch, clock, put = self._watch, self._watch.clock, self._watch.put
        stream, sent = watch.stream, watch.sent
        asked = clock()
        try:
            for chunk in self._body:
                now = clock()
                if not (watch.flows and put(stream, now - sent, now - asked, chunk)):
                    watch.chunk(now, now - asked, chunk)
                yield chunk
                asked = clock()
        except GeneratorExit:
            watch.closed()
            raise
        except BaseException as error:
            watch.failed(now := clock(), now - asked, error)
            raise
        watch.end(now := clock(), now - asked, "read")

    def close(self) -> None:
        try:
            self._body.close()
        finally:
            self._watch.closed()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)

    def __del__(self) -> None:
        self._watch.closed()


class AsyncBody(httpx2.AsyncByteStream):
    """A body read by an async client."""

    arrival: str | None = None
    stream_observer: Any = None

    def __init__(self, response: httpx2.Response, watch: Watch) -> None:
        self._body = cast("httpx2.AsyncByteStream", response.stream)
        self._watch = watch
        self.stream_observer = getattr(self._body, "stream_observer", None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        watch, clock, put = self._watch, self._watch.clock, self._watch.put
        stream, sent = watch.stream, watch.sent
        chunks = self._body.__aiter__()
        asked = clock()
        try:
            async for chunk in chunks:
                now = clock()
                if not (watch.flows and put(stream, now - sent, now - asked, chunk)):
                    watch.chunk(now, now - asked, chunk)
                yield chunk
                asked = clock()
        except GeneratorExit:
            watch.closed()
            raise
        except BaseException as error:
            watch.failed(now := clock(), now - asked, error)
            raise
        finally:
            # In the task that read it; left to the event loop it would be closed in another one.
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
        watch.end(now := clock(), now - asked, "read")

    async def aclose(self) -> None:
        try:
            await self._body.aclose()
        finally:
            self._watch.closed()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)

    def __del__(self) -> None:
        self._watch.closed()


def watch_response(
    response: httpx2.Response,
    request: httpx2.Request,
    watch: Watch,
    body: type[SyncBody | AsyncBody],
    *,
    headers: Callable[[], Headers],
    url: object = None,
) -> None:
    """Note the response, and have its body watched while it is read; a body that was read already, whole.

    `body` is the kind of the client: a body of httpx2 can be of both. `headers` and `url`: see `Watch.answered`.
    """
    read = response.is_stream_consumed or response.is_closed
    headers_at = watch.response(
        response, request, headers=headers, url=url, arrival=None if read else body.arrival, decoded=read
    )
    if not read:
        response.stream = body(response, watch)
        return
    now = watch.clock()
    try:
        content = response.content
    except httpx2.ResponseNotRead:
        watch.closed()
        return
    if content:
        watch.chunk(now, now - headers_at, content)
    watch.end(now, 0, "read")
