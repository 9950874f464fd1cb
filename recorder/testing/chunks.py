"""Where to cut a body: every way in which a transport may hand over the same bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from random import Random

_CUTS = (
    ("after each event", rb"\r\n\r\n|\n\n|\r\r"),
    ("inside blank lines", rb"\n(?=\r?\n)|\r(?=\r)"),
    ("inside CRLF", rb"\r(?=\n)"),
    ("inside data:", rb"da(?=ta:)"),
    ("inside UTF-8", rb"[\x80-\xff](?=[\x80-\xbf])"),
)


def chunkings(body: bytes, *, seed: int = 0, random: int = 3) -> Iterator[tuple[str, list[bytes]]]:
    """Ways to cut `body` into chunks, as (name, chunks); the chunks are never empty and join to `body`.

    `whole` and `byte by byte`; then after each event, inside each blank line, CRLF, `data:` and UTF-8
    sequence, as far as the body has any; then `random` ways that depend on `seed` and the length alone.
    """
    yield "whole", _cut(body, ())
    yield "byte by byte", _cut(body, range(1, len(body)))
    for name, pattern in _CUTS:
        if cuts := [match.end() for match in re.finditer(pattern, body) if match.end() < len(body)]:
            yield name, _cut(body, cuts)
    places = range(1, len(body))
    for i in range(random):
        numbers = Random(f"{seed}/{i}")  # noqa: S311  (cuts, not secrets)
        count = round(len(places) ** numbers.random())  # log-uniform: few large chunks as often as many small
        yield f"random {seed}/{i}", _cut(body, sorted(numbers.sample(places, count)))


def _cut(body: bytes, places: Iterable[int]) -> list[bytes]:
    return [body[start:end] for start, end in pairwise((0, *places, len(body))) if start < end]
