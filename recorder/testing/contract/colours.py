"""One piece of code for three kinds of client: sync, and async on asyncio and on trio."""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import anyio

COLOURS = ("sync", "asyncio", "trio")


def run(colour: str, use: Callable[[], Awaitable[Any]]) -> Any:
    """What `use` returns. A sync client never suspends: its coroutine runs without an event loop, also where this
    thread has one that is at rest, which would keep what a generator left open until it runs again."""
    if colour != "sync":
        return anyio.run(use, backend=colour)
    coroutine: Any = use()
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    finally:
        sys.set_asyncgen_hooks(*hooks)
    raise AssertionError("a sync client suspended")


def new_client(colour: str, url: str, **options: Any) -> Any:
    """The SDK's client for `url`, without retries unless `options` say otherwise."""
    kind: Any = anthropic.Anthropic if colour == "sync" else anthropic.AsyncAnthropic
    return kind(base_url=url, **{"api_key": "sk-ant-test-abcdefghijkl", "max_retries": 0, **options})


async def got(value: Any) -> Any:
    """`value`, awaited when it is to be."""
    return await value if inspect.isawaitable(value) else value


async def each(values: Any) -> AsyncIterator[Any]:
    """The items of a sync or async iterable, or of one to be awaited."""
    values = await got(values)
    if hasattr(values, "__aiter__"):
        async for value in values:
            yield value
    else:
        for value in values:
            yield value


async def all_of(values: Any) -> list[Any]:
    return [value async for value in each(values)]


@asynccontextmanager
async def within(manager: Any) -> AsyncGenerator[Any]:
    """`with` or `async with`."""
    if hasattr(manager, "__aenter__"):
        async with manager as entered:
            yield entered
    else:
        with manager as entered:
            yield entered
