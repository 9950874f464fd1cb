"""Secrets in the events of one stream, also those that a model spells out over several events of one block.

An event is never held back until it is clear what follows it. Instead, each block has its last characters
remembered; a secret is known for one when `SHORTEST` characters of it have come, from there on nothing more of
it is written. So of a secret that is split at most its first seven characters reach the disk (a constant such
as `sk-ant-` mostly), and text that only begins like a secret loses what ended an event.

Nearly every event is a delta whose only free text is one string: `suspects` looks at that alone, together with
the characters before it. It is on the path of every event.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from .aws import with_payload
from .payload import Payload, as_object, lenient, read
from .redact import HALF_ESCAPE, SHORTEST, Secrets, replaced, unescaped
from .sse import Block, respelt, usual_frame

API_KEY = "api_key"
"""The name of the rule, in `redacted`."""
_HIDING = re.compile(r"\\u00[2-7]")
"""The escape of a character that keys are made of. (Of others, `\\u00e9` say, prose may be full.)"""
_TAIL = SHORTEST - 1 + len("\\u00a")
"""Characters remembered of a block: as many as may begin a secret unnoticed, and half an escape."""
_UNFINISHED = re.compile(rb'"(?:text|thinking|partial_json|completion)"\s*:\s*"')
_NO_BLOCK = -1


class Guard:
    """What is secret in the events of one stream. Feed it every event, in order."""

    __slots__ = ("_secrets", "_tails")

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._tails: dict[int | None, str] = {}
        """What the next delta of a block may continue."""

    def suspects(self, block: int | None, text: str, padding: str | None) -> bool:
        """Whether a usual delta with this text needs a closer look. The hot path."""
        joined = self._tails.get(block, "") + text
        begins_in = self._secrets.begins_in
        if begins_in(joined) or ("\\u00" in joined and _HIDING.search(joined)):
            return True
        if padding is not None and begins_in(padding):
            return True
        self._tails[block] = joined[-_TAIL:]
        return False

    def cleaned(self, block: Block, said: Payload) -> tuple[Block, Payload, tuple[str, ...] | None]:
        """An event without secrets, what it says then, and the names of the rules that changed it."""
        kept = block
        came = said.value or as_object(lenient(block.payload or b""))
        sent = block.payload or b"" if block.framed else block.wire
        value = came
        if self._secrets.found_in(sent) and (clean := self._secrets.remove(sent)) != sent:
            kept = with_payload(block.wire, clean) if block.framed else respelt(block, clean)
            said = read(kept.event, kept.payload or b"")
            value = said.value or as_object(lenient(kept.payload or b""))
        if came is not None and value is not None and self._join(came, value):
            kept = _rewritten(kept, value)
            said = read(kept.event, kept.payload or b"")
        return kept, said, None if kept is block else (API_KEY,)

    def redacted(self, data: bytes) -> tuple[bytes, tuple[str, ...] | None]:
        """What is no event, without secrets, and the names of the rules that changed it."""
        if not self._secrets.found_in(data):
            return data, None
        kept = self._secrets.remove(data)
        return kept, None if kept == data else (API_KEY,)

    def unfinished(self, wire: bytes) -> bytes:
        """The beginning of an event that never came to its end: it may go on with a secret that was begun."""
        found = _UNFINISHED.search(wire)
        start = found.end() if found else 0
        text = wire[start:].decode("latin-1")
        for tail in ("", *(self._tails.values() if found else ())):
            text = replaced(text, self._spans(tail, text))
        return wire[:start] + text.encode("latin-1")

    def gap(self) -> None:
        """Events are missing here: nothing that follows goes on with what came before."""
        self._tails.clear()

    def _join(self, came: dict[str, Any], value: dict[str, Any]) -> bool:
        """Replace, in a payload, what ends or goes on with a secret; whether there was any. `came`: the payload as
        it came, while `value` may have lost what looks like a whole key and goes on in the next event."""
        changed = False
        if came.get("type") == "content_block_stop":
            self._tails.pop(came.get("index"), None)
        for (block, holder, name), (_, kept, _) in zip(_pieces(came), _pieces(value), strict=True):
            text = holder[name]
            tail = self._tails.get(block, "")
            clean = replaced(text, self._spans(tail, text))
            if clean not in (text, kept[name]):
                kept[name] = clean
                changed = True
            self._tails[block] = self._rest(tail + text)
        return changed

    def _spans(self, tail: str, text: str) -> list[tuple[int, int]]:
        """Where `text` holds secrets, or parts of some, when it follows `tail`."""
        joined = tail + text
        half = HALF_ESCAPE.search(joined)
        plain = unescaped(joined[: half.start()] if half else joined)
        spans: list[tuple[int, int]] = []
        for start, stop in self._secrets.spans(plain.text, open_end=True):
            raw = len(joined) if half and stop == len(plain.text) else plain.place(stop)
            if raw > len(tail):
                spans.append((max(0, plain.place(start) - len(tail)), raw - len(tail)))
        return spans

    def _rest(self, joined: str) -> str:
        """What to remember of a block that ends so."""
        half = HALF_ESCAPE.search(joined)
        plain = unescaped(joined[: half.start()] if half else joined).text
        return self._secrets.beginning(plain) + (half[0] if half else "")


def _pieces(value: dict[str, Any]) -> Iterator[tuple[int | None, dict[str, Any], str]]:
    """(block, object, member) of every string in a payload that goes on with that of an event before."""
    kind = value.get("type")
    index = value.get("index")
    block = index if isinstance(index, int) else None
    holder = as_object(value.get("content_block" if kind == "content_block_start" else "delta"))
    if kind in ("content_block_start", "content_block_delta") and holder is not None:
        for name, item in holder.items():
            if isinstance(item, str) and name not in ("type", "id", "name", "signature"):
                yield block, holder, name
    elif isinstance(value.get("completion"), str):
        yield _NO_BLOCK, value, "completion"


def _rewritten(block: Block, value: dict[str, Any]) -> Block:
    """The block with another payload, in the same frame where it has one."""
    try:
        payload = msgspec.json.encode(value)
    except (ValueError, OverflowError):  # half a surrogate pair, or a number beyond 64 bits
        payload = json.dumps(value).encode("ascii")
    if block.framed:
        return with_payload(block.wire, payload)
    before, after = block.frame or usual_frame(block.event)
    return respelt(block, before + payload + after)
