"""The events of one stream as rows of a table: when each came, how long it was waited for, what it said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from recorder.core import wire
from recorder.core.arrivals import Stream as Arrivals
from recorder.core.payload import lenient
from recorder.core.records import Bytes, Event, Gap
from recorder.core.said import as_object, said
from recorder.log.streams import Stream

from .output import Column, Row
from .text import NOTHING, plain, shorten

_SAYS_ENOUGH = {"ping", "message_stop", "content_block_start", "content_block_delta", "content_block_stop"}
"""Events whose name, delta and text are all there is to them."""


def columns(text: Callable[[str], str]) -> tuple[Column, ...]:
    """Of the rows of `timeline`; `text` abbreviates."""
    return (
        Column("seq", right=True, spare=3),
        Column("at_s", _fixed(4), right=True),
        Column("wait_ms", _fixed(1), right=True, spare=1),
        Column("gap_ms", _fixed(1), right=True),
        Column("censored_ms", _fixed(1), right=True, spare=1),
        Column("chunk", right=True, spare=4),
        Column("event"),
        Column("block", right=True, spare=2),
        Column("delta", spare=1),
        Column("chars", right=True, spare=5),
        Column("text", text),
    )


def abbreviated(limit: int) -> Callable[[str], str]:
    return lambda text: shorten(text, limit)


def timeline(stream: Stream) -> Iterator[Row]:
    """A row for each record of the body. `gap_ms` is None for what came in one chunk with the row before,
    `censored_ms` for what came at `at_s`: another came up to so much earlier."""
    before: tuple[int, int] | None = None
    earliest = {one.record.seq: one.earliest for one in Arrivals(stream.records).arrivals if one.whole}
    for record in stream.records:
        if isinstance(record, Gap):
            lost = f"{record.chunks} chunks, {record.bytes} bytes were not recorded: {record.reason}"
            yield _row(record.seq, record.at, event="(gap)", text=lost)
            before = None
        elif isinstance(record, Event | Bytes):
            gap = record.at - before[1] if before and before[0] != record.chunk else None
            before = (record.chunk, record.at)
            shown = {
                "wait_ms": record.wait / 1e6,
                "gap_ms": None if gap is None else gap / 1e6,
                "censored_ms": (record.at - earliest[record.seq]) / 1e6 or None,
                "chunk": record.chunk,
            }
            yield _row(record.seq, record.at, **shown, **_content(record))


def _row(seq: int, at: int, **fields: Any) -> Row:
    names = ("wait_ms", "gap_ms", "censored_ms", "chunk", "event", "block", "delta", "chars", "text")
    return {"seq": seq, "at_s": at / 1e9, **{name: fields.get(name) for name in names}}


def _content(record: Event | Bytes) -> dict[str, Any]:
    if isinstance(record, Bytes) and record.sha256 is not None:
        return {"event": "(bytes)", "text": f"({record.size} bytes, SHA-256 so far {record.sha256})"}
    if isinstance(record, Bytes):
        return {"event": "(bytes)", "text": wire.payload(record).decode("utf-8", "backslashreplace")}
    return {
        "event": record.event or "message",
        "block": record.block,
        "delta": record.delta,
        "chars": record.chars,
        "text": said(record).text or _brief(record),
    }


def _brief(event: Event) -> str:
    """What an event says that adds nothing to a block."""
    if event.event in _SAYS_ENOUGH:
        return ""
    payload = wire.payload(event)
    value = as_object(lenient(payload))
    match event.event:
        case "message_start":
            message = as_object(value.get("message"))
            return f"{plain(message.get('id'))} {plain(message.get('model'))}"
        case "message_delta":
            stop, usage = as_object(value.get("delta")).get("stop_reason"), as_object(value.get("usage"))
            return f"{plain(stop)} {json.dumps(usage, ensure_ascii=False)}"
        case "error":
            error = as_object(value.get("error"))
            return f"{plain(error.get('type'))}: {plain(error.get('message'))}"
        case _:
            return payload.decode("utf-8", "backslashreplace")


def _fixed(digits: int) -> Callable[[Any], str]:
    return lambda value: NOTHING if value is None else f"{value:.{digits}f}"
