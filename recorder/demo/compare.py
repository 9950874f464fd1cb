"""Live against replay: what is the same, and what is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from msgspec import Struct, field

from .calls import Answer
from .runs import Attempt, Run

Key = TypeVar("Key", str, Attempt)


class Check(Struct, kw_only=True):
    """One comparison: `same` of `of` are identical. `differences`: a line for each that is not."""

    name: str
    of: int
    differences: list[str] = field(default_factory=list[str])

    @property
    def same(self) -> int:
        return self.of - len(self.differences)


def compare(live: Run, replayed: Run) -> list[Check]:
    """What was sent with what was recorded, and what the application saw live with what it saw in replay.

    Events and messages are the SDK's objects, compared field by field; bodies byte by byte; exceptions by class
    and message. Raises RecordingError when a recording cannot be read.
    """
    recorded, again = _bodies(live), _bodies(replayed)
    return [
        _check("bodies: sent, recorded", live.sent, recorded),
        _check("bodies: recorded, replayed", recorded, again),
        _check("event sequences", *_both(live, replayed, lambda answer: answer.events)),
        _check("exceptions", *_both(live, replayed, lambda answer: answer.error)),
        _check("final messages", *_both(live, replayed, lambda answer: answer.message)),
    ]


def _bodies(run: Run) -> dict[Attempt, bytes]:
    return {attempt: stream.body() for attempt, stream in run.streams().items()}


def _both(live: Run, replayed: Run, part: Callable[[Answer], Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """That part of the answers, of the calls that have it in at least one of the two."""
    before = {answer.call.name: part(answer) for answer in live.answers}
    after = {answer.call.name: part(answer) for answer in replayed.answers}
    have = {name for run in (before, after) for name, value in run.items() if value}
    return (
        {name: value for name, value in before.items() if name in have},
        {name: value for name, value in after.items() if name in have},
    )


def _check(name: str, left: Mapping[Key, Any], right: Mapping[Key, Any]) -> Check:
    keys = dict.fromkeys([*left, *right])
    check = Check(name=name, of=len(keys))
    for key in keys:
        if key not in left or key not in right:
            check.differences.append(f"{_named(key)}: only {'before' if key in left else 'after'}")
        elif left[key] != right[key]:
            check.differences.append(f"{_named(key)}: {_difference(left[key], right[key])}")
    return check


def _named(key: str | Attempt) -> str:
    return key if isinstance(key, str) else f"{key[0]}, attempt {key[1] + 1}"


def _difference(left: object, right: object) -> str:
    """The first place in which two values that are not equal differ."""
    match left, right:
        case bytes(), bytes():
            return _first(left, right, "byte")
        case list(), list():
            return _first(cast("list[Any]", left), cast("list[Any]", right), "event")
        case _:
            return f"{_short(left)}, then {_short(right)}"


def _first(left: Sequence[Any], right: Sequence[Any], item: str) -> str:
    pairs = enumerate(zip(left, right, strict=False))
    place = next((n for n, (a, b) in pairs if a != b), min(len(left), len(right)))
    return f"{item} {place} of {len(left)} and {len(right)}: {_at(left, place)}, then {_at(right, place)}"


def _at(values: Sequence[Any], place: int) -> str:
    if isinstance(values, bytes):
        return _short(values[place : place + 16])
    return _short(values[place]) if place < len(values) else "nothing"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 90 else f"{text[:89]}…"
