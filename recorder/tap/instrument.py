"""Every client of the process recorded, made before or after, without a change to the program.

The seam is the transport: httpx2's two for the network, and the SDK's aiohttp one, at their public methods. Below
everything else, so it sees Bedrock's and Vertex's requests as they are sent, changes nothing of the SDK's own
behaviour (any middleware changes one thing), and lies apart from what other instrumentation wraps. A tap of the
application's own, on the client or as a transport, stands above it and is the one that records.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import httpx2

from recorder.core.fingerprint import is_to_claude
from recorder.patching import Real, TransportPatches

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
        _patches.apply()
        return tap


def uninstrument() -> None:
    """The opposite: what was replaced is as it was, and the tap is closed. Does nothing when there is none."""
    with _lock:
        tap, _Instrumented.tap, _Instrumented.sender = _Instrumented.tap, None, None
        _patches.undo()
    if tap is not None:
        tap.close()


def _again(tap: Tap, path: str | os.PathLike[str] | None) -> Tap:
    if path is not None and Path(path).absolute() != tap.path:
        raise RuntimeError(f"this process is recorded to {tap.path} already; call recorder.uninstrument() first")
    return tap


def _sender_for(request: httpx2.Request) -> Sender | None:
    """Who records the request; None: nobody, or a tap of the application's own."""
    sender = _Instrumented.sender
    if sender is None or is_seen(request) or not is_to_claude(request.headers, str(request.url)):
        return None
    return sender


def _send(_: object, request: httpx2.Request, real: Real) -> httpx2.Response:
    sender = _sender_for(request)
    return real(request) if sender is None else sender.send(request, real)


async def _send_async(_: object, request: httpx2.Request, real: Real) -> httpx2.Response:
    sender = _sender_for(request)
    return await (real(request) if sender is None else sender.send_async(request, real))


_patches = TransportPatches(_send, _send_async)
