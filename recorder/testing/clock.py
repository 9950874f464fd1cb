"""A clock that stands still, for code that takes its clock as an argument."""

from __future__ import annotations


class ManualClock:
    """A clock for tests, in ns, called like `perf_counter_ns`; it moves only when told to."""

    def __init__(self, start: int = 0) -> None:
        self._now = start

    def __call__(self) -> int:
        return self._now

    def advance(self, ns: int) -> None:
        """Move on by `ns`. Raises ValueError when that is backwards: monotonic clocks never go there."""
        if ns < 0:
            raise ValueError(f"a monotonic clock cannot move by {ns} ns")
        self._now += ns
