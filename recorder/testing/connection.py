"""One connection of the upstream: h11 holds the protocol, one task per request plays the reply."""

from __future__ import annotations

import asyncio
import http
import itertools
import socket
import struct
import threading
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import h11
import msgspec
from msgspec import Struct

from recorder.testing.reply import Reply, pairs

_REASONS = {status.value: status.phrase.encode() for status in http.HTTPStatus}


class Received(Struct, kw_only=True, frozen=True):
    """A request as it came over the wire."""

    method: str
    target: str
    """Path and query."""
    headers: list[tuple[str, str]]
    """In order, names in lower case."""
    body: bytes
    at: int
    """`perf_counter_ns` when the last byte of the request had been read."""
    connection: int
    """Ordinal (from 0) of the connection it came on; equal ordinals: the connection was reused."""

    def json(self) -> Any:
        """The body, decoded. Raises msgspec.DecodeError where it is not JSON."""
        return msgspec.json.decode(self.body)


class Ledger:
    """What all connections share: the script, and what has happened so far. Any thread may read it."""

    def __init__(
        self, answer: Callable[[Received], Reply], speed: float, on_end: Callable[[Received, bool], None] | None
    ) -> None:
        self.speed = speed
        self.received: list[Received] = []
        self.closed_by_client: list[Received] = []
        self.errors: list[BaseException] = []
        self.open: set[Connection] = set()
        self.active: set[int] = set()
        """Replies in progress, as indices of `received`."""
        self.changed = threading.Condition()
        self.ordinals = itertools.count()
        self._answer: Callable[[Received], object] = answer
        self._on_end = on_end

    def began(self, received: Received) -> int:
        with self.changed:
            self.received.append(received)
            self.active.add(len(self.received) - 1)
            return len(self.received) - 1

    def ended(self, index: int, *, by_client: bool) -> None:
        if self._on_end is not None:
            self._on_end(self.received[index], by_client)
        with self.changed:
            self.active.discard(index)
            if by_client:
                self.closed_by_client.append(self.received[index])
            self.changed.notify_all()

    def reply_to(self, received: Received) -> Reply:
        try:
            reply = self._answer(received)
        except BaseException as error:  # pytest.fail() raises what is no Exception
            self.errors.append(error)
            return failure(f"The scripted upstream's answer raised {error!r}")
        if isinstance(reply, Reply):
            return reply
        self.errors.append(TypeError(f"answer returned {reply!r}, expected a Reply"))
        return failure(f"The scripted upstream's answer returned {reply!r}, expected a Reply")


class Connection(asyncio.Protocol):
    """Requests on one socket, one after the other; a pipelined request waits for its turn."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._ordinal = next(ledger.ordinals)
        self._http = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._playing: asyncio.Task[None] | None = None
        self._client_left = False
        self._writable = asyncio.Event()
        self._writable.set()
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=0)  # `_writable` then means: the kernel has it all
        self._transport = transport
        # asyncio does so itself only for sockets made with an explicit protocol number, which ours is not:
        # without it an event waits up to 40 ms for the acknowledgement of the one before.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ledger.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (asyncio's signature)
        self._ledger.open.discard(self)
        self.closed.set()
        if self._playing is not None:
            self._client_left = True
            self._playing.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._http.receive_data(data)
        if self._playing is None:
            self._parse()

    def abort(self) -> None:
        """The upstream closes: not the client's doing."""
        if self._playing is not None:
            self._playing.cancel()
            self._playing = None
        self._transport.abort()

    def _parse(self) -> None:
        try:
            while True:
                event = self._http.next_event()
                if isinstance(event, h11.Request):
                    self._request = event
                    self._body.clear()
                elif isinstance(event, h11.Data):
                    self._body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    self._begin()
                else:  # NEED_DATA, or PAUSED until the reply is at its end
                    break
        except h11.RemoteProtocolError as error:  # what the client sent is no HTTP
            self._ledger.errors.append(error)
            self._transport.abort()
            return
        if self._http.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[]))

    def _begin(self) -> None:
        assert self._request is not None
        received = Received(
            method=self._request.method.decode("ascii"),
            target=self._request.target.decode("ascii"),
            headers=[(name.decode("ascii"), value.decode("latin-1")) for name, value in self._request.headers],
            body=bytes(self._body),
            at=perf_counter_ns(),
            connection=self._ordinal,
        )
        index = self._ledger.began(received)
        self._playing = asyncio.get_running_loop().create_task(self._answer(index, received))

    async def _answer(self, index: int, received: Received) -> None:
        try:
            await self._play(self._ledger.reply_to(received), received.at)
        except Exception as error:  # a reply that HTTP does not allow
            self._ledger.errors.append(error)
            self._transport.abort()
        finally:
            self._playing = None
            self._ledger.ended(index, by_client=self._client_left)
        if self._http.our_state is h11.MUST_CLOSE:
            self._transport.close()
        elif self._http.our_state is h11.DONE and not self._transport.is_closing():
            self._http.start_next_cycle()
            self._parse()

    async def _play(self, reply: Reply, began: int) -> None:
        if reply.headers_at is not None:
            await self._until(began, reply.headers_at)
            self._send(_head(reply))
        for step in reply.steps:
            await self._until(began, step.at)
            self._send(h11.Data(data=step.data))
        await self._until(began, reply.end_at or 0)
        match reply.end:
            case "read":
                self._send(h11.EndOfMessage())
            case "cut":
                self._transport.close()
            case "reset":
                sock: socket.socket = self._transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._transport.abort()
            case "hang":
                await asyncio.Event().wait()

    async def _until(self, began: int, at: int) -> None:
        """Always gives way once, so that a burst of due steps starves no other stream."""
        await self._writable.wait()
        left_ns = began + at / self._ledger.speed - perf_counter_ns()
        await asyncio.sleep(max(left_ns, 0) / 1e9)

    def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._transport.write(data)


def failure(message: str) -> Reply:
    """An error of the upstream itself. Without the header the SDK would retry and sleep in between."""
    return Reply.error(500, "api_error", message, headers={"x-should-retry": "false"})


def _head(reply: Reply) -> h11.Response:
    """h11 adds `transfer-encoding: chunked` where there is no content-length."""
    return h11.Response(
        status_code=reply.status,
        headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in pairs(reply.headers)],
        reason=_REASONS.get(reply.status, b""),
    )
