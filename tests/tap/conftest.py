from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tap.ahead import readers, until
from tests.tap.calls import OPEN


@pytest.fixture(autouse=True)
def close_clients() -> Iterator[None]:
    """What `calls.client` has made."""
    yield
    while OPEN:
        OPEN.pop().close()


@pytest.fixture
def no_reader_is_left() -> Iterator[None]:
    yield
    until(lambda: not readers(), "a reader's thread is left")
