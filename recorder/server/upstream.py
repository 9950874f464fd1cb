"""The way to the one upstream that the command line named: its address, connections to it, requests on them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar, cast
from urllib.parse import urlsplit

import h11
import httpx2

from .exchange import Headers
from .tunnel import Tunnel, Way, request_for, way_to

CONNECT_S = 30.0
IDLE_S = 15.0
"""An idle connection is kept for so long: longer, and the upstream may close it just as it is used again."""
_IDLE_MOST = 100
_HEAD_BYTES = 1 << 20

Note = Callable[[str, dict[str, Any]], None]
"""Is told the steps of a connection, by the names that httpcore2 has for them."""


class Origin(NamedTuple):
    """Where requests go."""

    tls: bool
    host: str
    port: int
    path: str
    """What stands before the path of each request; empty, or `/gateway`."""

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.authority}{self.path}"


def origin_of(url: str) -> Origin:
    """Raises ValueError for what names no server, or more than one should."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{url!r} is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii():
        raise ValueError(f"{url!r} is no upstream: give one such as https://api.anthropic.com")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("an upstream has no login, query or fragment: keys come with the requests")
    tls = parts.scheme == "https"
    return Origin(tls, parts.hostname, port or (443 if tls else 80), parts.path.rstrip("/"))


class Broken(NamedTuple):
    """How the upstream failed, in the words of httpx2, so that a replay raises what a Python client saw."""

    error: str
    message: str
    reset: bool = False


class Taker(Protocol):
    """Takes the answer to a request. `now`: `perf_counter_ns` when it was read."""

    def informed(self, event: h11.InformationalResponse) -> None: ...
    def answered(self, event: h11.Response, now: int) -> None: ...
    def chunk(self, data: bytes, now: int) -> None: ...
    def ended(self, trailers: Headers, now: int) -> None: ...
    def broke(self, broken: Broken, now: int) -> None: ...
    def sent(self) -> None: ...
    def cork(self) -> None: ...
    def uncork(self) -> None: ...


class Link(asyncio.Protocol):
    """One connection to the upstream, for one request at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES)
        self._transport = cast("asyncio.Transport", None)
        self._taker: Taker | None = None
        self._sending = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.carried_by(cast("asyncio.Transport", transport))
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def carried_by(self, transport: asyncio.Transport) -> None:
        """Once plainly, and again when TLS was made over it."""
        self._transport = transport
        transport.set_write_buffer_limits(high=0)  # writing resumes when the kernel has it all

    @property
    def usable(self) -> bool:
        return not self._transport.is_closing()

    def request(self, head: h11.Request, body: bytes, taker: Taker) -> None:
        """Send it; the answer goes to `taker`, in callbacks."""
        if self._timer is not None:
            self._timer.cancel()
        self._taker = taker
        self._sending = True
        parts = [self._http.send(head) or b""]
        if body:
            parts.append(self._http.send(h11.Data(data=body)) or b"")
        parts.append(self._http.send(h11.EndOfMessage()) or b"")
        self._transport.write(b"".join(parts))
        if not self._transport.get_write_buffer_size():
            self.resume_writing()

    def flow(self, flows: bool) -> None:
        """Whether to go on reading."""
        if self.usable:
            self._transport.resume_reading() if flows else self._transport.pause_reading()

    def abort(self) -> None:
        """Nobody waits for the answer any more."""
        self._taker = None
        self._transport.abort()

    def resume_writing(self) -> None:
        if self._sending and self._taker is not None:
            self._sending = False
            self._taker.sent()

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter_ns()
        taker = self._taker
        if taker is None:  # an answer to nothing
            self._transport.abort()
            return
        self._http.receive_data(data)
        taker.cork()
        try:
            self._read(now)
        finally:
            taker.uncork()

    def eof_received(self) -> bool:
        now = time.perf_counter_ns()
        if self._http.their_state is h11.SEND_RESPONSE:
            self._break(
                Broken("httpx2.RemoteProtocolError", "Server disconnected without sending a response."), now
            )
        elif self._taker is not None:
            self._http.receive_data(b"")
            self._read(now)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.forget(self)
        if self._timer is not None:
            self._timer.cancel()
        said = str(exc) if exc is not None else "connection lost"
        self._break(Broken("httpx2.ReadError", said, reset=True), time.perf_counter_ns())

    def _read(self, now: int) -> None:
        try:
            while (taker := self._taker) is not None:
                event = self._http.next_event()
                if isinstance(event, h11.Data):
                    taker.chunk(bytes(event.data), now)
                elif isinstance(event, h11.Response):
                    taker.answered(event, now)
                elif isinstance(event, h11.EndOfMessage):
                    self._taker = None
                    self._rest()
                    taker.ended(event.headers.raw_items(), now)
                elif isinstance(event, h11.InformationalResponse):
                    taker.informed(event)
                else:
                    break
        except h11.RemoteProtocolError as error:
            self._break(Broken("httpx2.RemoteProtocolError", str(error)), now)
            self._transport.abort()

    def _break(self, broken: Broken, now: int) -> None:
        taker, self._taker = self._taker, None
        if taker is not None:
            taker.broke(broken, now)

    def _rest(self) -> None:
        """The answer is whole: keep the connection, if it can be kept."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE and self.usable:
            self._http.start_next_cycle()
            self._transport.resume_reading()
            if self._pool.keep(self):
                self._timer = asyncio.get_running_loop().call_later(IDLE_S, self._transport.close)
                return
        self._transport.close()


