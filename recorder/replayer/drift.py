"""Whether two streams have the same structure: what a live answer has that its recording had not, or lacks.

Words differ from run to run and are not compared; nor is how many deltas or blocks there are. Compared are the
status, the names of the headers, the types of events and blocks and which follows which, and the fields of
each payload.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

from recorder.core import wire
from recorder.core.payload import as_object, lenient
from recorder.core.records import Event
from recorder.log.streams import Stream

_ASKED_FOR = {"content-encoding"}
"""Headers that tell what the client asked for: a proxy asks for another encoding than the SDK."""
_FREE = ("input",)
"""Members whose own members are the model's words."""


def drift(recorded: Stream, live: Stream) -> list[str]:
    """What differs, a line each; nothing when the structure is the same."""
    lines: list[str] = []
    was, now = _status(recorded), _status(live)
    if was != now:
        lines.append(f"status: {was} recorded, {now} live")
    for what, of in (("header", _headers), ("order", _order), ("field", _fields)):
        before, after = of(recorded), of(live)
        lines += [f"{what}: {one}: recorded, not live" for one in sorted(before - after)]
        lines += [f"{what}: {one}: live, not recorded" for one in sorted(after - before)]
    return lines


def _status(stream: Stream) -> int | None:
    return stream.response.status if stream.response else None


def _headers(stream: Stream) -> set[str]:
    return set(stream.response.headers) - _ASKED_FOR if stream.response else set()


def _order(stream: Stream) -> set[str]:
    """Which type of event follows which. Pings come when they like."""
    types = [name for event in stream.events if (name := type_of(event)) != "ping"]
    return {f"{a} -> {b}" for a, b in pairwise(types)}


def type_of(event: Event) -> str:
    """What kind of event it is: its name, with the type of its delta or of the block that it starts."""
    name = event.event or "message"
    return f"{name}({event.delta})" if event.delta else name


def _fields(stream: Stream) -> set[str]:
    if not stream.events:
        return set(paths_in(lenient(stream.body())))
    return {
        f"{type_of(event)} {path}"
        for event in stream.events
        for path in paths_in(lenient(wire.payload(event)))
        if path != "$"
    }


def paths_in(value: Any, path: str = "$") -> Iterator[str]:
    """The fields of a JSON value, however deep, as JSON paths."""
    fields = as_object(value)
    if fields is not None:
        for name, item in fields.items():
            yield f"{path}.{name}"
            if name not in _FREE:
                yield from paths_in(item, f"{path}.{name}")
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from paths_in(item, f"{path}[]")
