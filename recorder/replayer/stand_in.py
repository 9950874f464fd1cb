"""Standing in for the network: the transports of httpx2, and the SDK's aiohttp one, at their public methods.

So a client made long before is answered as well, and a transport of one's own that wraps one of them still
runs. Who answers is told by the context: two tests in two threads or tasks do not see each other.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

import httpx2
from anthropic._base_client import BaseClient

from recorder.core.fingerprint import is_to_claude
from recorder.patching import Patch, Real, TransportPatches, bound

from .errors import NoMatch, NothingIntercepted


class RealTransport(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """The transport that was stood in for, as it was. `key` is the same for each request through it."""

    def __init__(self, key: object, send: Real) -> None:
        self.key = key
        self._send = send

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self._send(request)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer: Awaitable[httpx2.Response] = self._send(request)
        return await answer


class Answerer(ABC):
    """What answers instead of the network, inside a `with` block; `name` stands in front of its messages."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.clients = 0
        """Clients of the SDK that were made inside."""
        self.requests: int = 0
        """Requests that it was asked to answer."""

    def __enter__(self) -> Self:
        enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        leave(self)
        if error is None and self.clients and not self.requests:
            raise NothingIntercepted(
                f"{self.name}: {self.clients} client(s) were made, and no request came through; "
                "do they use a transport of their own, or another thread?"
            )

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def answers(self, request: httpx2.Request) -> bool:
        """True for a request to Claude: it says so, or its path does. Others pass to the network."""
        return is_to_claude(request.headers, str(request.url))

    @abstractmethod
    def handle(self, request: httpx2.Request, real: RealTransport, /) -> httpx2.Response:
        """The answer; `real` is the way to the network."""

    @abstractmethod
    async def handle_async(self, request: httpx2.Request, real: RealTransport, /) -> httpx2.Response:
        """The same for async clients."""


_entered: ContextVar[tuple[Answerer, ...]] = ContextVar("recorder_answerers", default=())
"""Those that this thread or task is in, innermost last."""
_lock = threading.Lock()
_active: list[Answerer] = []
"""Those that any thread or task is in."""


def enter(answerer: Answerer) -> None:
    """From here on `answerer` answers what this thread or task sends."""
    _entered.set((*_entered.get(), answerer))
    with _lock:
        _active.append(answerer)
        if len(_active) > 1:
            return
        _patches.apply()


def leave(answerer: Answerer) -> None:
    """The opposite of `enter`."""
    with _lock:
        _active.remove(answerer)
        if not _active:
            _patches.undo()
    # Not by a token: a fixture may be left in another context than it was entered in.
    _entered.set(tuple(one for one in _entered.get() if one is not answerer))


def _innermost() -> Answerer | None:
    """The one that this thread or task is in."""
    return next((one for one in reversed(_entered.get()) if one in _active), None)


def _answerer_of(request: httpx2.Request) -> Answerer | None:
    """Who answers: its context's; in a thread without one, the only one that would."""
    if (own := _innermost()) is not None:
        return own if own.answers(request) else None
    candidates = {id(one): one for one in _active if one.answers(request)}
    if len(candidates) > 1:
        raise NoMatch(
            f"{request.method} {request.url}: {len(candidates)} replays are active and this thread is in none of "
            "them; start it with contextvars.copy_context().run",
            kind="ambiguous",
        )
    return next(iter(candidates.values()), None)


def _counting_init(init: Any) -> Any:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - in the place of one
        bound(init, self)(*args, **kwargs)
        own = _innermost() or (_active[0] if len(_active) == 1 else None)
        if own is not None:
            own.clients += 1

    return __init__


def _send(transport: object, request: httpx2.Request, real: Real) -> httpx2.Response:
    answerer = _answerer_of(request)
    return real(request) if answerer is None else answerer.handle(request, RealTransport(transport, real))


async def _send_async(transport: object, request: httpx2.Request, real: Real) -> httpx2.Response:
    answerer = _answerer_of(request)
    if answerer is None:
        return await real(request)
    return await answerer.handle_async(request, RealTransport(transport, real))


_patches = TransportPatches(_send, _send_async, Patch(BaseClient, "__init__", _counting_init))