_Protocol = TypeVar("_Protocol", bound=asyncio.Protocol)


async def _connected(
    make: Callable[[], _Protocol], host: str, port: int, note: Note
) -> tuple[asyncio.Transport, _Protocol]:
    note("connection.connect_tcp.started", {})
    made = await asyncio.get_running_loop().create_connection(make, host, port, happy_eyeballs_delay=0.25)
    note("connection.connect_tcp.complete", {})
    return made


class Pool:
    """The connections to one upstream. Raises ValueError for a proxy in the environment that cannot be used."""

    def __init__(self, origin: Origin, *, context: ssl.SSLContext | None = None) -> None:
        self.origin = origin
        self._context = context or (httpx2.create_ssl_context() if origin.tls else None)
        self._way = way_to(origin.host) if origin.tls else None
        self._idle: list[Link] = []
        self._closed = False

    def idle(self) -> Link | None:
        """The connection that was used last, if one is free."""
        while self._idle:
            link = self._idle.pop()
            if link.usable:
                return link
        return None

    async def connect(self, note: Note) -> Link:
        """A new connection. Raises OSError (ssl.SSLError among them) and TimeoutError."""
        async with asyncio.timeout(CONNECT_S):
            loop, origin = asyncio.get_running_loop(), self.origin
            transport, link = await (self._through(self._way, note) if self._way else self._straight(note))
            if self._context is None:
                return link
            note("connection.start_tls.started", {})
            try:
                secure = await loop.start_tls(transport, link, self._context, server_hostname=origin.host)
            except BaseException:
                transport.abort()
                raise
            note("connection.start_tls.complete", {})
            if secure is None:
                raise ConnectionResetError("the connection was lost in the TLS handshake")
            link.carried_by(secure)
            return link

    async def _straight(self, note: Note) -> tuple[asyncio.Transport, Link]:
        return await _connected(lambda: Link(self), self.origin.host, self.origin.port, note)

    async def _through(self, way: Way, note: Note) -> tuple[asyncio.Transport, Link]:
        """By way of a proxy."""
        request = request_for(way, self.origin.host, self.origin.port)
        transport, tunnel = await _connected(lambda: Tunnel(request), way.host, way.port, note)
        note("http11.send_request_headers.started", {"request": request})
        try:
            await tunnel.done
        except BaseException:
            transport.abort()
            raise
        note("http11.receive_response_headers.complete", {})
        link = Link(self)
        transport.set_protocol(link)
        link.connection_made(transport)
        return transport, link

    def keep(self, link: Link) -> bool:
        """Have it for the next request; False when there are enough."""
        if self._closed or len(self._idle) >= _IDLE_MOST:
            return False
        self._idle.append(link)
        return True

    def forget(self, link: Link) -> None:
        if link in self._idle:
            self._idle.remove(link)

    def close(self) -> None:
        """Close the idle connections, and keep none from now on."""
        self._closed = True
        for link in tuple(self._idle):
            link.abort()
