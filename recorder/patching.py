"""A method of somebody else's class, replaced and put back, whoever else replaces it meanwhile.

Instrumentation of several makers wraps the same methods, and is taken off in any order. Who puts back what it
found takes off what others put over it since. So a replacement that is covered stays where it is, and has to do
nothing but call on while it is not wanted; put on again, it is found where it was.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from types import FunctionType
from typing import Any, cast
from weakref import WeakKeyDictionary

import httpx2

Real = Callable[[httpx2.Request], Any]
"""A transport's own method, as it was found."""

_MAX_LAYERS = 100
"""Wrappers of one method that are looked behind."""


def bound(method: Any, instance: object) -> Any:
    """`method`, as found in a class, of `instance`: others' wrappers tell by that what their first argument is."""
    return method.__get__(instance, type(instance))


class Patch:
    """`owner.name`, to be replaced by what `make` gives for the method that is there."""

    def __init__(self, owner: type, name: str, make: Callable[[Any], Any]) -> None:
        self._owner = owner
        self._name = name
        self._make = make
        self._theirs: Any = None
        self._ours: Any = None

    def apply(self) -> None:
        """Replace the method, unless ours is what stands there."""
        there = self._owner.__dict__[self._name]
        if self._ours is None or there is not self._ours:
            self._theirs, self._ours = there, self._make(there)
            self._ours.__wrapped__ = there
            _made[self._ours] = self
            setattr(self._owner, self._name, self._ours)

    def undo(self) -> None:
        """Put back what was there; also under what somebody else has put over it, if that tells what it wraps."""
        if self._ours is None:
            return
        there = self._owner.__dict__[self._name]
        if there is self._ours:
            setattr(self._owner, self._name, self._theirs)
        elif (over := _over(there, self._ours)) is not None:
            over.__wrapped__ = self._theirs
            if isinstance(over, FunctionType) and over in _made:
                _made[over]._theirs = self._theirs
        else:
            return
        self._theirs = self._ours = None


_made: WeakKeyDictionary[FunctionType, Patch] = WeakKeyDictionary()
"""The functions that stand somewhere, and whose they are."""


def _over(layer: Any, ours: object) -> Any:
    """What lies directly over ours, from the outermost wrapper on inwards. None: not found."""
    for _ in range(_MAX_LAYERS):
        inner = getattr(layer, "__wrapped__", None)
        if inner is ours or inner is None:
            return layer if inner is ours else None
        layer = inner
    return None


class TransportPatches:
    """The transports that go to the network, at their public methods: httpx2's two, and the SDK's aiohttp one.

    In the place of a sync one `send(transport, request, real)` is called, in that of an async one `send_async`,
    which is awaited. `more` goes on and off with them.
    """

    def __init__(
        self,
        send: Callable[[object, httpx2.Request, Real], httpx2.Response],
        send_async: Callable[[object, httpx2.Request, Real], Awaitable[httpx2.Response]],
        *more: Patch,
    ) -> None:
        def sync(method: Any) -> Any:
            def handle_request(self: Any, request: httpx2.Request) -> httpx2.Response:
                return send(self, request, bound(method, self))

            return handle_request

        def asynchronous(method: Any) -> Any:
            async def handle_async_request(self: Any, request: httpx2.Request) -> httpx2.Response:
                return await send_async(self, request, bound(method, self))

            return handle_async_request

        self._async = asynchronous
        self._aiohttp: Patch | None = None
        self._patches = [
            *more,
            Patch(httpx2.HTTPTransport, "handle_request", sync),
            Patch(httpx2.AsyncHTTPTransport, "handle_async_request", asynchronous),
        ]

    def apply(self) -> None:
        """As `Patch.apply`. The SDK imports its aiohttp transport where aiohttp is installed."""
        aiohttp = sys.modules.get("anthropic._vendor.httpx_aiohttp.transport")
        if aiohttp is not None and self._aiohttp is None:
            owner = cast("Any", aiohttp).AiohttpTransport
            self._aiohttp = Patch(owner, "handle_async_request", self._async)
            self._patches.append(self._aiohttp)
        for patch in self._patches:
            patch.apply()

    def undo(self) -> None:
        for patch in self._patches:
            patch.undo()
