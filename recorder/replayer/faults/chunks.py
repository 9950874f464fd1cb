"""The same bytes, cut into other chunks: whoever parses chunk by chunk breaks here."""

from __future__ import annotations

import re
from random import Random
from typing import Literal

from recorder.core.wire import Chunk

from ..script import Script, piece
from .place import with_pieces
from .spec import Count, fault

_INSIDE = {
    "utf8": re.compile(rb"[\x80-\xff](?=[\x80-\xbf])"),
    "data": re.compile(rb"da(?=ta:)"),
    "crlf": re.compile(rb"\r(?=\n)"),
}


@fault
def rechunk(script: Script, random: Random, *, size: Count, up_to: Count | None = None) -> Script:
    """Chunks of `size` bytes, or of `size` to `up_to` of them, drawn. Each comes when its last byte did."""
    ends: list[int] = []
    total, end = len(script.body()), 0
    while end < total:
        end += random.randint(size, max(size, up_to or 0))
        ends.append(min(end, total))
    return _cut(script, ends)


@fault
def cut_inside(script: Script, _: Random, *, what: Literal["utf8", "data", "crlf"]) -> Script:
    """Chunks also end inside every UTF-8 sequence, every `data:`, or every CRLF."""
    body, ends, end = script.body(), list[int](), 0
    for chunk in script.pieces:
        end += len(chunk.data)
        ends.append(end)
    inside = [found.end() for found in _INSIDE[what].finditer(body)]
    return _cut(script, sorted({*ends, *inside})) if inside else script


@fault
def merge(script: Script, _: Random) -> Script:
    """The whole body in one chunk, when its last byte came."""
    return _cut(script, [len(script.body())]) if len(script.pieces) > 1 else script


def _cut(script: Script, ends: list[int]) -> Script:
    if not ends or not script.pieces:
        return script
    body = script.body()
    pieces: list[Chunk] = []
    source = iter(script.pieces)
    chunk = next(source)
    start, reached = 0, len(chunk.data)
    for end in ends:
        while reached < end:
            chunk = next(source)
            reached += len(chunk.data)
        pieces.append(piece(chunk.at, body[start:end]))
        start = end
    return with_pieces(script, pieces) if tuple(pieces) != script.pieces else script
