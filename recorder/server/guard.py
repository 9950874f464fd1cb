"""Who may ask, and for what: decided from the head of a request, before its body is read.

The upstream is never taken from a request, so nothing here can make an open relay; what is refused is what asks
for one, or could be read in two ways.
"""

from __future__ import annotations

import hmac
import re
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import unquote

import h11

TOKEN_HEADER = b"x-recorder-token"
_DOTS = re.compile(r"(^|/)\.{1,2}(/|$)")


class Refusal(NamedTuple):
    """Why a request is not served."""

    status: int
    message: str


class Guard:
    """`token`: what a client has to send as `x-recorder-token`. Without one, the server is on the loopback, and a
    request that names another host is refused: a web page whose name was made to point here must not read it."""

    def __init__(self, token: str | None) -> None:
        self._token = token.encode() if token is not None else None

    def refusal(self, head: h11.Request) -> Refusal | None:
        """None: it may be served."""
        return _malformed(head) or self._stranger(head)

    def _stranger(self, head: h11.Request) -> Refusal | None:
        if self._token is None:
            host = _value(head, b"host").decode("latin-1")
            if head.http_version == b"1.0" and not host:
                return None
            return None if is_loopback(_host_of(host)) else Refusal(421, f"this server is not {host!r}")
        given = _value(head, TOKEN_HEADER)
        if hmac.compare_digest(given, self._token):
            return None
        return Refusal(401, "this server wants its token in the header x-recorder-token")


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _malformed(head: h11.Request) -> Refusal | None:
    names = [name for name, _ in head.headers]
    if head.http_version not in (b"1.0", b"1.1"):
        return Refusal(505, "HTTP/1.1 is spoken here")
    if b"transfer-encoding" in names and (b"content-length" in names or head.http_version == b"1.0"):
        return Refusal(400, "a length and a transfer-encoding: the body could be read in two ways")
    if head.method == b"CONNECT":
        return Refusal(405, "this server is no tunnel")
    target = head.target.decode("latin-1")
    if not target.startswith("/"):
        return Refusal(400, "the request line names a path, and no other host: this server is no open relay")
    path = target.partition("?")[0]
    if "\\" in target or "#" in target or _DOTS.search(unquote(path).replace("\\", "/")):
        return Refusal(400, "a path with dot segments, a backslash or a fragment")
    return None


def _value(head: h11.Request, name: bytes) -> bytes:
    return next((value for key, value in head.headers if key == name), b"")


def _host_of(authority: str) -> str:
    """The host of `host:port`, of `[::1]:port`."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]
