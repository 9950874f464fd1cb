"""What only an API like Claude's can do wrong, or do and be misunderstood."""

from __future__ import annotations

from random import Random
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from recorder.core.payload import as_object

from ..script import READ, Ending, Script
from .connection import broken_at
from .events import edited
from .place import At, Frame, event_bytes, find, frames_of, with_frames
from .spec import fault

Cut = Literal["clean", "dirty"]
Tokens = Annotated[int, Meta(ge=0)]


@fault
def error_event(
    script: Script,
    _: Random,
    *,
    at: At,
    type: str = "overloaded_error",  # noqa: A002 - the API's own word
    message: str = "injected by a fault",
) -> Script:
    """An `error` event in the middle of a stream whose status was 200; nothing comes after it."""
    frames = frames_of(script)
    index = find(frames, at)
    if index is None:
        return script
    payload = msgspec.json.encode({"type": "error", "error": {"type": type, "message": message}})
    said = with_frames(script, [*frames[:index], frames[index].saying(event_bytes("error", payload))])
    return msgspec.structs.replace(said, ending=READ, end_at=said.pieces[-1].at)


@fault
def no_message_delta(script: Script, _: Random) -> Script:
    """The stream has no `message_delta`: no stop reason, no final usage."""
    return edited(script, "message_delta", lambda _: [])


@fault
def no_message_stop(script: Script, _: Random) -> Script:
    """All but `message_stop`, and a clean end."""
    return broken_at(script, "message_stop", READ)


@fault
def cut_tool_input(script: Script, _: Random, *, end: Cut = "dirty") -> Script:
    """Cut half way through the `input_json_delta`s: the input of a tool is half there."""
    return _cut_among(script, "input_json_delta", end)


@fault
def cut_thinking(script: Script, _: Random, *, end: Cut = "dirty") -> Script:
    """Cut half way through the thinking, before its signature: it must not be sent back to the API."""
    return _cut_among(script, "thinking_delta", end)


@fault
def usage(
    script: Script,
    _: Random,
    *,
    output_tokens: Tokens = 0,
    input_tokens: Tokens | None = None,
) -> Script:
    """Wrong numbers in the usage that `message_delta` gives."""

    def edit(frame: Frame) -> list[Frame]:
        said = frame.value or {}
        numbers: dict[str, Any] = {**(as_object(said.get("usage")) or {}), "output_tokens": output_tokens}
        if input_tokens is not None:
            numbers["input_tokens"] = input_tokens
        return [frame.telling({**said, "usage": numbers})]

    return edited(script, "message_delta", edit)


@fault
def stop_reason(
    script: Script,
    _: Random,
    *,
    reason: Literal["refusal", "pause_turn", "max_tokens", "stop_sequence", "tool_use", "end_turn"],
) -> Script:
    """The answer stops for another reason than it did."""

    def edit(frame: Frame) -> list[Frame]:
        said = frame.value or {}
        return [frame.telling({**said, "delta": {**(as_object(said.get("delta")) or {}), "stop_reason": reason}})]

    return edited(script, "message_delta", edit)


@fault
def index_gap(script: Script, _: Random, *, by: Annotated[int, Meta(ge=1)] = 1) -> Script:
    """The indices of the content blocks, from the second block on (of a single one: from the first), skip some."""
    frames = frames_of(script)
    starts = [frame for frame in frames if frame.called("content_block_start")]
    least = 1 if len(starts) > 1 else 0

    def moved(frame: Frame) -> Frame:
        value = frame.value if frame.payload is not None else None
        index = value.get("index") if value else None
        if value is None or not isinstance(index, int) or index < least:
            return frame
        return frame.telling({**value, "index": index + by})

    return with_frames(script, map(moved, frames)) if starts else script


def _cut_among(script: Script, kind: str, end: Cut) -> Script:
    frames = frames_of(script)
    named = sum(frame.called(kind) for frame in frames)
    if named == 0:
        return script
    return broken_at(script, f"{kind}:{named // 2}", READ if end == "clean" else Ending("cut"))
