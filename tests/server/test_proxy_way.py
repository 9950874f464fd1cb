"""The record proxy's way to an upstream: TLS that is verified, and the proxy of the environment."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from functools import partial
from pathlib import Path

import httpx2
import pytest
import trustme

from recorder.server.journal import Streams
from recorder.server.proxy import Proxy, ProxyTap
from recorder.server.upstream import Pool, origin_of
from tests.server.running import (
    OK,
    RawUpstream,
    chunk,
    connected,
    head_of,
    running,
    streams_in,
)


class _TLS(RawUpstream):
    """Answers any request with 200, over TLS, under a certificate of an authority of ours."""

    def __init__(self, authority: trustme.CA, name: str) -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name).configure_cert(self._context)
        super().__init__(self._answer_tls)

    def _answer_tls(self, connection: socket.socket) -> None:
        try:
            with self._context.wrap_socket(connection, server_side=True) as secure:
                head_of(secure)
                secure.sendall(OK + chunk(b"data: 1\n\n") + b"0\r\n\r\n")
                secure.recv(1)
        except (ssl.SSLError, ConnectionError):
            pass


@pytest.mark.parametrize(
    ("name", "trusted", "status"), [("127.0.0.1", True, 200), ("127.0.0.1", False, 502), ("a.example", True, 502)]
)
def test_tls_is_verified(tmp_path: Path, name: str, trusted: bool, status: int) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context()
    if trusted:
        authority.configure_trust(context)
    with _TLS(authority, name) as upstream:
        origin = origin_of(upstream.url.replace("http:", "https:"))
        with ProxyTap(tmp_path) as tap, running(Proxy(tap, Pool(origin, context=context), Streams())) as proxy:
            response = httpx2.get(f"{proxy.url}/v1/models")
    assert response.status_code == status
    assert status == 200 or "certificate" in response.json()["error"]["message"]
    [stream] = streams_in(tmp_path)
    if status == 200:
        assert stream.response is not None
        assert stream.response.phases is not None
        assert stream.response.phases.tls is not None


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def _tunnel(url: str | None, heads: list[bytes], connection: socket.socket) -> None:
    """A proxy that leads to `url`, or refuses."""
    heads.append(head_of(connection))
    if url is None:
        connection.sendall(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
        return
    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    with connected(int(url.rpartition(":")[2])) as onward:
        back = threading.Thread(target=_pump, args=(onward, connection))
        back.start()
        _pump(connection, onward)
        back.join()


@pytest.mark.parametrize("allowed", [True, False])
def test_the_proxy_of_the_environment_is_asked_for_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    authority, context = trustme.CA(), ssl.create_default_context()
    authority.configure_trust(context)
    heads: list[bytes] = []

    with _TLS(authority, "api.example") as upstream:
        with RawUpstream(partial(_tunnel, upstream.url if allowed else None, heads)) as way:
            for name in ("HTTPS_PROXY", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.delenv(name, raising=False)
            monkeypatch.setenv("https_proxy", way.url.replace("http://", "http://user:pass%20word@"))
            pool = Pool(origin_of("https://api.example"), context=context)
            with ProxyTap(tmp_path) as tap, running(Proxy(tap, pool, Streams())) as proxy:
                response = httpx2.get(f"{proxy.url}/v1/models")
    [head] = heads
    assert head.startswith(b"CONNECT api.example:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjpwYXNzIHdvcmQ=\r\n" in head
    [stream] = streams_in(tmp_path)
    if not allowed:
        assert response.status_code == 502
        assert "the proxy of the environment refuses, with status 407" in response.text
        return
    assert (response.status_code, response.text) == (200, "data: 1\n\n")
    assert stream.response is not None
    assert stream.response.phases is not None
    assert stream.response.phases.tunnel is not None
    assert stream.response.phases.tls is not None
