"""The proxy that the environment names, on the way to an upstream elsewhere: HTTPS_PROXY, ALL_PROXY, NO_PROXY."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import NamedTuple, cast
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import h11

from .guard import is_loopback


class Way(NamedTuple):
    """A proxy on the way. `authorization`: what it wants of us, where its URL has a login."""

    host: str
    port: int
    authorization: str | None


def way_to(host: str) -> Way | None:
    """The proxy for TLS connections to `host`, as the environment has it; None: straight there.

    Raises ValueError for one that is no HTTP proxy.
    """
    named = getproxies()
    url = named.get("https") or named.get("all")
    if not url or is_loopback(host) or proxy_bypass(host):
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"the proxy that the environment names is no http:// proxy, but {parts.scheme}://")
    login = None
    if parts.username is not None:
        login = b64encode(f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()).decode()
    return Way(parts.hostname, parts.port or 80, login and f"Basic {login}")


def request_for(way: Way, host: str, port: int) -> h11.Request:
    """What asks the proxy for a connection to there."""
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    headers = [("Host", authority), *([("Proxy-Authorization", way.authorization)] if way.authorization else [])]
    return h11.Request(method="CONNECT", target=authority, headers=headers)


class Tunnel(asyncio.Protocol):
    """Asks for the connection; `done` is there when it is, and fails with OSError when it is refused."""

    def __init__(self, request: h11.Request) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._http = h11.Connection(h11.CLIENT)
        self._request = request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        asked = self._http.send(self._request) or b""
        cast("asyncio.Transport", transport).write(asked + (self._http.send(h11.EndOfMessage()) or b""))

    def data_received(self, data: bytes) -> None:
        try:
            self._http.receive_data(data)
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            self._fail(f"the proxy of the environment answers what is no HTTP: {error}")
            return
        if isinstance(event, h11.Response) and not self.done.done():
            if 200 <= event.status_code < 300:
                self.done.set_result(None)
            else:
                self._fail(f"the proxy of the environment refuses, with status {event.status_code}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the proxy of the environment closed the connection{f': {exc}' if exc else ''}")

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(why))
