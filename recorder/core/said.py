"""What an event carries of the model's output, as text for a person."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, cast

from . import wire
from .payload import lenient
from .records import Event

_KINDS = {"text": "text", "text_delta": "text", "thinking": "thinking", "thinking_delta": "thinking"}


class Said(NamedTuple):
    """`kind`: `text`, `thinking` or `other` (tools with their input, and whatever else there is)."""

    kind: str
    block: int | None
    text: str


def said(event: Event) -> Said:
    """What the event adds to its block; no text when it adds nothing that can be read."""
    payload = as_object(lenient(wire.payload(event)))
    index = payload.get("index")
    block = index if isinstance(index, int) else event.block
    match payload.get("type"):
        case "content_block_start":
            started = as_object(payload.get("content_block"))
            return Said(_kind(started), block, block_text(started))
        case "content_block_delta":
            delta = as_object(payload.get("delta"))
            return Said(_kind(delta), block, _delta_text(delta))
        case _:
            return Said("other", block, "")


def _kind(part: dict[str, Any]) -> str:
    return _KINDS.get(str(part.get("type")), "other")


def block_text(block: dict[str, Any]) -> str:
    """A content block; of one that is neither text nor thinking, its type and name in brackets first."""
    kind = block.get("type")
    whole = block.get("text") if kind == "text" else block.get("thinking") if kind == "thinking" else None
    if kind in ("text", "thinking"):
        return whole if isinstance(whole, str) else ""
    name = block.get("name")
    label = f"[{kind} {name}] " if isinstance(name, str) else f"[{kind}] "
    content = block.get("input") or block.get("content")
    return label + (json.dumps(content, ensure_ascii=False) if content else "")


def _delta_text(delta: dict[str, Any]) -> str:
    """The strings of a delta, whatever its type: a new one is shown too. A signature is nothing to read."""
    if delta.get("type") == "signature_delta":
        return ""
    return "".join(value for name, value in delta.items() if name != "type" and isinstance(value, str))


def as_object(value: object) -> dict[str, Any]:
    """`value`, or an empty object when it is none."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
