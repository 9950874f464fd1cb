"""An upstream in a process of its own, as cheap as asyncio allows: what is measured shares the machine with it."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager

from feed import chunks

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

SETTLED_S = 1.0
"""Between the last request of many and the first event, so that it is not the requests that are measured."""


class _Connection(asyncio.Protocol):
    """Answers each request with the events, one every `gap_s`; 0: as fast as the socket takes them.

    Events when all that share the barrier have asked, each a little after the one before.
    """

    def __init__(self, parts: list[bytes], gap_s: float, together: asyncio.Barrier) -> None:
        self._parts, self._gap_s, self._data, self._together = parts, gap_s, b"", together
        self._room = asyncio.Event()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if end and len(body) >= int(length or 0):
            self._data = b""
            self._playing = asyncio.get_running_loop().create_task(self._play())

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport.write(HEAD)
        place = await self._together.wait()
        began = loop.time() + self._gap_s * place / self._together.parties
        if self._together.parties > 1:
            began += SETTLED_S
            await asyncio.sleep(SETTLED_S)
        for n, part in enumerate(self._parts):
            if self._gap_s:
                await asyncio.sleep(max(0, began + n * self._gap_s - loop.time()))
            elif n % 20 == 0:
                await asyncio.sleep(0)
            await self._room.wait()
            if self._transport.is_closing():
                return
            self._transport.write(part)
        self._transport.write(b"0\r\n\r\n")


def _serve(listening: socket.socket, events: int, gap_s: float, together: int) -> None:
    async def run() -> None:
        parts = [b"%x\r\n%s\r\n" % (len(part), part) for part in chunks(events)]
        loop, barrier = asyncio.get_running_loop(), asyncio.Barrier(together)
        server = await loop.create_server(lambda: _Connection(parts, gap_s, barrier), sock=listening, backlog=1024)
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def served(serve: Callable[..., None], *given: object) -> Generator[str]:
    """The URL of what `serve`, called with a listening socket and what is given, does in a process of its own."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        process = multiprocessing.get_context("fork").Process(target=serve, args=(listening, *given))
        process.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            process.terminate()
            process.join()


def upstream(events: int, gap_s: float, *, together: int = 1) -> AbstractContextManager[str]:
    """The URL of a server that answers with a message of about `events` events, `gap_s` apart.

    No event is sent before `together` requests have come, and then before as many again.
    """
    return served(_serve, events, gap_s, together)
