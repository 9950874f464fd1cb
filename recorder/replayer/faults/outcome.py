"""What a script gives a client that takes all of it, and how much of it a client got."""

from __future__ import annotations

from itertools import accumulate
from typing import Literal

from recorder.core.payload import as_object, lenient

from ..script import Script
from .place import Frame, frames_of

Outcome = Literal["complete", "altered", "truncated", "broken", "refused", "error_event"]
"""`complete`: all that was recorded was served. `altered`: whole, but not what was recorded. `truncated`: it ends
cleanly before its terminal event. `broken`: the client gets an exception of the transport, or JSON that is none.
`refused`: a status of 400 or more. `error_event`: an `error` event in a stream of status 200."""
_KNOWN = ("message_start", "content_block_start", "content_block_delta", "content_block_stop")


def outcome_of(script: Script, recorded: Script) -> Outcome:
    """What `script` is to a client, where `recorded` is what had been recorded."""
    if script.headers_at is None or script.ending.how != "read":
        return "broken"
    if script.status >= 400:
        return "refused"
    frames = frames_of(script)
    if not frames:
        return _of_plain(script, recorded)
    said = _said(frames)
    if any(name == "error" for name, _ in said):
        return "error_event"
    if any(frame.payload is not None and frame.value is None for frame in frames):
        return "broken"
    if not any(name == "message_stop" for name, _ in said):
        return "truncated"
    return "complete" if said == _said(frames_of(recorded)) else "altered"


def _of_plain(script: Script, recorded: Script) -> Outcome:
    body = script.body()
    if body == recorded.body() and script.status == recorded.status:
        return "complete"
    json = "json" in script.headers.get("content-type", "")
    return "altered" if not json or as_object(lenient(body)) is not None else "truncated"


def _said(frames: list[Frame]) -> list[tuple[str | None, object]]:
    """The events that a client heeds: of types that it knows, and by name, as the SDK tells them apart."""
    known = (*_KNOWN, "message_delta", "message_stop", "error")
    return [(frame.event, lenient(frame.payload)) for frame in frames if frame.payload and frame.event in known]


def pieces_to_answer(script: Script) -> int:
    """How many pieces a client has to have got to have the whole answer: those up to `message_stop`."""
    frames, size = frames_of(script), 0
    for frame in frames:
        size += len(frame.data)
        if frame.event == "message_stop":
            ends = accumulate(len(piece.data) for piece in script.pieces)
            return next(number for number, end in enumerate(ends, 1) if end >= size)
    return len(script.pieces)


def text_of(script: Script, pieces: int) -> str:
    """The text in the first so many pieces of an event stream, in all its blocks together."""
    frames = frames_of(script)
    left = sum(len(piece.data) for piece in script.pieces[:pieces])
    texts: list[str] = []
    for frame in frames:
        left -= len(frame.data)
        if left < 0:
            break
        delta = as_object((frame.value or {}).get("delta")) or {}
        texts.append(str(delta["text"]) if delta.get("type") == "text_delta" else "")
    return "".join(texts)
