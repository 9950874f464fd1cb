"""How a recording is replayed: the options of `recorder.replay`, `recorder.use` and the marker `recording`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict, get_args

from .faults.inject import Faults
from .match import Matcher
from .schedule import ReplayClock, ReplayTiming


class ReplayOptions(TypedDict, total=False):
    """Each may be left out."""

    timing: ReplayTiming
    """`instant` (the default): no waiting, nor before the retry of an error response. `ordered`: the same, and
    what concurrent streams bring comes in its recorded order. `recorded`: every chunk at its recorded time from
    the send."""
    speed: float
    """Divides the recorded times; 1.0 by default."""
    idle_limit: float | None
    """Seconds to which longer silences are cut, after `speed`; None, the default, cuts none."""
    clock: ReplayClock
    """`real` (the default), or `virtual` inside the `with` block: nothing waits, and `time` and asyncio tell the
    time that it would be. Then entering raises ClockError in an event loop that is not asyncio's own."""
    ignore: Sequence[str]
    """Fields of the body that are not compared, as dotted paths; `metadata.user_id` never is."""
    match: Matcher | None
    """Compares in another way than by method, path and body: `match(recorded, asked)` returns the reasons why the
    recorded request is not the one asked, or nothing."""
    faults: Faults | None
    """What goes wrong on purpose (`recorder.faults`): a fault, its text, or a function that gives one for each
    attempt, from the recorded stream that answers it and how often the same was asked before."""


def check(options: ReplayOptions) -> None:
    """Raises TypeError for an option that there is not, and ValueError for a value that cannot be."""
    known = ReplayOptions.__annotations__
    for name in options:
        if name not in known:
            raise TypeError(f"unexpected option {name!r}; a replay has {', '.join(known)}")
    if "timing" in options:
        _one_of(get_args(ReplayTiming), "timing", options["timing"])
    if "clock" in options:
        _one_of(get_args(ReplayClock), "clock", options["clock"])
    speed, idle_limit = options.get("speed", 1.0), options.get("idle_limit")
    if not speed > 0:
        raise ValueError(f"speed is {speed!r}; it is a number above 0")
    if idle_limit is not None and not idle_limit >= 0:
        raise ValueError(f"idle_limit is {idle_limit!r}; it is a number of seconds, 0 or more")


def _one_of(values: tuple[str, ...], name: str, value: str) -> None:
    if value not in values:
        raise ValueError(f"{name} is {value!r}; it is {' or '.join(map(repr, values))}")
