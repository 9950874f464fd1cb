"""What the payload of one event says, and whether it may stand in a line of the log as it is.

A payload is copied into its line verbatim, so it must be JSON that the strictest reader of the line takes:
one line, UTF-8, no lone surrogate escape, no duplicate key, no number beyond 64 bits, no NaN, not nested
deeply. Whatever fails is kept as text instead, byte for byte.

Nearly every event of a stream is a `content_block_delta` of three shapes. These are decoded by typed Structs
that refuse unknown fields: then the number of colons outside the text is the number of members, which rules
out duplicate keys in a tenth of the time that a parse which remembers keys takes. All else goes the slow way.
"""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any, cast

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

MAX_DEPTH = 64
"""Deepest nesting copied as JSON. DuckDB and jq take more (jq stops at 256), recursive readers may not."""
_Index = Annotated[int, Meta(ge=0, lt=2**31)]
_BREAKS = (b"\xe2\x80\xa8", b"\xe2\x80\xa9", b"\xc2\x85")
"""U+2028, U+2029 and U+0085: line ends to `str.splitlines`, JavaScript before 2019 and others."""


class Payload(Struct, frozen=True, gc=False):
    """What one event says. `strict`: may be copied into a line as JSON. `value`: decoded, for control events."""

    strict: bool
    block: int | None = None
    delta: str | None = None
    chars: int | None = None
    value: dict[str, Any] | None = None
    text: str | None = None
    """Of a usual delta, its output: but for `padding` all that anybody could choose."""
    padding: str | None = None


class _Text(Struct, tag="text_delta", tag_field="type", forbid_unknown_fields=True):
    text: str


class _Thinking(Struct, tag="thinking_delta", tag_field="type", forbid_unknown_fields=True):
    thinking: str


class _InputJSON(Struct, tag="input_json_delta", tag_field="type", forbid_unknown_fields=True):
    partial_json: str


class _BlockDelta(Struct, tag="content_block_delta", tag_field="type", forbid_unknown_fields=True):
    index: _Index
    delta: _Text | _Thinking | _InputJSON
    p: str | UnsetType = UNSET
    """Random padding that the API adds against guessing text from packet sizes."""


match_usual_delta = re.compile(
    rb'event: content_block_delta\ndata: (\{"type":"content_block_delta","index":([0-9]|[1-9][0-9]{1,8}),"delta":'
    rb'\{"type":"(text_delta","text|thinking_delta","thinking|input_json_delta","partial_json)":'
    rb'"([^"\\\x00-\x1f]*+(?:\\["\\/bfnrt][^"\\\x00-\x1f]*+)*+)"\} *+\})\n\n'
).match
"""A whole event as the API spells nearly all of them: payload, block, type, text as it is escaped.

Strict by its shape: known members, so that none is there twice, no escape by number, no control character.
`usual_text` says whether it is UTF-8, too.
"""
USUAL_TYPES = {
    b'text_delta","text': "text_delta",
    b'thinking_delta","thinking': "thinking_delta",
    b'input_json_delta","partial_json': "input_json_delta",
}


def usual_text(text: bytes) -> str | None:
    """What the text of a usual delta says. None: its payload may not stand in a line as it is."""
    if b"\\" in text:
        try:
            said = _decode_text(b'"%b"' % text)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
    else:
        try:
            said = text.decode("utf-8")
        except UnicodeDecodeError:
            return None
    return None if not text.isascii() and _breaks(text) else said


_decode_text = msgspec.json.Decoder(str).decode
_decode_delta = msgspec.json.Decoder(_BlockDelta).decode
_decode_any = msgspec.json.Decoder().decode


