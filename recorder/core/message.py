"""Fold the events of a stream into its final Message, as the SDK's `messages.stream()` accumulates it.

The fold answers what `get_final_message().to_dict(mode="json")` would, for any beginning of a stream, without
the SDK and in linear time. Where the SDK has an answer this is the same one; the beta client's, where the two
clients differ. Its rules:

* A delta belongs to the block at position `index` of `content`, whatever index the block's own start said.
  `text`, `thinking` and `partial_json` are appended, a citation joins the list, the rest replaces.
* A delta that another known type of block would take is ignored. An unknown type of block takes every delta.
* `message_delta` sets `stop_reason`, `stop_sequence` and `stop_details`, null when it leaves them out. Every
  other field replaces what there was unless it is null; so does every field of `usage`, whose counts are
  totals and never summed.
* A `fallback` block names the model that answered.
* After an `error` event nothing is folded.

Where the SDK has none, because it drops what it does not know or raises, the world stays open:

* An unknown delta is merged into its block: strings are appended to strings, all else replaces.
* Unknown fields of messages, blocks, usage and `message_delta` are kept.
* Tool input that is no JSON gives the value of its longest valid beginning.
* What cannot be folded is skipped: events before `message_start`, a second `message_start`, an index without
  a block, a field of the wrong type, an event that is no object or has no known `type`. Nothing raises.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from recorder.core.partial_json import parse

_TOOLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_TAKERS = {
    "text_delta": frozenset({"text"}),
    "citations_delta": frozenset({"text"}),
    "thinking_delta": frozenset({"thinking"}),
    "signature_delta": frozenset({"thinking"}),
    "input_json_delta": _TOOLS,
    "compaction_delta": frozenset({"compaction"}),
}
"""Known deltas, and the types of block that take them."""
_KNOWN_BLOCKS = frozenset[str]().union(*_TAKERS.values())
_STOP_FIELDS = ("stop_reason", "stop_sequence", "stop_details")
_NOT_UPDATED = frozenset({"type", "id", "role", "content", "delta", "usage", "p", *_STOP_FIELDS})
"""Fields of `message_delta` that are not the message's, or not its to change; `p` is padding."""


class MessageFold:
    """The message of one stream, event by event.

    `stopped`: `message_stop` was seen. `error`: the payload of the `error` event, if there was one.
    """

    def __init__(self) -> None:
        self.stopped = False
        self.error: dict[str, Any] | None = None
        self._message: dict[str, Any] | None = None
        self._usage: dict[str, Any] | None = None
        self._blocks: list[_Block] = []

    def feed(self, payload: object) -> None:
        """Take the next event: its decoded payload, an object with a `type`. It is not changed."""
        event = _object(payload)
        if event is None or self.error is not None:
            return
        match event.get("type"):
            case "message_start":
                self._start(_object(event.get("message")))
            case "content_block_start" if self._message is not None:
                self._start_block(self._message, _object(event.get("content_block")))
            case "content_block_delta":
                self._take_delta(event.get("index"), _object(event.get("delta")))
            case "message_delta" if self._message is not None:
                self._update(self._message, event)
            case "message_stop":
                self.stopped = True
            case "error":
                self.error = event
            case _:
                pass

    @property
    def message(self) -> dict[str, Any] | None:
        """The Message as it stands, of JSON values; None before `message_start`.

        Each access joins the whole message, so ask once, not after every event. What lies deep inside is
        shared with the payloads: copy it before changing it.
        """
        if self._message is None:
            return None
        whole = {**self._message, "content": [block.value() for block in self._blocks]}
        return whole if self._usage is None else {**whole, "usage": dict(self._usage)}

    @property
    def usage(self) -> dict[str, Any] | None:
        """`usage` of the message: of each field the last value that is not null, if there was one.

        Until a `message_delta` comes, `output_tokens` is what `message_start` gave: a placeholder.
        """
        return None if self._usage is None else dict(self._usage)

    def _start(self, message: dict[str, Any] | None) -> None:
        if message is None or self._message is not None:
            return
        self._message = dict(message)
        usage = _object(message.get("usage"))
        self._usage = None if usage is None else dict(usage)
        blocks = map(_object, _list(message.get("content")))
        self._blocks = [_Block(fields) for fields in blocks if fields is not None]

    def _start_block(self, message: dict[str, Any], fields: dict[str, Any] | None) -> None:
        if fields is None:
            return
        self._blocks.append(_Block(fields))
        if fields.get("type") == "fallback":
            model = (_object(fields.get("to")) or {}).get("model")
            if isinstance(model, str):
                message["model"] = model

    def _take_delta(self, index: object, delta: dict[str, Any] | None) -> None:
        if delta is not None and isinstance(index, int) and 0 <= index < len(self._blocks):
            self._blocks[index].take(delta)

    def _update(self, message: dict[str, Any], event: dict[str, Any]) -> None:
        delta = _object(event.get("delta"))
        if delta is not None:
            message.update({name: delta.get(name) for name in _STOP_FIELDS})
        for fields in (delta or {}, event):
            message.update({k: v for k, v in fields.items() if v is not None and k not in _NOT_UPDATED})
        usage = _object(event.get("usage"))
        if usage is not None:
            self._usage = (self._usage or {}) | {k: v for k, v in usage.items() if v is not None}


