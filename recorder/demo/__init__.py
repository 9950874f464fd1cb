"""The product shown on itself: record, replay and compare, with the real SDK and no network but the loopback.

    live = record("demo/live")               # the packaged recordings, over HTTP, in recorded timing
    replayed = replay(live, "demo/replayed")     # the same calls once more, answered by what was just recorded
    for check in compare(live, replayed):
        print(check.name, check.same, "of", check.of)

Nothing here prints: progress comes through a callback, results are values.
"""

from __future__ import annotations

from recorder.demo.calls import Answer, Call, Failure, Progress, Update, calls_of
from recorder.demo.compare import Check, compare
from recorder.demo.runs import Run, fixtures, record, replay

__all__ = [
    "Answer",
    "Call",
    "Check",
    "Failure",
    "Progress",
    "Run",
    "Update",
    "calls_of",
    "compare",
    "fixtures",
    "record",
    "replay",
]
