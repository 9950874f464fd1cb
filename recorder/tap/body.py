"""What stands between a response body and its reader: note the time of each chunk and hand it on.

Both wrappers read the clock after a chunk arrived and when the next is asked for, so `wait` is what the
reader was blocked for and the rest is what the application held. They never read ahead (`eager.py` has those
that do, when they are asked for) and hold nothing back. They are of the kind they wrap and forward what they
do not know: `httpx2.Response.elapsed` and the SDK's tracing look for attributes on the body.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any, cast

import httpx2

from .watch import Headers, Watch


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
