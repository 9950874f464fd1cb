"""An HTTP proxy as companies have them."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


@contextmanager
def forward_proxy() -> Iterator[tuple[str, list[str]]]:
    """An HTTP proxy for `http://` URLs, one request a connection: its URL, and the requests that it forwarded."""
    server = socket.create_server(("127.0.0.1", 0))
    forwarded: list[str] = []

    def serve(client: socket.socket) -> None:
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(65_536)
            length = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])  # type: ignore[index]
            while len(head) - head.index(b"\r\n\r\n") - 4 < length:
                head += client.recv(65_536)
            line, _, rest = head.partition(b"\r\n")
            method, url, version = line.split(b" ")
            parts = urlsplit(url.decode())
            forwarded.append(url.decode())
            with socket.create_connection((parts.hostname, parts.port)) as upstream:
                rest = re.sub(rb"(?i)connection: *keep-alive", b"Connection: close", rest)
                upstream.sendall(b" ".join([method, parts.path.encode(), version]) + b"\r\n" + rest)
                while data := upstream.recv(65_536):
                    client.sendall(data)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", forwarded
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)
