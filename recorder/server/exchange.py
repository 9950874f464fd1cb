"""One request, read whole, and the answer to it while it goes out."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import h11
import msgspec
from msgspec import Struct

_UNVERSIONED = re.compile(r"/messages(?=[/?]|$)")
Headers = list[tuple[bytes, bytes]]
"""In order, names spelt as they came."""


class Incoming(Struct, frozen=True, kw_only=True):
    """A request as it came over the wire."""

    method: str
    target: str
    """Path and query, beginning with a slash."""
    headers: Headers
    body: bytes
    wall: int
    """Unix time in ns when it had been read."""


def versioned(target: str) -> str:
    """The target with the version of the API before it, where that was left out: the AI SDK takes
    ANTHROPIC_BASE_URL for a URL that has it already, and the API has no such path."""
    return f"/v1{target}" if _UNVERSIONED.match(target) else target


class Line(Protocol):
    """The connection that an exchange is on."""

    def put(self, event: h11.Event) -> None: ...
    def cork(self) -> None: ...
    def uncork(self) -> None: ...
    def break_off(self, *, reset: bool) -> None: ...
    def finished(self) -> None: ...


def _nothing(*_: object) -> None:
    pass


class Exchange:
    """What is put into it goes out at once. After the end, or when the client has gone, it takes no more."""

    def __init__(self, line: Line, incoming: Incoming, began: int) -> None:
        self.incoming = incoming
        self.began = began
        """When the request began to come, in ns of `perf_counter_ns`."""
        self.status: int | None = None
        """Of the answer, once it has begun."""
        self.sent = 0
        """Bytes of the body so far."""
        self.over = False
        self.by_client = False
        """It was the client that ended it."""
        self.seconds = 0.0
        """From the whole request to the end."""
        self.on_gone: Callable[[], object] = _nothing
        """Called once when the client goes away before the end."""
        self.on_over: Callable[[], None] = _nothing
        """Called once at the end, however it came."""
        self.on_flow: Callable[[bool], None] = _nothing
        """Called with False when the client takes no more for now, and with True when it does again."""
        self._line = line
        self._writable = asyncio.Event()
        self._writable.set()

    def inform(self, status: int, headers: Headers, reason: bytes) -> None:
        """An interim response (103)."""
        if not self.over:
            self._line.put(h11.InformationalResponse(status_code=status, headers=headers, reason=reason))

    def respond(self, status: int, headers: Headers, reason: bytes = b"") -> None:
        """Status line and headers. Without a content-length the body goes out in chunks, each as it is sent."""
        if not self.over:
            self.status = status
            self._line.put(h11.Response(status_code=status, headers=headers, reason=reason))

    def send(self, data: bytes) -> None:
        if not self.over:
            self.sent += len(data)
            self._line.put(h11.Data(data=data))

    def finish(self, trailers: Headers | None = None) -> None:
        """The end of the body. Only one in chunks has a place for trailers."""
        if self.over:
            return
        try:
            self._line.put(h11.EndOfMessage(headers=trailers or []))
        except h11.LocalProtocolError:
            if not trailers:
                raise
            self._line.put(h11.EndOfMessage())
        self._end()
        self._line.finished()

    def break_off(self, *, reset: bool = False) -> None:
        """End it in the middle: by closing the connection, or by a reset."""
        if not self.over:
            self._end()
            self._line.break_off(reset=reset)

    def answer_json(self, status: int, document: object, *, headers: Iterable[tuple[str, str]] = ()) -> None:
        self.answer(status, msgspec.json.encode(document), "application/json", headers)

    def answer(self, status: int, body: bytes, kind: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        """A whole answer of our own."""
        named = [("content-type", kind), ("content-length", str(len(body))), *headers]
        self.cork()
        self.respond(status, [(name.encode(), value.encode("latin-1", "replace")) for name, value in named])
        self.send(body if self.incoming.method != "HEAD" else b"")
        self.finish()
        self.uncork()

    def cork(self) -> None:
        """What is put until `uncork` leaves in one write: it came in one read, too."""
        self._line.cork()

    def uncork(self) -> None:
        self._line.uncork()

    async def writable(self) -> None:
        """Wait until the client takes more, or has gone."""
        await self._writable.wait()

    def flow(self, flows: bool) -> None:
        """The connection's own: it takes more, or not."""
        self._writable.set() if flows else self._writable.clear()
        self.on_flow(flows)

    def gone(self) -> None:
        """The connection's own: the client went away."""
        if not self.over:
            self._end(by_client=True)

    def _end(self, *, by_client: bool = False) -> None:
        self.over, self.by_client = True, by_client
        self.seconds = (time.perf_counter_ns() - self.began) / 1e9
        self._writable.set()
        if by_client:
            self.on_gone()
        self.on_over()


def error_document(kind: str, message: str) -> dict[str, object]:
    """Claude's error body, for clients that show it."""
    return {"type": "error", "error": {"type": kind, "message": message}}
