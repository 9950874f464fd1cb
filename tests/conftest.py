from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.report.browser import CHROMIUM, chromium

# How long an example takes says how busy the machine is, and nothing of what is tested.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")


class LoopAtRest:
    """The event loop that a browser leaves running in this thread, where other tests run theirs: taken away between
    the tests that use it, with its hooks, or it keeps every generator that another test leaves open."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.hooks = sys.get_asyncgen_hooks()
        self.rest()

    def rest(self) -> None:
        asyncio._set_running_loop(None)
        sys.set_asyncgen_hooks(None, None)

    def run(self) -> None:
        asyncio._set_running_loop(self.loop)
        sys.set_asyncgen_hooks(*self.hooks)


@pytest.fixture(scope="session")
def _chromium() -> Iterator[tuple[Any, LoopAtRest]]:
    if CHROMIUM is None:
        pytest.skip("needs chromium, the package of that name")
    with chromium() as one:
        loop = LoopAtRest()
        yield one, loop
        loop.run()


@pytest.fixture
def browser(_chromium: tuple[Any, LoopAtRest]) -> Iterator[Any]:
    """A browser; its loop runs during the test alone."""
    one, loop = _chromium
    loop.run()
    yield one
    loop.rest()
