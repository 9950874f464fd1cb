"""One stream, event by event, as the page shows it: waterfall, curve, gap strip, and the text with its times."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from recorder.core.arrivals import Arrival
from recorder.core.arrivals import Stream as Arrivals
from recorder.core.records import End, Event, Response
from recorder.core.said import said
from recorder.core.timing import stalls_of
from recorder.log.streams import Stream

EVENTS = 20_000
"""Outputs of one stream that the player plays."""
TEXT = 200_000
"""Characters of one stream that the page holds; what comes after is shown as blocks of its length."""
_MARKS = 2_000
"""Points that one chart draws."""
_REQUEST = 20_000

Row = dict[str, Any]


def detail(stream: Stream) -> Row:
    """The stream as JSON has it; seconds since the send.

    `spans` and `strip` are the data of the charts of these names. `frames` is what the player plays, and what the
    curve is made of: of each output its time, block, characters and text; None as text where it was not recorded,
    or is too long.
    """
    arrivals = Arrivals(stream.records)
    return {
        "stream": stream.id,
        "file": os.fspath(stream.path),
        "call": stream.call,
        "attempt": stream.request.attempt,
        "url": stream.url,
        "request": _request(stream),
        "response": sorted(stream.response.headers.items()) if stream.response else [],
        "error": _error(stream.end),
        "textless": stream.is_without_text,
        "eager": stream.response is not None and stream.response.arrival is not None,
        "end_s": _s(arrivals.last_at),
        "spans": list(_spans(arrivals)),
        "strip": _largest(list(_strip(arrivals)), _MARKS),
        "pings": [{"at": _s(event.at)} for event in arrivals.events if event.event == "ping"][:_MARKS],
        "stalls": [
            {"start": _round(one.start_s), "end": _round(one.start_s + one.stall_s), "kind": one.kind}
            for one in stalls_of(arrivals)[:_MARKS]
        ],
        "blocks": {str(index): block.type for index, block in arrivals.blocks.items()},
        "frames": _frames(arrivals.outputs),
        "left_out": max(0, len(arrivals.outputs) - EVENTS),
    }


def _request(stream: Stream) -> str | None:
    """The request's body for a person, cut where it is long; None when there is none, or nothing but its size."""
    body = stream.request.body
    if body is None:
        return None
    text = body if isinstance(body, str) else json.dumps(body, indent=2, ensure_ascii=False)
    more = len(text) - _REQUEST
    return (
        text if more <= 0 else f"{text[:_REQUEST]}\n… {more:,} more characters; recorder show --request has them"
    )


def _error(end: End | None) -> str | None:
    error = end and (end.error or (end.summary.error if end.summary else None))
    return f"{error.type}: {error.message}" if error else None


def _spans(stream: Arrivals) -> Iterator[Row]:
    """What was going on from when to when, one lane each: `lane`, `kind`, `start`, `end`."""
    told = [record for record in (stream.response, stream.end) if record is not None]
    phases = next((record.phases for record in told if record.phases is not None), None)
    for name in ("connect", "tunnel", "tls", "send", "headers") if phases else ():
        span = getattr(phases, name)
        if span:
            yield _span("wait for headers" if name == "headers" else name, "connection", *span)
    if phases is None and isinstance(stream.response, Response):
        yield _span("wait for headers", "connection", 0, stream.response.at)
    outputs = stream.outputs
    if stream.response and outputs:
        yield _span("wait for first output", "wait", stream.response.at, outputs[0].at)
    for block in list(stream.blocks.values())[:40]:
        start = block.start if block.start is not None else block.first
        if start is not None:
            yield _span(
                f"{block.index} {block.type or 'block'}", "block", start, block.stop or block.last or start
            )
    last = outputs[-1].at if outputs else stream.response.at if stream.response else None
    if stream.end and last is not None:
        yield _span("tail", "tail", last, stream.end.at)


def _span(kind: str, lane: str, start: int, end: int) -> Row:
    return {"lane": lane, "kind": kind, "start": _s(start), "end": _s(end)}


def _strip(stream: Arrivals) -> Iterator[Row]:
    """The gaps: `who` of `hold` (the application held for most of it), `censored`, `wait` (for the server)."""
    for pause in stream.pauses:
        if not pause.is_gap:
            continue
        inside = stream.arrivals[pause.before + 1 : pause.after + 1]
        yield {
            "at": _s(inside[-1].at),
            "gap": max(_s(pause.ns), 1e-5),
            "who": _who(inside, pause.ns),
        }


def _who(inside: Sequence[Arrival], ns: int) -> str:
    if sum(arrival.hold or 0 for arrival in inside) * 2 > ns:
        return "hold"
    return "censored" if inside[-1].censored else "wait"


def _frames(outputs: Sequence[Event]) -> Row:
    kinds: list[str] = []
    texts: list[str | None] = []
    room = TEXT
    for event in outputs[:EVENTS]:
        one = said(event)
        known = bool(one.text) and len(one.text) <= room
        room -= len(one.text) if known else 0
        kinds.append(one.kind if one.text else _kind(event.delta))
        texts.append(one.text if known else None)
    shown = outputs[:EVENTS]
    return {
        "at": [_s(event.at) for event in shown],
        "block": [event.block for event in shown],
        "chars": [event.chars or 0 for event in shown],
        "kind": kinds,
        "text": texts,
    }


def _kind(delta: str | None) -> str:
    """Where there is no text to tell it."""
    return {"text_delta": "text", "text": "text", "thinking_delta": "thinking"}.get(delta or "", "other")


def _evenly(rows: list[Row], limit: int) -> list[Row]:
    if len(rows) <= limit:
        return rows
    return [rows[n * (len(rows) - 1) // (limit - 1)] for n in range(limit)]


def _largest(rows: list[Row], limit: int) -> list[Row]:
    """Half of them the largest gaps, half evenly out of the rest."""
    if len(rows) <= limit:
        return rows
    by_size = sorted(rows, key=lambda row: -row["gap"])
    rest = sorted(by_size[limit // 2 :], key=lambda row: row["at"])
    return sorted(by_size[: limit // 2] + _evenly(rest, limit - limit // 2), key=lambda row: row["at"])


def _s(ns: int) -> float:
    return round(ns / 1e9, 6)


def _round(seconds: float) -> float:
    return round(seconds, 6)
