"""Server-sent events: lost, twice, out of order, unreadable, unheard of, or spelt in another way."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from ..script import Script
from .place import At, Frame, Part, event_bytes, find, frames_of, with_frames
from .spec import Count, fault

Edit = Callable[[Frame], list[Frame]]


@fault
def drop(script: Script, _: Random, *, at: At, count: Count = 1) -> Script:
    """Events are missing, from that place on."""
    return edited(script, at, lambda _: [], count=count)


@fault
def duplicate(script: Script, _: Random, *, at: At, count: Count = 1) -> Script:
    """An event comes `count` times more."""
    return edited(script, at, lambda frame: [frame] * (count + 1))


@fault
def reorder(script: Script, _: Random, *, at: At) -> Script:
    """An event and the next change places; the times at which something arrives stay."""
    frames = frames_of(script)
    first = find(frames, at)
    if first is None:
        return script
    second = next((n for n in range(first + 1, len(frames)) if frames[n].payload is not None), None)
    if second is None:
        return script
    frames[first], frames[second] = (
        _spoken_as(frames[first], frames[second]),
        _spoken_as(frames[second], frames[first]),
    )
    return with_frames(script, frames)


@fault
def corrupt(script: Script, _: Random, *, at: At) -> Script:
    """The JSON of an event breaks off in the middle."""

    def edit(frame: Frame) -> list[Frame]:
        payload = (frame.payload or b"").replace(b"\n", b"")
        return [frame.saying(event_bytes(frame.event, payload[: len(payload) // 2]))]

    return edited(script, at, edit)


@fault
def unknown_event(script: Script, _: Random, *, at: At, count: Count = 1) -> Script:
    """Events of a type that the client has never heard of, as the API may add any day."""
    return _inserted(script, at, event_bytes("unheard_of", b'{"type":"unheard_of","value":1}'), count)


@fault
def heartbeat(script: Script, _: Random, *, at: At, count: Count = 1) -> Script:
    """Comments, as proxies send them to keep a connection open."""
    return _inserted(script, at, b": keep-alive\n\n", count)


@fault
def ping(script: Script, _: Random, *, at: At, count: Count = 1) -> Script:
    """Extra `ping` events."""
    return _inserted(script, at, event_bytes("ping", b'{"type":"ping"}'), count)


@fault
def crlf(script: Script, _: Random) -> Script:
    """Lines end with CRLF instead of LF."""
    frames = frames_of(script)
    if not frames:
        return script
    return with_frames(script, [frame.saying(_crlf(frame.data)) for frame in frames])


@fault
def unnamed(script: Script, _: Random, *, at: At, count: Count = 1) -> Script:
    """Events come without their `event:` line."""
    return edited(
        script,
        at,
        lambda frame: [frame.saying(event_bytes(None, (frame.payload or b"").replace(b"\n", b"")))],
        count=count,
    )


def edited(script: Script, at: At, edit: Edit, *, count: int = 1) -> Script:
    """`count` events from that place on, each replaced by what `edit` makes of it."""
    frames = frames_of(script)
    index = find(frames, at)
    if index is None:
        return script
    done, left = frames[:index], count
    for frame in frames[index:]:
        takes = left > 0 and frame.payload is not None
        done += edit(frame) if takes else [frame]
        left -= takes
    return with_frames(script, done)


def _inserted(script: Script, at: At, data: bytes, count: int) -> Script:
    def edit(frame: Frame) -> list[Frame]:
        first = frame.parts[0]
        return [*[Frame((Part(first.chunk, first.at, data),), None, None)] * count, frame]

    return edited(script, at, edit)


def _spoken_as(place: Frame, said: Frame) -> Frame:
    return Frame(place.saying(said.data).parts, said.event, said.payload)


def _crlf(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