def fold(payloads: Iterable[object]) -> dict[str, Any] | None:
    """The Message that the payloads of a stream, in order, add up to; None without a `message_start`."""
    message = MessageFold()
    for payload in payloads:
        message.feed(payload)
    return message.message


class _Block:
    """A content block. Strings that grow are kept in parts and joined when asked for."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = dict(fields)
        self._parts: dict[str, list[str]] = {}
        self._json: list[str] = []
        self._citations: list[Any] = []

    def take(self, delta: dict[str, Any]) -> None:
        kind, block = delta.get("type"), self._fields.get("type")
        takers = _TAKERS.get(kind) if isinstance(kind, str) else None
        if takers is None:
            self._merge(delta)
        elif not isinstance(block, str) or block in takers or block not in _KNOWN_BLOCKS:
            self._take_known(delta)

    def value(self) -> dict[str, Any]:
        whole = self._fields | {name: "".join(parts) for name, parts in self._parts.items()}
        if self._citations:
            whole["citations"] = [*_list(whole.get("citations")), *self._citations]
        text = "".join(self._json)
        if text:
            whole["input"] = parse(text, otherwise=whole.get("input"))
        return whole

    def _take_known(self, delta: dict[str, Any]) -> None:
        match delta:
            case {"type": "text_delta", "text": str(text)}:
                self._append("text", text)
            case {"type": "thinking_delta", "thinking": str(text)}:
                self._append("thinking", text)
            case {"type": "input_json_delta", "partial_json": str(text)}:
                self._json.append(text)
            case {"type": "citations_delta", "citation": citation} if citation is not None:
                self._citations.append(citation)
            case {"type": "signature_delta"}:
                self._replace("signature", delta.get("signature"))
            case {"type": "compaction_delta"}:
                self._replace("content", delta.get("content"))
                self._replace("encrypted_content", delta.get("encrypted_content"))
            case _:
                pass

    def _merge(self, delta: dict[str, Any]) -> None:
        for name, value in delta.items():
            if name == "type":
                continue
            if isinstance(value, str) and (name in self._parts or isinstance(self._fields.get(name, ""), str)):
                self._append(name, value)
            else:
                self._replace(name, value)

    def _append(self, name: str, text: str) -> None:
        if name not in self._parts:
            before = self._fields.get(name)
            self._parts[name] = [before] if isinstance(before, str) else []
        self._parts[name].append(text)

    def _replace(self, name: str, value: object) -> None:
        self._parts.pop(name, None)
        self._fields[name] = value


def _object(value: object) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
