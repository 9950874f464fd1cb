"""Clients that have middleware, and the one that calls it: the SDK does not tell, what sends for it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from anthropic import MiddlewareInput

Client = TypeVar("Client", bound="_WithMiddleware")
_MAX_LINKS = 100
"""Middlewares of one client that are looked behind."""


class _WithMiddleware(Protocol):
    """Any client of the SDK, sync or async, on any platform."""

    @property
    def middleware(self) -> tuple[MiddlewareInput, ...]: ...

    def with_middleware(self, *middleware: MiddlewareInput) -> Self: ...


def client_behind(call_next: object) -> object:
    """The SDK's client at the end of its chain of middleware, from the closures of the chain.

    None: not found, in an SDK that is made in another way than those we know. `Tap.wrap` could do without;
    `Anthropic(middleware=[tap])` cannot.
    """
    for _ in range(_MAX_LINKS):
        code, cells = getattr(call_next, "__code__", None), getattr(call_next, "__closure__", None)
        if code is None or cells is None:
            return None
        names: tuple[str, ...] = code.co_freevars
        if "call_next" not in names:
            return cells[names.index("self")].cell_contents if "self" in names else None
        call_next = cells[names.index("call_next")].cell_contents
    return None