def read(event: str | None, payload: bytes) -> Payload:
    """Read the payload of an event named `event`. Never raises: what cannot be read is not strict."""
    if event == "content_block_delta" and payload[:1] == b"{" and payload[-1:] == b"}":
        try:
            said = _decode_delta(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return _read_slowly(payload)
        delta = said.delta
        if type(delta) is _Text:
            name, text = "text_delta", delta.text
        elif type(delta) is _InputJSON:
            name, text = "input_json_delta", delta.partial_json
        else:
            name, text = "thinking_delta", cast("_Thinking", delta).thinking
        colons = payload.count(b":") - text.count(":")
        if said.p is not UNSET:
            colons -= 1 + said.p.count(":")
        # \u003a is a colon that the count does not see; a line feed comes from two data lines
        if (
            colons == 5
            and b"\\u003" not in payload
            and b"\n" not in payload
            and (payload.isascii() or not _breaks(payload))
        ):
            return Payload(True, said.index, name, len(text), None, text, None if said.p is UNSET else said.p)
    return _read_slowly(payload)


def _breaks(payload: bytes) -> bool:
    return any(mark in payload for mark in _BREAKS)


def is_strict(payload: bytes) -> bool:
    """True when every JSON reader we know takes `payload` as the value of a member, on one line."""
    return _load_strictly(payload) is not _REFUSED


def lenient(payload: bytes) -> Any:
    """The payload as the SDK reads it (`json.loads`), or None."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None


def as_object(value: object) -> dict[str, Any] | None:
    """`value` when it is a JSON object."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _read_slowly(payload: bytes) -> Payload:
    value = _load_strictly(payload)
    strict = value is not _REFUSED
    if not strict:
        value = lenient(payload)
    said = as_object(value)
    if said is None:
        return Payload(strict)
    index = said.get("index")
    block = index if isinstance(index, int) and not isinstance(index, bool) and 0 <= index < 2**31 else None
    starts = said.get("type") == "content_block_start"
    part = as_object(said.get("content_block" if starts else "delta"))
    if part is None or block is None:
        return Payload(strict, block, None, None, said)
    kind = part.get("type")
    chars = _chars_of_start(part) if starts else _chars_of_delta(part)
    return Payload(strict, block, kind if isinstance(kind, str) else None, chars, said)


def _chars_of_delta(delta: dict[str, Any]) -> int:
    """Code points of output in a delta: every string in it but the types. A signature is not output."""
    return 0 if delta.get("type") == "signature_delta" else _chars(delta)


def _chars(value: object) -> int:
    match value:
        case str():
            return len(value)
        case dict():
            items = cast("dict[str, object]", value)
            return sum(_chars(item) for key, item in items.items() if key != "type")
        case list():
            return sum(map(_chars, cast("list[object]", value)))
        case _:
            return 0


def _chars_of_start(block: dict[str, Any]) -> int:
    """Code points of a block that arrives whole in its start: text as it is, structures as JSON."""
    total = 0
    for key in ("text", "thinking", "data"):
        value = block.get(key)
        total += len(value) if isinstance(value, str) else 0
    for key in ("input", "content"):
        value = block.get(key)
        if value:
            total += len(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    return total


_REFUSED = object()


class _Refused(Exception):
    """The payload is JSON that some reader would not take."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Refused
    return members


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= (value := int(digits)) < 2**63:
        raise _Refused
    return value


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _Refused
    return value


def _constant(name: str) -> float:
    raise _Refused(name)


_strict = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


def _load_strictly(payload: bytes) -> Any:
    """The decoded payload, or `_REFUSED`."""
    if payload != payload.strip(b" \t") or b"\n" in payload or b"\r" in payload:
        return _REFUSED
    if _breaks(payload):
        return _REFUSED
    try:
        _decode_any(payload)  # refuses lone surrogates, which `json` takes
        value = _strict.decode(payload.decode("utf-8"))
    except (ValueError, RecursionError, _Refused):
        return _REFUSED
    return value if _depth(value) <= MAX_DEPTH else _REFUSED


def _depth(value: object) -> int:
    deepest, level = 0, [value]
    while level:
        deeper: list[object] = []
        for item in level:
            if isinstance(item, dict):
                deeper.extend(cast("dict[str, object]", item).values())
            elif isinstance(item, list):
                deeper.extend(cast("list[object]", item))
        level = deeper
        deepest += 1
    return deepest
