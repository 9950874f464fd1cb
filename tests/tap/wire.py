"""Servers made of blocking sockets, for what the scripted upstream does not do: TLS, proxies, late handshakes."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter_ns, sleep
from typing import Self

import h2.config
import h2.connection
import h2.events
import trustme

Serve = Callable[[socket.socket], None]


class Server:
    """Listens on 127.0.0.1 and gives each connection to `serve`, in a thread of its own; it is closed after it."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for one in list(self._open):
            with suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                one, _ = self._socket.accept()
                self.connections += 1
                self._open.add(one)
                thread = threading.Thread(target=self._run, args=(one,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _run(self, one: socket.socket) -> None:
        with suppress(OSError), one:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._serve(one)
        self._open.discard(one)


class Certificate:
    """Of 127.0.0.1 and localhost, by an authority made for the test."""

    def __init__(self, *protocols: str) -> None:
        authority = trustme.CA()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(self.server)
        self.server.set_alpn_protocols(list(protocols or ("http/1.1",)))
        self.client = ssl.create_default_context()
        authority.configure_trust(self.client)


class Stamps(dict[str, list[int]]):
    """`perf_counter_ns` of what happened, by name."""

    def stamp(self, name: str) -> None:
        self.setdefault(name, []).append(perf_counter_ns())


def read_request(one: socket.socket) -> bytes:
    """Head and body of the next request; empty when the client is gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := one.recv(65536)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    while len(body) < int(fields.get(b"content-length", 0)):
        if not (more := one.recv(65536)):
            return b""
        body += more
    return head + b"\r\n\r\n" + body


def answering(stamps: Stamps, *, tls: ssl.SSLContext | None = None, body: bytes, ms: int) -> Serve:
    """Answers requests with `body` as JSON. `ms` passes before the TLS handshake, the headers, and the body."""

    def serve(one: socket.socket) -> None:
        if tls is not None:
            sleep(ms / 1e3)
            stamps.stamp("handshake")
            one = tls.wrap_socket(one, server_side=True)
        with one:
            while read_request(one):
                stamps.stamp("request")
                sleep(ms / 1e3)
                stamps.stamp("headers")
                head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
                one.sendall(head % len(body))
                sleep(ms / 1e3)
                stamps.stamp("body")
                one.sendall(body)

    return serve


def streaming(stamps: Stamps, gaps_ms: list[int]) -> Serve:
    """Answers with an event stream, an HTTP chunk per event; `gaps_ms` pass before each. Stamps `sent` of each."""

    def serve(one: socket.socket) -> None:
        while read_request(one):
            one.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            for number, gap_ms in enumerate(gaps_ms):
                sleep(gap_ms / 1e3)
                event = b'event: content_block_delta\ndata: {"n":%d}\n\n' % number
                stamps.stamp("sent")
                one.sendall(b"%x\r\n%b\r\n" % (len(event), event))
            one.sendall(b"0\r\n\r\n")

    return serve


def multiplexing(stamps: Stamps, tls: ssl.SSLContext, gap_ms: int) -> Serve:
    """HTTP/2: an endless event stream for `/hang`, one of three events for any other path, `gap_ms` apart."""

    def serve(one: socket.socket) -> None:
        with tls.wrap_socket(one, server_side=True) as secured:
            http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
            http.initiate_connection()
            secured.sendall(http.data_to_send())
            while data := secured.recv(65536):
                for event in http.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        stamps.stamp("request")
                        path = dict(event.headers or ())[b":path"]
                        _answer(secured, http, event.stream_id or 0, hang=path == b"/hang", gap_ms=gap_ms)
                secured.sendall(http.data_to_send())

    return serve


def _answer(one: ssl.SSLSocket, http: h2.connection.H2Connection, stream: int, *, hang: bool, gap_ms: int) -> None:
    http.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream")])
    for number in range(3):
        one.sendall(http.data_to_send())
        sleep(gap_ms / 1e3)
        http.send_data(stream, b"data: %d\n\n" % number, end_stream=not hang and number == 2)


def proxying(stamps: Stamps, *, ms: int) -> Serve:
    """A proxy: CONNECT is granted after `ms`; a request with a whole URL is passed on."""

    def serve(one: socket.socket) -> None:
        request = read_request(one)
        method, target, _ = request.split(b" ", 2)
        if method == b"CONNECT":
            sleep(ms / 1e3)
            stamps.stamp("granted")
        address = target.removeprefix(b"http://").split(b"/")[0].decode()
        host, _, port = address.partition(":")
        with socket.create_connection((host, int(port))) as other:
            if method == b"CONNECT":
                one.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                other.sendall(request)
            back = threading.Thread(target=_pipe, args=(other, one), daemon=True)
            back.start()
            _pipe(one, other)
            back.join(5)

    return serve


def _pipe(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
