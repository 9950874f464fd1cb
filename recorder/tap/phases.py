"""When the connection was made, the request sent and the headers received, as the HTTP client itself tells it.

httpcore2 calls what it finds in the request extension `trace` at the beginning and the end of each step. SDK
middleware does not see the HTTP request, so two event hooks on the HTTP client pass the tap's attempts on to
it: `recording()` says which attempts the current thread or task is in, and without any the hooks do nothing.
A client without such steps (another transport, aiohttp) gives none: then nothing is said about them. Nothing
here is called per chunk.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import httpx2

from recorder.core.records import Phases

_PHASES = {
    "connect_tcp": "connect",
    "connect_unix_socket": "connect",
    "start_tls": "tls",
    "setup_socks5_connection": "tunnel",
    "send_request_headers": "send",
    "send_request_body": "send",
    "receive_response_headers": "headers",
}


_TELLING = (httpx2.HTTPTransport, httpx2.AsyncHTTPTransport)


@lru_cache(64)
def _step_of(event: str) -> tuple[str, str, str] | None:
    """(phase, step, state) of `http11.send_request_headers.started`; None for a step of no phase."""
    _, step, state = event.split(".")
    return (_PHASES[step], step, state) if step in _PHASES else None


class Connection:
    """What the HTTP client said about one attempt. Times in ns since `sent` on `clock`."""

    __slots__ = ("_clock", "_in_tunnel", "_request", "_sent", "_spans", "answered", "before_waiting", "waits")

    def __init__(self, clock: Callable[[], int], sent: int) -> None:
        self._clock = clock
        self._sent = sent
        self._spans: dict[str, list[int]] = {}
        self._in_tunnel = False
        self._request: weakref.ref[httpx2.Request] | None = None
        self.answered: int | None = None
        """When its response's headers had come."""
        self.before_waiting: Callable[[], None] | None = None
        """What is to be done as soon as the application has to wait anyway."""
        self.waits = False
        """It has to: for a connection, or for the response to what was sent."""

    def begin(self, request: httpx2.Request) -> None:
        """A request is about to be sent: what was said of one before is no longer of interest."""
        self._request = weakref.ref(request)  # which has us in its extensions: no cycle
        self.answered = None
        self._spans = {}
        self._in_tunnel = False

    def note(self, event: str, info: Mapping[str, Any]) -> None:
        """A step, such as `http11.send_request_headers.started`; failed ones end as well."""
        known = _step_of(event)
        if known is None:
            return
        phase, step, state = known
        now = self._clock() - self._sent
        if state == "started":
            self._started(phase, step, now, info)
        elif self._in_tunnel and phase != "tls":
            self._spans["tunnel"][1] = now
        elif phase in self._spans:
            self._spans[phase][1] = now
            if phase == "headers" and state == "complete":
                self.answered = now

    def _started(self, phase: str, step: str, now: int, info: Mapping[str, Any]) -> None:
        spans = self._spans
        self.waits = phase in ("connect", "headers")
        if step == "send_request_headers":
            self._in_tunnel = getattr(info.get("request"), "method", None) == b"CONNECT"
            if self._in_tunnel:  # what TLS there was is the proxy's own
                spans["tunnel"] = [spans.pop("tls", [now])[0], now]
                return
        elif self._in_tunnel and phase == "tls":
            self._in_tunnel = False
        elif phase == "connect" and "send" in spans:  # again, on another connection: the first was closed
            spans.clear()
        if not self._in_tunnel:
            spans.setdefault(phase, [now, now])

    def answer(self, request: httpx2.Request) -> None:
        """The headers of the response to `request` are here; from a client that does not tell it itself."""
        if self.answered is None and self.is_of(request):
            self.answered = self._clock() - self._sent

    def is_of(self, request: httpx2.Request) -> bool:
        """It is the last request of the attempt. (A redirect, or an inner middleware, sends several.)"""
        return self._request is not None and self._request() is request

    def phases(self) -> Phases | None:
        """None: nothing is known."""
        spans = {phase: (start, stop) for phase, (start, stop) in self._spans.items()}
        return Phases(**spans) if spans else None

    def reused(self) -> bool | None:
        """Whether the request went out on a connection that was there. None: not known."""
        return "connect" not in self._spans if "send" in self._spans else None


