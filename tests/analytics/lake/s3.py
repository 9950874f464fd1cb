"""An S3 API on the loopback, and a relay in front of it that breaks connections."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Literal, Self

import pytest

Fault = Literal["pass", "refuse", "cut"]
"""Of a connection: let through; closed before a byte; closed instead of handing over the answer."""
SETTINGS = {
    "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true",
}  # fmt: skip


@contextmanager
def server() -> Generator[int]:
    """The port of a moto server, a process of its own."""
    pytest.importorskip("moto", reason="needs moto: pip install 'sse-recorder[beside]'")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = next(filter(None, (re.search(r"http://127\.0\.0\.1:(\d+)", line) for line in process.stderr)))
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()
        try:
            yield int(found[1])
        finally:
            process.terminate()
            process.wait()
            drain.join()


def new_bucket(port: int, name: str) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{name}", method="PUT")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


class Relay:
    """TCP to `port`; `fault` says what becomes of the nth connection, from 0."""

    def __init__(self, port: int, fault: Callable[[int], Fault]) -> None:
        self.fault = fault
        self.connections = 0
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._fronts: list[_Front] = []
        self.port = 0

    @property
    def settings(self) -> dict[str, str]:
        """For the environment of who is to go through it."""
        return {**SETTINGS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}"}

    def __enter__(self) -> Self:
        self._thread.start()
        begun = asyncio.run_coroutine_threadsafe(self._begin(), self._loop)
        self.port = begun.result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _begin(self) -> int:
        self._server = await self._loop.create_server(self._front, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    def _front(self) -> _Front:
        fault = self.fault(self.connections)
        self.connections += 1
        front = _Front(fault, self._target)
        self._fronts.append(front)
        return front

    async def _end(self) -> None:
        self._server.close()
        for front in self._fronts:
            await front.end()
        for _ in range(3):
            await asyncio.sleep(0)  # what was aborted is closed


class _Front(asyncio.Protocol):
    """A client's connection."""

    def __init__(self, fault: Fault, target: int) -> None:
        self.fault: Fault = fault
        self._target = target
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[Any] | None = None
        self._back: asyncio.Transport | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self.fault == "refuse":
            transport.abort()
            return
        loop = asyncio.get_running_loop()
        self._connecting = loop.create_task(loop.create_connection(lambda: _Back(self), "127.0.0.1", self._target))

    def connected(self, back: asyncio.Transport) -> None:
        self._back = back
        back.writelines(self._early)

    def data_received(self, data: bytes) -> None:
        self._back.write(data) if self._back else self._early.append(data)

    def answer(self, data: bytes) -> None:
        assert self._transport is not None
        if self.fault == "cut":  # the server has done it, and nobody hears of it
            self._transport.abort()
        else:
            self._transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._back is not None:
            self._back.abort()

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    async def end(self) -> None:
        if self._connecting is not None:
            await asyncio.gather(self._connecting, return_exceptions=True)
        for transport in (self._transport, self._back):
            if transport is not None:
                transport.abort()


class _Back(asyncio.Protocol):
    """The connection to the server."""

    def __init__(self, front: _Front) -> None:
        self._front = front

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._front.connected(transport)

    def data_received(self, data: bytes) -> None:
        self._front.answer(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._front.close()


def environment(settings: dict[str, str]) -> dict[str, str]:
    return {**os.environ, **settings}
