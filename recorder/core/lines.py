"""Records to lines and back. A line is UTF-8 JSON that ends with one line feed and holds no other line end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from .records import Bytes, End, Event, Footer, Gap, Header, Record, Request, Response, Unknown

KINDS = frozenset({"header", "request", "response", "event", "bytes", "gap", "end", "footer"})

_encoder = msgspec.json.Encoder()
_encode, _encode_lines = _encoder.encode, _encoder.encode_lines
_decode = msgspec.json.Decoder(Header | Request | Response | Event | Bytes | Gap | End | Footer).decode
_LINE_ENDS = (
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
    (b"\xc2\x85", b"\\u0085"),
)
"""Beyond what JSON escapes: characters at which some readers end a line (`str.splitlines`, old JavaScript)."""


class _Peek(msgspec.Struct):
    kind: str
    stream: str | None = None


_peek = msgspec.json.Decoder(_Peek).decode


def encode_line(record: Record) -> bytes:
    """One line of the log."""
    try:
        line = _encode(record)
    except UnicodeEncodeError:  # half a surrogate pair, in a tag, an id or a message
        line = _encode(encodable(record))
    return _one_line_each(line) + b"\n"


def encode_lines(records: Sequence[Record]) -> bytes:
    """The lines of several records: `encode_line` of each, in a quarter of its time."""
    try:
        return _one_line_each(_encode_lines(records))
    except UnicodeEncodeError:
        return b"".join(map(encode_line, records))


def _one_line_each(encoded: bytes) -> bytes:
    """Escape what only some readers take for the end of a line.

    It is only in strings of ours: payloads with these characters are never copied verbatim (payload.py).
    """
    if not encoded.isascii():
        for mark, escape in _LINE_ENDS:
            if mark in encoded:
                encoded = encoded.replace(mark, escape)
    return encoded


def encodable(value: Any) -> Any:
    """`value` with half surrogate pairs replaced by their escapes, in every string in it."""
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode("utf-8")
        case msgspec.Struct():
            fields = {name: encodable(getattr(value, name)) for name in value.__struct_fields__}
            return msgspec.structs.replace(value, **fields)
        case dict():
            items = cast("dict[Any, Any]", value).items()
            return {encodable(key): encodable(item) for key, item in items}
        case list() | tuple():
            return [encodable(item) for item in cast("list[Any]", value)]
        case _:
            return value


def decode_line(line: bytes) -> Record | Unknown:
    """The record of one line; `Unknown` for a kind that is not ours.

    Raises `msgspec.MsgspecError` or `UnicodeDecodeError` for a line that is not a record at all.
    """
    try:
        return _decode(line)
    except msgspec.ValidationError:
        peek = _peek(line)
        if peek.kind in KINDS:
            raise
        return Unknown(kind=peek.kind, stream=peek.stream, line=line)
