from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.report.browser import CHROMIUM, chromium


@pytest.fixture(scope="session")
def _chromium() -> Iterator[tuple[Any, Any]]:
    """The browser, and the event loop that it leaves running in this thread, where other tests run theirs."""
    if CHROMIUM is None:
        pytest.skip("needs chromium, the package of that name")
    with chromium() as one:
        loop = asyncio.get_running_loop()
        asyncio._set_running_loop(None)
        yield one, loop
        asyncio._set_running_loop(loop)


@pytest.fixture
def browser(_chromium: tuple[Any, Any]) -> Iterator[Any]:
    """A browser; its loop runs during the test alone."""
    one, loop = _chromium
    asyncio._set_running_loop(loop)
    yield one
    asyncio._set_running_loop(None)
