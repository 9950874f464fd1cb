"""Recorded text made fit to be looked at. It comes from models and servers, so it is not to be trusted."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import cast

from recorder.core.visible import CONTROLS
from recorder.core.visible import visible as visible

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOTHING = "-"
"""How a value that is not there is shown."""


def escape_json(document: str, *, everything: bool) -> str:
    """A JSON document with its lone surrogates escaped; with `everything`, all that `visible` escapes."""

    def escaped(found: re.Match[str]) -> str:
        code = ord(found[0])
        raw = code in (0x09, 0x0A, 0x0D) or not (everything or 0xD800 <= code < 0xE000)
        return found[0] if raw else f"\\u{code:04x}"

    return CONTROLS.sub(escaped, document)


def width(text: str) -> int:
    """How many columns of a terminal `text` takes."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.combining(character) or character in "\u200b\u200d\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shorten(text: str, limit: int) -> str:
    """One visible line of at most `limit` columns."""
    line = visible(text[: limit + 1])
    if width(line) <= limit and len(text) <= limit + 1:
        return line
    kept, taken = 0, 0
    while kept < len(line) and taken + _width(line[kept]) < limit:
        taken += _width(line[kept])
        kept += 1
    return line[:kept] + "…"


def seconds(value: object) -> str:
    """Seconds to the millisecond."""
    return NOTHING if value is None else f"{value:.3f}" if isinstance(value, int | float) else str(value)


def number(value: object) -> str:
    """A number to six significant digits, or whatever it is."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return plain(value)


def plain(value: object) -> str:
    """Any value on one line."""
    match value:
        case None:
            return NOTHING
        case bool():
            return "true" if value else "false"
        case dict():
            items = cast("dict[object, object]", value).items()
            return " ".join(f"{name}={item}" for name, item in items) or NOTHING
        case _:
            return str(value)


def utc(wall: int) -> str:
    """Unix time in ns as ISO 8601, to the millisecond; as it stands when it is no time."""
    try:
        moment = _EPOCH + timedelta(microseconds=wall // 1000)
    except OverflowError:
        return str(wall)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def count(number: int, noun: str) -> str:
    """`1 stream`, `2 streams`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
