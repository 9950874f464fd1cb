"""The server: a listening socket, what answers behind it, and the pages under `/__recorder/`.

server = Server(answerer, token=None)
url = await server.listen("127.0.0.1", 0)
...
await server.close(grace_s=30)
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from typing import Any, Protocol

import h11

from .connection import Connection
from .exchange import Exchange, error_document
from .guard import Guard, Refusal, is_loopback
from .journal import Entry, Journal, Result
from .limits import DEFAULT, Limits

PREFIX = "/__recorder/"
_BACKLOG = 4096
_FILES = 65_536


class Answerer(Protocol):
    """What a server does with the requests that are not for itself."""

    @property
    def result(self) -> Result:
        """Of one that is answered whole."""
        ...

    def serve(self, exchange: Exchange, entry: Entry) -> None: ...
    def health(self) -> dict[str, Any]: ...
    def journal(self) -> dict[str, Any]: ...
    def metrics(self, journal: Journal) -> str: ...
    def close(self) -> None: ...


class Server:
    """Raises ValueError for a host other machines can reach, unless there is a `token`."""

    def __init__(self, answerer: Answerer, *, token: str | None = None, limits: Limits = DEFAULT) -> None:
        self.limits = limits
        self.draining = False
        self.connections: set[Connection] = set()
        self.journal = Journal()
        self._answerer = answerer
        self._token = token
        self._guard = Guard(token)
        self._listening: asyncio.Server | None = None
        self._left = asyncio.Event()
        """A connection has gone."""
        self._enough = asyncio.Event()
        """No connection is left, or nobody wants to wait for them."""

    async def listen(self, host: str, port: int) -> str:
        """Listen there, on a free port where `port` is 0; gives the URL. Raises OSError."""
        check_bind(host, self._token)
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(lambda: Connection(self), host, port, backlog=_BACKLOG)
        bound = self._listening.sockets[0].getsockname()[1]
        return f"http://{f'[{host}]' if ':' in host else host}:{bound}"

    async def close(self, grace_s: float) -> None:
        """Take no more requests; what is being answered may go on for `grace_s` seconds, then is broken off."""
        self.draining = True
        if not self.connections:
            self._enough.set()
        if self._listening is not None:
            self._listening.close()
        for connection in [one for one in self.connections if not one.busy]:
            connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._enough.wait()
        for connection in tuple(self.connections):
            connection.close()
        while self.connections:
            await self._left.wait()
        self._answerer.close()

    def hurry(self) -> None:
        """Wait no longer in `close`."""
        self._enough.set()

    # For the connections

    def left(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self._left.set()
        self._left.clear()
        if self.draining and not self.connections:
            self._enough.set()

    def refusal(self, head: h11.Request) -> Refusal | None:
        return self._guard.refusal(head)

    def refused(self, refusal: Refusal) -> None:  # noqa: ARG002 - the journal counts, and keeps nothing of it
        self.journal.refused()

    def serve(self, exchange: Exchange) -> None:
        path = exchange.incoming.target.partition("?")[0]
        if path.startswith(PREFIX) or path == PREFIX.rstrip("/"):
            self._page(exchange, path.removeprefix(PREFIX))
            return
        self._answerer.serve(exchange, self.journal.begin(exchange, self._answerer.result))

    def _page(self, exchange: Exchange, name: str) -> None:
        pages: dict[str, Callable[[], None]] = {
            "health": lambda: exchange.answer_json(200, self._health()),
            "journal": lambda: exchange.answer_json(200, self._journal()),
            "metrics": lambda: exchange.answer(
                200, self._answerer.metrics(self.journal).encode(), "text/plain; version=0.0.4; charset=utf-8"
            ),
        }
        if name not in pages:
            exchange.answer_json(
                404, error_document("not_found_error", f"recorder: {PREFIX} has {', '.join(pages)}")
            )
        elif exchange.incoming.method not in ("GET", "HEAD"):
            exchange.answer_json(405, error_document("method_not_allowed", "recorder: these pages are read only"))
        else:
            pages[name]()

    def _health(self) -> dict[str, Any]:
        state = "stopping" if self.draining else "ok"
        return {"status": state, "open": self.journal.open, "requests": len(self.journal.entries)} | (
            self._answerer.health()
        )

    def _journal(self) -> dict[str, Any]:
        return {"requests": self.journal.document()} | self._answerer.journal()


def check_bind(host: str, token: str | None) -> None:
    """Raises ValueError for a host that other machines reach, without a token that they have to know."""
    if token is not None and (len(token) < 8 or not token.isascii() or not token.isprintable() or " " in token):
        raise ValueError("a token has 8 or more printable ASCII characters, without spaces")
    if token is None and not is_loopback(host):
        raise ValueError(f"{host} can be reached by others: give --token, or listen on 127.0.0.1")


def allow_many_files() -> None:
    """Each stream has two sockets, and 1,024 files is a usual limit that every process may raise for itself."""
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, _FILES) if hard > 0 else _FILES, hard))
