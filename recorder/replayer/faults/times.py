"""Time: later, slower, in fits and starts. What the client waits for a read is held against its read timeout.

Instant replay has no times but those that faults make, so there `speed` and `idle_limit` do nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any, Literal

import msgspec

from recorder.core.payload import as_object
from recorder.core.wire import Chunk

from ..script import Script, piece
from .place import At, frames_of, offset_of, split_at, with_frames
from .spec import Positive, Seconds, fault

NS = 1_000_000_000
Distribution = Literal["fixed", "uniform", "lognormal"]


@fault
def speed(script: Script, _: Random, *, factor: Positive) -> Script:
    """All is so much faster (2), or slower (0.5), than it was recorded."""
    return _retimed(script, lambda at: int(at / factor))


@fault
def idle_limit(script: Script, _: Random, *, seconds: Seconds) -> Script:
    """No silence is longer than this."""
    return _gaps(script, lambda gap: min(gap, int(seconds * NS)))


@fault
def ttft(script: Script, _: Random, *, seconds: Seconds) -> Script:
    """The first output comes so long after the send; what comes after it keeps its distance."""
    offset = offset_of(script, "content_block_delta")
    return script if offset is None else _shifted(script, offset, lambda due: int(seconds * NS) - due)


@fault
def stall(
    script: Script, random: Random, *, at: At, seconds: Seconds, distribution: Distribution = "fixed"
) -> Script:
    """A silence before the event at that place; all that follows is later by as much."""
    offset = offset_of(script, at)
    return script if offset is None else _shifted(script, offset, lambda _: _drawn(random, seconds, distribution))


@fault
def jitter(script: Script, random: Random, *, seconds: Seconds, distribution: Distribution = "uniform") -> Script:
    """Every chunk is late, each by its own; none overtakes another."""
    return _gaps(script, lambda gap: gap + _drawn(random, seconds, distribution))


@fault
def rate(script: Script, _: Random, *, tokens_per_second: Positive) -> Script:
    """Output comes at this pace, counting four characters to a token, one event at a time."""
    frames = frames_of(script)
    now: float | None = None
    paced = list(frames)
    for index, frame in enumerate(frames):
        if now is not None:
            now += _characters(frame.value) / 4 / tokens_per_second * NS
            last = frame.parts[-1]
            paced[index] = frame._replace(parts=(last._replace(chunk=-1 - index, at=int(now), data=frame.data),))
        elif frame.called("content_block_delta"):
            now = frame.parts[-1].at
    if now is None:
        return script
    done = with_frames(script, paced)
    return msgspec.structs.replace(done, end_at=max(int(now), 0), timed=True)


def _characters(value: dict[str, Any] | None) -> int:
    delta = as_object((value or {}).get("delta")) or {}
    return sum(len(text) for name, text in delta.items() if name != "type" and isinstance(text, str))


def _drawn(random: Random, seconds: float, distribution: Distribution) -> int:
    """ns: `seconds`, or drawn so that this is the largest (uniform) or the median (lognormal, sigma 1)."""
    match distribution:
        case "fixed":
            drawn = seconds
        case "uniform":
            drawn = random.uniform(0, seconds)
        case "lognormal":
            drawn = random.lognormvariate(math.log(seconds), 1) if seconds else 0
    return int(drawn * NS)


def _shifted(script: Script, offset: int, by: Callable[[int], int]) -> Script:
    """All from a byte on later by `by(when it was due)`, never earlier than what is before it."""
    before, after = split_at(script, offset)
    if not after:
        return script
    shift, earliest = by(after[0].at), before[-1].at if before else 0
    late = [piece(max(earliest, chunk.at + shift), chunk.data) for chunk in after]
    end_at = max(late[-1].at, script.end_at + shift)
    headers_at = script.headers_at if script.headers_at is None or before else min(script.headers_at, late[0].at)
    return msgspec.structs.replace(
        script, headers_at=headers_at, pieces=(*before, *late), end_at=end_at, timed=True
    )


def _gaps(script: Script, change: Callable[[int], int]) -> Script:
    """Each silence between two chunks changed."""
    if not script.pieces:
        return script
    pieces: list[Chunk] = []
    was = now = script.headers_at or 0
    for chunk in script.pieces:
        now += change(max(chunk.at - was, 0))
        was = max(was, chunk.at)
        pieces.append(piece(now, chunk.data))
    end_at = now + max(script.end_at - was, 0)
    return msgspec.structs.replace(script, pieces=tuple(pieces), end_at=end_at, timed=True)


def _retimed(script: Script, due: Callable[[int], int]) -> Script:
    return msgspec.structs.replace(script.retimed(due), timed=True)