class _Trace:
    """The request extension: what httpcore2 says goes to the attempts, then to whoever was there before us."""

    def __init__(self, connections: tuple[Connection, ...], theirs: Callable[..., Any]) -> None:
        self.connections = connections
        self.theirs = theirs

    def __call__(self, event: str, info: Mapping[str, Any]) -> Any:
        for connection in self.connections:
            with suppress(Exception):  # another httpcore2 than we know: its steps are not recorded
                connection.note(event, info)
            if connection.waits and connection.before_waiting is not None:
                connection.before_waiting()
        return self.theirs(event, info)


_current: ContextVar[tuple[Connection, ...]] = ContextVar("recorder_connections", default=())
_installing = threading.Lock()


class recording:  # noqa: N801 - used as a function
    """The requests sent inside, in this thread or task, belong to the attempt; two taps may see the same ones."""

    __slots__ = ("_connection", "_token")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._token = _current.set((*_current.get(), self._connection))

    def __exit__(self, *_: object) -> None:
        with suppress(ValueError):  # a coroutine that is closed in another context than it ran in
            _current.reset(self._token)


def is_seen(request: httpx2.Request) -> bool:
    """A tap stands above: whether it records the request, or leaves it out of its sample, is its own to say."""
    return bool(_current.get()) or isinstance(request.extensions.get("trace"), _Trace)


@contextmanager
def traced(request: httpx2.Request, connection: Connection, *, is_async: bool) -> Generator[None]:
    """What happens to `request` inside belongs to the attempt; afterwards the request is as it was."""
    extensions = request.extensions
    connection.begin(request)
    _trace(request, (connection,), _nothing_async if is_async else _nothing)
    try:
        yield
    finally:
        request.extensions = extensions


def install(client: object) -> bool:
    """Have the HTTP client, if it is one, tell the attempts that are being recorded; once, however often called.

    True: its transport is one that tells each step. Ours see a request after the user's hooks, which may set a
    `trace`, and a response before them, as they may read it. The lists are replaced, because another thread may
    be going through the old ones.
    """
    if isinstance(client, httpx2.Client):
        request_hook, response_hook = _on_request, _on_response
    elif isinstance(client, httpx2.AsyncClient):
        request_hook, response_hook = _on_request_async, _on_response_async
    else:
        return False
    hooks = client.event_hooks
    if request_hook not in hooks["request"] or response_hook not in hooks["response"]:
        with _installing:
            if request_hook not in hooks["request"]:
                hooks["request"] = [*hooks["request"], request_hook]
            if response_hook not in hooks["response"]:
                hooks["response"] = [response_hook, *hooks["response"]]
    return type(getattr(client, "_transport", None)) in _TELLING


def _trace(request: httpx2.Request, connections: tuple[Connection, ...], nothing: Callable[..., Any]) -> None:
    theirs = request.extensions.get("trace")
    if isinstance(theirs, _Trace) and theirs.connections == connections:  # a redirect, or an answer to a 401
        theirs = theirs.theirs
    request.extensions = {**request.extensions, "trace": _Trace(connections, theirs or nothing)}


def _nothing(event: str, info: Mapping[str, Any]) -> None:
    pass


async def _nothing_async(event: str, info: Mapping[str, Any]) -> None:
    pass


def _send(request: httpx2.Request, nothing: Callable[[str, Mapping[str, Any]], Awaitable[None] | None]) -> None:
    if connections := _current.get():
        for connection in connections:
            connection.begin(request)
        _trace(request, connections, nothing)


def _on_request(request: httpx2.Request) -> None:
    _send(request, _nothing)


async def _on_request_async(request: httpx2.Request) -> None:
    _send(request, _nothing_async)


def _on_response(response: httpx2.Response) -> None:
    for connection in _current.get():
        connection.answer(response.request)


async def _on_response_async(response: httpx2.Response) -> None:
    _on_response(response)
