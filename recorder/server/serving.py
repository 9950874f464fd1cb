"""What the commands call: a proxy or a player, served until a signal comes, or for as long as a program runs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from recorder.child import environment_for

from .app import Answerer, Server, allow_many_files
from .journal import Journal, Streams
from .proxy import Proxy, ProxyTap
from .run import run
from .upstream import Pool, origin_of

UPSTREAM = "https://api.anthropic.com"
PLACEHOLDER_KEY = "replayed-no-key-needed"
GRACE_S = 30.0
_LEFT_S = 5.0
"""For what a program leaves behind in the background, once it has ended itself."""


class Recording(NamedTuple):
    """A record proxy, and what it says of the streams it records."""

    proxy: Proxy
    streams: Streams
    tap: ProxyTap


class Ran(NamedTuple):
    """How a program ended, and what was asked of its server."""

    status: int
    journal: Journal
    url: str


def record_to(path: str | os.PathLike[str], upstream: str, **options: Any) -> Recording:
    """A record proxy; `options` are those of `ProxyTap`. Raises ValueError for an upstream that is none, and
    RecordingError for a path that cannot be written to."""
    pool, streams = Pool(origin_of(upstream)), Streams()
    tap = ProxyTap(path, observe=streams.take, **options)
    return Recording(Proxy(tap, pool, streams), streams, tap)


def serve(
    answerer: Answerer,
    *,
    host: str,
    port: int,
    token: str | None,
    ready: Callable[[str], None],
    grace_s: float = GRACE_S,
) -> Journal:
    """Serve until SIGTERM or SIGINT; `ready` is told the URL. What is being answered then may go on for `grace_s`
    seconds, or until the next signal.

    Raises ValueError for a host that others can reach without a token, and OSError.
    """
    return asyncio.run(_serve(Server(answerer, token=token), host, port, ready, grace_s))


def run_beside(answerer: Answerer, command: Sequence[str], *, placeholder: bool = False) -> Ran:
    """Run a program that finds `answerer` at ANTHROPIC_BASE_URL, on a free port of the loopback.

    `placeholder`: with a key that is none, if it has none. Raises CannotRun, and OSError.
    """
    return asyncio.run(_run_beside(answerer, command, os.environ, placeholder))


async def _serve(server: Server, host: str, port: int, ready: Callable[[str], None], grace_s: float) -> Journal:
    stop = asyncio.Event()

    def stopped() -> None:
        server.hurry() if stop.is_set() else stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        if sys.platform != "win32":
            asyncio.get_running_loop().add_signal_handler(number, stopped)
    allow_many_files()
    try:
        ready(await server.listen(host, port))
        await stop.wait()
    finally:
        await server.close(grace_s)
    return server.journal


async def _run_beside(
    answerer: Answerer, command: Sequence[str], environment: Mapping[str, str], placeholder: bool
) -> Ran:
    server = Server(answerer)
    url = await server.listen("127.0.0.1", 0)
    seen = environment_for(environment, url, placeholder=PLACEHOLDER_KEY if placeholder else None)
    try:
        status = await run(command, seen, started=allow_many_files)
    finally:
        await server.close(_LEFT_S)
    return Ran(status, server.journal, url)
