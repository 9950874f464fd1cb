"""Secrets in recordings: in each line as it stands, and in the text of each block, which events cut in pieces."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from recorder.core.lines import decode_line
from recorder.core.patterns import find, masked
from recorder.core.payload import as_object, lenient
from recorder.core.records import End, Event
from recorder.core.redact import unescaped
from recorder.core.wire import payload

from .files import open_segment, unreadable
from .reader import MAX_LINE

_PIECES = ("text", "thinking", "partial_json")


class Finding(Struct, frozen=True):
    """A secret, and where: the line (from 1) in which it ends. `excerpt` does not give it away."""

    path: Path
    line: int
    rule: str
    excerpt: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.excerpt}"


class _Block(Struct):
    """The text of one content block so far, and where in it each event ends: (characters, line)."""

    parts: list[str]
    ends: list[tuple[int, int]]


def scan(path: Path, known: Collection[str] = ()) -> Iterator[Finding]:
    """The secrets in one file, line by line; those that several events spell out when their stream ends.

    Every line is looked at, also one that is no record. `known`: values to look for as they are. Raises
    RecordingError when the file cannot be read.
    """
    blocks: dict[tuple[str, int | None], _Block] = {}
    try:
        with open_segment(path) as file:
            number = 0
            while line := file.readline(MAX_LINE):
                number += 1
                yield from _in_line(path, number, line, known)
                if (stream := _take(line, number, blocks)) is not None:
                    yield from _in_blocks(path, blocks, stream, known)
    except OSError as error:
        raise unreadable(path, error) from None
    for stream in dict.fromkeys(stream for stream, _ in blocks):
        yield from _in_blocks(path, blocks, stream, known)


def _in_line(path: Path, number: int, line: bytes, known: Collection[str]) -> Iterator[Finding]:
    text = unescaped(line.decode("utf-8", "replace")).text
    for match in find(text, known):
        yield Finding(path, number, match.rule, masked(text[match.start : match.stop], match.rule))


def _take(line: bytes, number: int, blocks: dict[tuple[str, int | None], _Block]) -> str | None:
    """Note what an event adds to a block; the stream's name when this line ends it."""
    try:
        record = decode_line(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(record, End):
        return record.stream
    if isinstance(record, Event) and (text := _piece(lenient(payload(record)))):
        block = blocks.setdefault((record.stream, record.block), _Block([], []))
        before = block.ends[-1][0] if block.ends else 0
        block.parts.append(text)
        block.ends.append((before + len(text), number))
    return None


def _piece(value: Any) -> str:
    fields = as_object(value) or {}
    delta = as_object(fields.get("delta") or fields.get("content_block")) or fields
    return next((text for name in (*_PIECES, "completion") if isinstance(text := delta.get(name), str)), "")


def _in_blocks(
    path: Path, blocks: dict[tuple[str, int | None], _Block], stream: str, known: Collection[str]
) -> Iterator[Finding]:
    """Secrets in the blocks of a stream that are whole in none of its events."""
    for key in [key for key in blocks if key[0] == stream]:
        block = blocks.pop(key)
        plain = unescaped("".join(block.parts))
        for match in find(plain.text, known):
            start, stop = plain.place(match.start), plain.place(match.stop)
            first = next(n for n, (end, _) in enumerate(block.ends) if end > start)
            last = next(n for n, (end, _) in enumerate(block.ends) if end >= stop)
            if last > first:
                secret = plain.text[match.start : match.stop]
                excerpt = f"{masked(secret, match.rule)}, over {last - first + 1} events"
                yield Finding(path, block.ends[last][1], match.rule, excerpt)
