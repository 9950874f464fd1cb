"""Bodies that a reader of the tap's own reads ahead of the application, so that a slow one hides no arrival.

The reader (a thread, or a task of the application's event loop) takes chunks from the transport, notes when
they came and puts them into a queue; the application gets from there the same chunks in the same order, and at
their end the same exception. The queue is bounded: when it is full the reader stops reading, and the server
feels the application's pace as it would without us.

Rules that hold for both:

1. Who closes the body is the reader, always, and it ends with it. Closing, dropping or failing to go on
   wakes a reader that is blocked: the task is cancelled, the thread's socket shut down. A socket that cannot
   be shut down, because it is shared (HTTP/2) or not known, is not read ahead by a thread.
2. Nothing is recorded after the end is: `put` and `stop` exclude each other.
3. The reader never refers to the body that the application holds, so that dropping the body stops it.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import anyio
import anyio.lowlevel
import httpx2

from .body import AsyncBody, SyncBody
from .watch import Watch

READ_AHEAD = 1 << 20
"""Bytes that may wait for the application: minutes of a stream, and little beside what an SDK client takes."""
CLOSE_S = 5.0
"""How long closing waits for the reader's thread, which was woken; it is there to never wait for ever."""


def ahead_of(response: httpx2.Response, body: type[SyncBody | AsyncBody]) -> type[SyncBody | AsyncBody]:
    """The kind of `body` that reads ahead; `body` itself for no event stream, or where rule 1 forbids it."""
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "text/event-stream":
        return body
    if issubclass(body, AsyncBody):
        return EagerAsyncBody
    return body if _socket(response) is None else EagerSyncBody


