"""What of a recorded stream is compared: a few facts that are kept while the stream itself is let go."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import Any, NamedTuple, cast

from msgspec import Struct

from recorder.core import wire
from recorder.core.fingerprint import fingerprint, path_of
from recorder.core.payload import as_object, lenient
from recorder.core.records import Event, Request
from recorder.core.timing import Timing
from recorder.log.streams import Stream
from recorder.replayer.drift import paths_in, type_of

_RANDOM = ("id", "type", "signature", "tool_use_id", "encrypted_content")
"""Members of a block that are another every time, or are told elsewhere."""
_ASKED = 60


class Block(NamedTuple):
    """A content block of an answer: its type, with the name of a tool, and what it says."""

    label: str
    text: str


class Facts(Struct, frozen=True, kw_only=True):
    """One stream, as far as it is compared."""

    id: str
    attempt: int
    sent: int
    """Orders the streams of a recording, ns."""
    fingerprint: str
    asked: str
    """The request, for a person: method, path, and how its last message begins."""
    status: int | None
    headers: frozenset[str]
    error: str | None
    """What failed, or the API's own error, with its message."""
    stop_reason: str | None
    usage: dict[str, Any]
    types: Counter[str]
    """How many events there are of each type. Pings come when they like, and are left out."""
    order: frozenset[tuple[str, str]]
    """Which type follows which."""
    fields: frozenset[tuple[str, str]]
    """(type of event, JSON path) of everything that payloads have; of a plain body without the type."""
    blocks: list[Block]
    with_text: bool
    timing: Timing


def facts_of(stream: Stream, ignore: tuple[str, ...] = ()) -> Facts:
    """The facts of a stream. `ignore`: fields of the body that requests are not told apart by."""
    request, response, end = stream.request, stream.response, stream.end
    summary = end.summary if end else None
    types = [type_of(event) for event in stream.events if event.event != "ping"]
    with_text = not stream.is_without_text
    return Facts(
        id=stream.id,
        attempt=request.attempt,
        sent=stream.header.wall - stream.header.mono + request.mono,
        fingerprint=fingerprint(request.method, stream.url, body_of(request), ignore),
        asked=_asked(stream),
        status=response.status if response else None,
        headers=frozenset(response.headers if response else ()),
        error=_error(stream),
        stop_reason=summary.stop_reason if summary else None,
        usage=summary.usage or {} if summary else {},
        types=Counter(types),
        order=frozenset(pairwise(types)),
        fields=frozenset(_fields(stream) if with_text else ()),
        blocks=_blocks(stream) if with_text else list[Block](),
        with_text=with_text,
        timing=stream.timing(),
    )


def body_of(request: Request) -> Any:
    """The body of a recorded request, as far as requests are told apart by it."""
    return request.sha256 or request.base64 or request.body


def _asked(stream: Stream) -> str:
    line = f"{stream.request.method} {path_of(stream.url)}"
    messages = (as_object(stream.request.body) or {}).get("messages")
    last = cast("list[Any]", messages)[-1] if isinstance(messages, list) and messages else None
    text = " ".join(_said((as_object(last) or {}).get("content")).split())
    return f'{line} "{text[:_ASKED]}{"…" if text[_ASKED:] else ""}"' if text else line


def _said(content: object) -> str:
    if isinstance(content, str):
        return content
    blocks = map(as_object, cast("list[Any]", content) if isinstance(content, list) else [])
    texts = [block.get("text") or block.get("type") or "" for block in blocks if block]
    return next((text for text in reversed(texts) if isinstance(text, str)), "")


def _error(stream: Stream) -> str | None:
    if (end := stream.end) is None:
        return None
    told = end.error or (end.summary.error if end.summary else None)
    return f"{told.type}: {told.message}" if told else None


def _fields(stream: Stream) -> set[tuple[str, str]]:
    if not stream.events:
        return set() if stream.reduced else {("", path) for path in paths_in(lenient(stream.body()))}
    return {(type_of(event), path) for event in stream.events for path in paths_in(_payload(event))}


def _payload(event: Event) -> Any:
    return lenient(wire.payload(event))


def _blocks(stream: Stream) -> list[Block]:
    message = stream.message()
    if message is None:
        body = "" if stream.reduced or stream.events else stream.body().decode("utf-8", "replace")
        return [Block("body", body)] if body else []
    content = message.get("content")
    blocks = map(as_object, cast("list[Any]", content) if isinstance(content, list) else [])
    return [_block(block) for block in blocks if block is not None]


def _block(block: dict[str, Any]) -> Block:
    kind = str(block.get("type"))
    if kind in ("text", "thinking") and isinstance(text := block.get(kind), str):
        return Block(kind, text)
    name = block.get("name")
    rest = {key: value for key, value in block.items() if key not in (*_RANDOM, "name")}
    said = rest.pop("input") if set(rest) == {"input"} else rest
    return Block(f"{kind} {name}" if isinstance(name, str) else kind, _spaced(said))


def _spaced(value: object) -> str:
    """JSON of which every value is a word of its own."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
