from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli import recordings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """One stream of every kind."""
    return recordings.write(tmp_path / "all.jsonl", *recordings.every_kind())


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return recordings.write(tmp_path / "text.jsonl", recordings.text(tags={"feature": "chat"}))
