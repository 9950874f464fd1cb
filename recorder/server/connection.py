"""One client's connection: h11 holds the protocol, and hands over each request that has been read whole.

Reading goes on while the answer goes out, for that is how a client that hangs up is noticed at once.
"""

from __future__ import annotations

import asyncio
import http
import socket
import struct
import time
from collections.abc import Callable
from typing import Protocol, cast

import h11
import msgspec

from .exchange import Exchange, Incoming, error_document
from .guard import Refusal
from .limits import Limits

_PIPELINED = 64 << 10
"""Bytes of further requests that are taken in while one is answered."""


class Hub(Protocol):
    """What the connections of a server share."""

    limits: Limits
    draining: bool
    connections: set[Connection]

    def left(self, connection: Connection) -> None: ...
    def refusal(self, head: h11.Request) -> Refusal | None: ...
    def serve(self, exchange: Exchange) -> None: ...
    def refused(self, refusal: Refusal) -> None: ...


class Connection(asyncio.Protocol):
    """Requests on one socket, one after the other; a pipelined request waits for its turn."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._limits = hub.limits
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=hub.limits.head_bytes)
        self._transport = cast("asyncio.Transport", None)
        self._head: h11.Request | None = None
        self._body: list[bytes] = []
        self._size = self._size_before = 0
        self._exchange: Exchange | None = None
        self._corked: list[bytes] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._begun = 0
        """ns of `perf_counter_ns` when the first byte of a request came, or its turn if pipelined. 0: none yet."""
        self._parsing = self._lingering = False

    @property
    def busy(self) -> bool:
        """A request is being read or answered."""
        return self._exchange is not None or self._begun > 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self._hub.connections) >= self._limits.connections:
            self._transport.abort()
            return
        self._hub.connections.add(self)
        self._arm(self._limits.head_s, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._hub.left(self)
        self._disarm()
        if self._exchange is not None:
            self._exchange.gone()

    def eof_received(self) -> bool:
        """The client has closed; no client of an API closes its side and then waits for an answer."""
        self._transport.abort() if self._exchange is not None else self._transport.close()
        return False

    def pause_writing(self) -> None:
        if self._exchange is not None:
            self._exchange.flow(False)

    def resume_writing(self) -> None:
        if self._exchange is not None:
            self._exchange.flow(True)

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        self._http.receive_data(data)
        if self._exchange is not None:
            if len(self._http.trailing_data[0]) > _PIPELINED:
                self._transport.abort()
            return
        if not self._begun:
            self._begun = time.perf_counter_ns()
            self._arm(self._limits.head_s, self._too_slow)
        self._parse()

    def close(self) -> None:
        """Close at once; an answer that is going out is broken off as by its client."""
        self._transport.abort() if self.busy else self._transport.close()

    # What an exchange does to its connection

    def put(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if not data:
            return
        if self._corked is not None:
            self._corked.append(data)
        else:
            self._transport.write(data)

    def cork(self) -> None:
        self._corked = self._corked or []

    def uncork(self) -> None:
        corked, self._corked = self._corked, None
        if corked and not self._transport.is_closing():
            self._transport.write(b"".join(corked))

    def break_off(self, *, reset: bool) -> None:
        self.uncork()
        if reset:
            sock: socket.socket = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        else:
            self._transport.close()

    def finished(self) -> None:
        self.uncork()
        self._exchange = None
        if self._http.our_state is not h11.DONE or self._hub.draining:
            self._transport.close()
            return
        self._http.start_next_cycle()
        self._begun = time.perf_counter_ns() if self._http.trailing_data[0] else 0
        self._arm(self._limits.head_s if self._begun else self._limits.idle_s, self._too_slow)
        if self._begun and not self._parsing:
            self._parse()

    # Reading

    def _parse(self) -> None:
        self._parsing = True
        try:
            while self._exchange is None and not self._transport.is_closing():
                event = self._http.next_event()
                if isinstance(event, h11.Request):
                    self._take_head(event)
                elif isinstance(event, h11.Data):
                    self._take_body(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    self._begin()
                else:
                    break
        except _Refused as refused:
            self._refuse(refused.refusal)
        except h11.RemoteProtocolError as error:
            self._refuse(Refusal(error.error_status_hint, str(error)))
        finally:
            self._parsing = False

    def _take_head(self, head: h11.Request) -> None:
        if (refusal := self._hub.refusal(head)) is not None:
            raise _Refused(refusal)
        if (
            sum(len(name) + len(value) for name, value in head.headers) + len(head.target)
            > self._limits.head_bytes
        ):
            raise _Refused(Refusal(431, "the headers are too large"))  # h11 lets them pass when they came at once
        length = dict(head.headers).get(b"content-length", b"0")
        if int(length) > self._limits.body_bytes:
            raise _Refused(self._too_large())
        self._head, self._body = head, []
        self._size = self._size_before = 0
        if self._http.they_are_waiting_for_100_continue:
            self._transport.write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        self._arm(self._limits.body_s, self._look_at_body)

    def _take_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limits.body_bytes:
            raise _Refused(self._too_large())
        self._body.append(data)

    def _begin(self) -> None:
        self._disarm()
        head, body = self._head, b"".join(self._body)
        assert head is not None
        self._head, self._body = None, []
        incoming = Incoming(
            method=head.method.decode("ascii"),
            target=head.target.decode("ascii"),
            headers=head.headers.raw_items(),
            body=body,
            wall=time.time_ns(),
        )
        exchange = self._exchange = Exchange(self, incoming, self._begun)
        self._hub.serve(exchange)

    # Refusing

    def _too_large(self) -> Refusal:
        return Refusal(413, f"a body of more than {self._limits.body_bytes >> 20} MiB")

    def _look_at_body(self) -> None:
        if self._size - self._size_before < self._limits.body_least:
            self._refuse(Refusal(408, "the body of the request comes too slowly"))
            return
        self._size_before = self._size
        self._arm(self._limits.body_s, self._look_at_body)

    def _too_slow(self) -> None:
        if self._begun:
            self._refuse(Refusal(408, "the headers of the request come too slowly"))
        else:
            self._transport.close()

    def _refuse(self, refusal: Refusal) -> None:
        self._hub.refused(refusal)
        kind = http.HTTPStatus(refusal.status).phrase.lower().replace(" ", "_")
        body = msgspec.json.encode(error_document(kind, f"recorder: {refusal.message}"))
        headers = [
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        self.cork()
        self.put(h11.Response(status_code=refusal.status, headers=headers))
        if self._head is None or self._head.method != b"HEAD":
            self.put(h11.Data(data=body))
        self.put(h11.EndOfMessage())
        self.uncork()
        self._begun, self._lingering = 0, True
        self._head, self._body = None, []
        self._transport.write_eof()
        self._arm(self._limits.linger_s, self._transport.abort)

    def _arm(self, seconds: float, then: Callable[[], None]) -> None:
        self._disarm()
        self._timer = asyncio.get_running_loop().call_later(seconds, then)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