class _Queue:
    """What came and was not taken yet, and how the application spent its time."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.chunks: deque[bytes] = deque()
        self.size = 0
        self.ended: tuple[int, int] | None = None
        """When the reader came to the end, and how long it waited for it."""
        self.error: BaseException | None = None
        self.closed = False
        self._since = watch.clock()
        """When the application last took something, or asked for it."""

    def asked(self) -> None:
        now = self.watch.clock()
        self.watch.held = (self.watch.held or 0) + now - self._since
        self._since = now

    def answered(self) -> None:
        now = self.watch.clock()
        self.watch.waited = (self.watch.waited or 0) + now - self._since
        self._since = now

    @property
    def is_empty(self) -> bool:
        return not self.chunks and self.ended is None and not self.closed

    def put(self, now: int, wait: int, chunk: bytes) -> bool:
        """False: nobody wants it any more."""
        if self.closed:
            return False
        self.watch.chunk(now, wait, chunk)
        self.chunks.append(chunk if type(chunk) is bytes else bytes(chunk))  # its transport may change its buffer
        self.size += len(chunk)
        return True

    def take(self) -> bytes | None:
        """The next chunk, None at the end. Raises what the transport raised."""
        if self.chunks:
            chunk = self.chunks.popleft()
            self.size -= len(chunk)
            return chunk
        if self.closed or self.ended is None:  # by another thread or task
            raise httpx2.StreamClosed
        error, self.error = self.error, None
        if error is not None:
            self.watch.failed(*self.ended, error)
            try:
                raise error
            finally:
                del error  # it has this frame in its traceback, and would have it in turn
        self.watch.end(*self.ended, "read")
        return None

    def stop(self, error: BaseException | None = None) -> None:
        """The application goes no further, because of `error` if there is one; its end is recorded, once."""
        self.closed = True
        self.chunks.clear()
        self.asked()
        if error is None or isinstance(error, GeneratorExit):
            self.watch.closed()
        else:
            self.watch.failed(self.watch.clock(), 0, error)


class _Thread:
    """Reads a sync body."""

    def __init__(self, body: httpx2.SyncByteStream, watch: Watch, connection: socket.socket) -> None:
        self._body = body
        self._connection = connection
        self._queue = _Queue(watch)
        self._reading = True
        """The connection is ours: not yet back in its pool, where another request may have it."""
        self._close_error: BaseException | None = None
        # Its lock is reentrant: the garbage collector may drop a body, and so stop us, while this thread has it.
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, name="recorder-reader", daemon=True)
        self._thread.start()

    def get(self) -> bytes | None:
        queue = self._queue
        queue.asked()
        try:
            with self._changed:
                while queue.is_empty:
                    self._changed.wait()
        finally:
            queue.answered()
        with self._changed:
            chunk = queue.take()
            self._changed.notify_all()
            return chunk

    def stop(self, error: BaseException | None = None) -> None:
        """Wake the reader and let it close the body. In the child of a fork there is none, nor a lock to trust."""
        queue = self._queue
        if queue.closed or sys.is_finalizing() or not self._thread.is_alive():
            if not queue.closed:
                queue.stop(error)
            return
        with self._changed:
            if queue.closed:
                return
            queue.stop(error)
            if self._reading:
                with suppress(OSError):  # it failed meanwhile, and is closed
                    # Of an SSLSocket, too: its own shutdown would take TLS off, under the reader's hands.
                    socket.socket.shutdown(self._connection, socket.SHUT_RDWR)
            self._changed.notify_all()

    def close(self) -> None:
        """Stop, and wait until the body is closed. Raises what closing it raised."""
        self.stop()
        if self._thread is not threading.current_thread():
            self._thread.join(CLOSE_S)
        error, self._close_error = self._close_error, None
        if error is not None:
            raise error

    def _read(self) -> None:
        clock = self._queue.watch.clock
        asked = clock()
        try:
            for chunk in self._body:
                now = clock()
                if not self._put(now, now - asked, chunk):
                    break
                asked = clock()
        except BaseException as error:
            self._queue.error = error
        now = clock()
        with self._changed:
            self._reading = False
        try:
            self._body.close()
        except BaseException as error:
            self._close_error = error
        with self._changed:
            self._queue.ended = now, now - asked
            self._changed.notify_all()

    def _put(self, now: int, wait: int, chunk: bytes) -> bool:
        queue = self._queue
        with self._changed:
            wanted = queue.put(now, wait, chunk)
            self._changed.notify_all()
            while queue.size >= READ_AHEAD and not queue.closed:
                self._changed.wait()
            return wanted and not queue.closed


class EagerSyncBody(SyncBody):
    """A body that a thread reads ahead."""

    arrival = "eager"

    def __init__(self, response: httpx2.Response, watch: Watch) -> None:
        connection = _socket(response)
        if connection is None:
            raise TypeError("no socket that could be shut down: this body cannot be read ahead")
        super().__init__(response, watch)
        self._reader = _Thread(self._body, watch, connection)

    def __iter__(self) -> Iterator[bytes]:
        reader = self._reader
        try:
            while (chunk := reader.get()) is not None:
                yield chunk
        except BaseException as error:
            reader.stop(error)
            raise

    def close(self) -> None:
        self._reader.close()

    def __del__(self) -> None:
        if "_reader" in self.__dict__:  # else its thread could not be started
            self._reader.stop()


class _Task:
    """Reads an async body, in a task of its own: of asyncio or of trio."""

    def __init__(self, body: httpx2.AsyncByteStream, watch: Watch) -> None:
        self._body = body
        self._queue = _Queue(watch)
        self._changed = anyio.Event()
        self._done = anyio.Event()
        self._scope = anyio.CancelScope()
        self._close_error: BaseException | None = None
        trio: Any = sys.modules.get("trio")
        if trio is not None and trio.lowlevel.in_trio_task():
            self._soon: Any = trio.lowlevel.current_trio_token().run_sync_soon
            trio.lowlevel.spawn_system_task(self._read)
        else:
            loop = asyncio.get_running_loop()
            self._soon = loop.call_soon_threadsafe
            self._task = loop.create_task(self._read())

    async def get(self) -> bytes | None:
        queue = self._queue
        queue.asked()
        try:
            if not queue.is_empty:
                await anyio.lowlevel.checkpoint()  # what is here must not keep other tasks waiting
            while queue.is_empty:
                await self._next_change()
        finally:
            queue.answered()
        chunk = queue.take()
        self._changed.set()
        return chunk

    def stop(self, error: BaseException | None = None) -> None:
        """Cancel the reader, which closes the body. In the thread of the event loop."""
        if self._queue.closed:
            return
        self._queue.stop(error)
        self._scope.cancel()
        self._changed.set()

    def stop_soon(self) -> None:
        """`stop`, from any thread; the garbage collector's is any."""
        if self._queue.closed:
            return
        try:
            self._soon(self.stop)
        except RuntimeError:  # the event loop is gone, and the reader with it
            self._queue.stop()

    async def close(self) -> None:
        """Stop, and wait until the body is closed. Raises what closing it raised."""
        self.stop()
        with anyio.CancelScope(shield=True):
            await self._done.wait()
        error, self._close_error = self._close_error, None
        if error is not None:
            raise error

    async def _next_change(self) -> None:
        self._changed = anyio.Event()
        await self._changed.wait()

    async def _read(self) -> None:
        queue = self._queue
        clock = queue.watch.clock
        asked = clock()
        chunks = self._body.__aiter__()
        try:
            with self._scope:
                try:
                    async for chunk in chunks:
                        now = clock()
                        queue.put(now, now - asked, chunk)
                        self._changed.set()
                        while queue.size >= READ_AHEAD:
                            await self._next_change()
                        asked = clock()
                except Exception as error:
                    queue.error = error
                now = clock()
                await self._close_body(chunks)
                queue.ended = now, now - asked
        finally:
            try:
                if queue.ended is None:  # cancelled
                    if not queue.closed:  # not by us: its event loop ends
                        queue.stop()
                    await self._close_body(chunks)
            finally:
                self._changed.set()
                self._done.set()

    async def _close_body(self, chunks: AsyncIterator[bytes]) -> None:
        try:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
            await self._body.aclose()
        except Exception as error:
            self._close_error = error


class EagerAsyncBody(AsyncBody):
    """A body that a task reads ahead."""

    arrival = "eager"

    def __init__(self, response: httpx2.Response, watch: Watch) -> None:
        super().__init__(response, watch)
        self._reader = _Task(self._body, watch)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        reader = self._reader
        try:
            while (chunk := await reader.get()) is not None:
                yield chunk
        except BaseException as error:
            reader.stop(error)
            raise

    async def aclose(self) -> None:
        await self._reader.close()

    def __del__(self) -> None:
        if "_reader" in self.__dict__:
            self._reader.stop_soon()


def _socket(response: httpx2.Response) -> socket.socket | None:
    """The socket that the response alone has. None: there is none, or it is not known."""
    extensions = response.extensions
    if extensions.get("http_version") not in (b"HTTP/1.1", b"HTTP/1.0"):
        return None
    stream = extensions.get("network_stream")
    found = stream.get_extra_info("socket") if stream is not None else None
    return found if isinstance(found, socket.socket) else None
