from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.report.browser import CHROMIUM, chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("needs chromium, the package of that name")
    with chromium() as one:
        yield one
