from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest


@pytest.fixture(autouse=True)
def close_clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each that a test made: one that is dropped with its connections open is a warning in another test."""
    made: list[anthropic.Anthropic] = []
    init = anthropic.Anthropic.__init__

    def note(self: anthropic.Anthropic, *args: Any, **options: Any) -> None:
        init(self, *args, **options)
        made.append(self)

    monkeypatch.setattr(anthropic.Anthropic, "__init__", note)
    yield
    for one in made:
        one.close()
