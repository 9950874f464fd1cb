"""Real streams to test with. They lie outside the repository, where the variable RECORDER_CORPUS says."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_PATH = os.environ.get("RECORDER_CORPUS", "")
marker = pytest.mark.skipif(not _PATH, reason="needs RECORDER_CORPUS, the directory of recorded streams")


@dataclass(frozen=True)
class CorpusStream:
    """The body of one streamed response."""

    file: str
    body: bytes
    chunks: list[bytes] | None
    """The body as the network delivered it, where that was recorded."""
    index: dict[str, Any]
    """What INDEX.jsonl says of it."""


@cache
def streams() -> list[CorpusStream]:
    """Every recorded stream; none without a corpus."""
    if not _PATH:
        return []
    lines = (Path(_PATH) / "INDEX.jsonl").read_text(encoding="utf-8").splitlines()
    return [_stream(index) for index in map(json.loads, lines) if index["file"].startswith("streams/")]


@cache
def conformance() -> list[tuple[str, dict[str, Any]]]:
    """(id, case) of every case for SSE parsers; none without a corpus."""
    if not _PATH:
        return []
    suites = sorted((Path(_PATH) / "sse_conformance").glob("*.json"))
    return [
        (case["id"], case) for suite in suites for case in json.loads(suite.read_text(encoding="utf-8"))["cases"]
    ]


def _stream(index: dict[str, Any]) -> CorpusStream:
    path = Path(_PATH) / index["file"]
    body = path.read_bytes()
    boundaries = path.with_suffix(".chunks.json")
    chunks = None
    if boundaries.exists():
        spans = json.loads(boundaries.read_text(encoding="utf-8"))["chunks"]
        chunks = [body[start : start + length] for start, length in spans]
    return CorpusStream(index["file"], body, chunks, index)
