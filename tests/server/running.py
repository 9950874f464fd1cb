"""A server of ours in a thread of its own, and the raw ends of sockets to test it with."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import recorder
from recorder import Stream
from recorder.server.app import Answerer, Server
from recorder.server.limits import DEFAULT, Limits
from recorder.server.serving import Recording, record_to
from recorder.testing import message_events

ASK: dict[str, object] = {
    "model": "claude-haiku-4-5",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "Say hello"}],
}
KEY = "sk-ant-api03-not-a-real-key-0123456789"
MS = 1_000_000
HELLO = message_events("Hello", " there", "!", model="claude-haiku-4-5")
GET = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Running:
    """A server that listens at `url` (`port`) until the block ends."""

    def __init__(self, server: Server, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.url = url
        self.port = int(url.rpartition(":")[2])
        self._loop = loop

    def begin_stop(self, grace_s: float) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(self.server.close(grace_s), self._loop)

    def stop(self, grace_s: float = 5.0) -> None:
        self.begin_stop(grace_s).result(30)


@contextmanager
def running(answerer: Answerer, *, token: str | None = None, limits: Limits = DEFAULT) -> Iterator[Running]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> tuple[Server, str]:
        server = Server(answerer, token=token, limits=limits)
        return server, await server.listen("127.0.0.1", 0)

    try:
        server, url = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
        one = Running(server, url, loop)
        try:
            yield one
        finally:
            if not server.draining:
                one.stop()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def proxied(
    path: Path, upstream: str, *, token: str | None = None, limits: Limits = DEFAULT, **options: object
) -> Iterator[tuple[Running, Recording]]:
    """A record proxy in front of `upstream`."""
    recording = record_to(path, upstream, **options)
    with running(recording.proxy, token=token, limits=limits) as one:
        yield one, recording


class RawUpstream:
    """A listening socket; `answer` gets each connection, in a thread, and does with it what it likes."""

    def __init__(self, answer: Callable[[socket.socket], None]) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.errors: list[Exception] = []
        self._answer = answer
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.settimeout(30)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._answer(connection)
            except Exception as error:
                self.errors.append(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._accepting.join()
        for thread in self._threads:
            thread.join()
        if kind is None:
            assert not self.errors, self.errors


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def head_of(connection: socket.socket) -> bytes:
    """The head of a request without a body, or of a response, read from the socket, with the blank line."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            break
        data += byte
    return data


def asked(port: int, request: bytes) -> bytes:
    """All that comes back for the bytes of a request, up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        return rest_of(connection)


def rest_of(connection: socket.socket) -> bytes:
    data = bytearray()
    while chunk := connection.recv(65536):
        data += chunk
    return bytes(data)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def streams_in(path: Path) -> list[Stream]:
    return list(recorder.open(path).streams())
