"""The exception that a client sees where a script breaks: of the same class, with the same message, as live.

What httpx2 says of a broken connection depends on what carries it: sockets, asyncio or trio.
"""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Literal

import httpx2

from recorder.core.records import ErrorInfo

from .errors import EndOfRecording
from .script import Script

Carrier = Literal["sync", "asyncio", "trio"]


def carrier() -> Carrier:
    """What runs the calling coroutine."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return "trio"
    return "asyncio"


def failure(script: Script, request: httpx2.Request, carrier: Carrier) -> Exception | None:
    """What the ending of `script` raises; None for a clean one. A recorded exception comes as it was."""
    ending = script.ending
    if ending.how == "read":
        return None
    if ending.how == "undecodable":
        return httpx2.DecodingError("the recorded body cannot be decoded from here on", request=request)
    if ending.how == "unknown":
        return EndOfRecording(ending.error.message if ending.error else "the recording ends here")
    if ending.error is not None:
        return _recorded(ending.error, request)
    match ending.how:
        case "cut":
            return httpx2.RemoteProtocolError(_cut_message(script), request=request)
        case "reset":
            return httpx2.ReadError(_reset_message(carrier), request=request)
        case "refused":
            return httpx2.ConnectError(_refused_message(carrier, request), request=request)
        case "hang":
            return timeout(request, carrier)


def timeout(request: httpx2.Request, carrier: Carrier) -> httpx2.ReadTimeout:
    return httpx2.ReadTimeout("timed out" if carrier == "sync" else "", request=request)


def read_timeout_s(request: httpx2.Request) -> float | None:
    """How long the client waits in one read, as it said with the request; None: for ever."""
    return request.extensions.get("timeout", {}).get("read")


def _recorded(error: ErrorInfo, request: httpx2.Request) -> httpx2.TransportError:
    kind = getattr(httpx2, error.type.rpartition(".")[2], None)
    if not (isinstance(kind, type) and issubclass(kind, httpx2.TransportError)):
        return httpx2.TransportError(f"{error.type}: {error.message}", request=request)
    return kind(error.message, request=request)


def _cut_message(script: Script) -> str:
    if script.headers_at is None:
        return "Server disconnected without sending a response."
    what = "incomplete chunked read"
    if expected := script.headers.get("content-length"):
        what = f"received {sum(len(piece.data) for piece in script.pieces)} bytes, expected {expected}"
    return f"peer closed connection without sending complete message body ({what})"


def _reset_message(carrier: Carrier) -> str:
    reset = f"[Errno {errno.ECONNRESET}] {os.strerror(errno.ECONNRESET)}"
    return {"sync": reset, "asyncio": "", "trio": f"socket connection broken: {reset}"}[carrier]


def _refused_message(carrier: Carrier, request: httpx2.Request) -> str:
    port = request.url.port or (443 if request.url.scheme == "https" else 80)
    return {
        "sync": f"[Errno {errno.ECONNREFUSED}] {os.strerror(errno.ECONNREFUSED)}",
        "asyncio": "All connection attempts failed",
        "trio": f"all attempts to connect to {request.url.host}:{port} failed",
    }[carrier]
