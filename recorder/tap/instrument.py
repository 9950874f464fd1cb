"""Every client of the process recorded, made before or after, without a change to the program.

The seam is the transport: httpx2's two for the network, and the SDK's aiohttp one, at their public methods. Below
everything else, so it sees Bedrock's and Vertex's requests as they are sent, changes nothing of the SDK's own
behaviour (any middleware changes one thing), and lies apart from what other instrumentation wraps. A tap of the
application's own, on the client or as a transport, stands above it and is the one that records.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any, cast

import httpx2

from recorder.core.fingerprint import is_to_claude
from recorder.patching import Patch, bound

from .middleware import Tap
from .phases import is_seen
from .transport import Sender

DIRECTORY = "recordings"
"""Where the records go when neither the call nor the variable RECORDER_DIR says it."""


class _Instrumented:
    """What is recorded to at present, if anything."""

    sender: Sender | None = None
    tap: Tap | None = None


_lock = threading.Lock()
_patches: dict[str, Patch] = {}


def instrument(path: str | os.PathLike[str] | None = None, **options: Any) -> Tap:
    """Record every request to Claude in this process, of any client, until `uninstrument`.

    `path` and `options` are those of `Tap`, which is given back; without a path, what RECORDER_DIR says, or
    `recordings`. Again with the same path, or none, it does nothing more. Requests that a tap of the
    application's own has seen are left to that one. A transport that goes to the network by itself, and not
    through httpx2's or the SDK's aiohttp one, is not seen.

    Raises RuntimeError when it records to another path already, and what `Tap` raises.
    """
    with _lock:
        if _Instrumented.tap is not None and not _Instrumented.tap.closed:
            return _again(_Instrumented.tap, path)
        tap = Tap(path if path is not None else os.environ.get("RECORDER_DIR") or DIRECTORY, **options)
        _Instrumented.tap, _Instrumented.sender = tap, Sender(tap)
        for patch in _all_patches():
            patch.apply()
        return tap


def uninstrument() -> None:
    """The opposite: what was replaced is as it was, and the tap is closed. Does nothing when there is none."""
    with _lock:
        tap, _Instrumented.tap, _Instrumented.sender = _Instrumented.tap, None, None
        for patch in _patches.values():
            patch.undo()
    if tap is not None:
        tap.close()


def _again(tap: Tap, path: str | os.PathLike[str] | None) -> Tap:
    if path is not None and Path(path).absolute() != tap.path:
        raise RuntimeError(f"this process is recorded to {tap.path} already; call recorder.uninstrument() first")
    return tap


def _all_patches() -> list[Patch]:
    """Those of the transports that there are: the SDK imports the one for aiohttp where aiohttp is installed."""
    if not _patches:
        _patches["sync"] = Patch(httpx2.HTTPTransport, "handle_request", _sync)
        _patches["async"] = Patch(httpx2.AsyncHTTPTransport, "handle_async_request", _async)
    aiohttp = sys.modules.get("anthropic._vendor.httpx_aiohttp.transport")
    if aiohttp is not None and "aiohttp" not in _patches:
        _patches["aiohttp"] = Patch(cast("Any", aiohttp).AiohttpTransport, "handle_async_request", _async)
    return list(_patches.values())


def _sender_for(request: httpx2.Request) -> Sender | None:
    """Who records the request; None: nobody, or a tap of the application's own."""
    sender = _Instrumented.sender
    if sender is None or is_seen(request) or not is_to_claude(request.headers, str(request.url)):
        return None
    return sender


def _sync(method: Any) -> Any:
    def handle_request(self: Any, request: httpx2.Request) -> httpx2.Response:
        sender = _sender_for(request)
        if sender is None:
            return bound(method, self)(request)
        return sender.send(request, bound(method, self))

    return handle_request


def _async(method: Any) -> Any:
    async def handle_async_request(self: Any, request: httpx2.Request) -> httpx2.Response:
        sender = _sender_for(request)
        if sender is None:
            return await bound(method, self)(request)
        return await sender.send_async(request, bound(method, self))

    return handle_async_request
