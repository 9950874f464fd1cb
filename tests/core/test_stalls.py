"""What counts as a stall, and whose it is."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from recorder.core.timing import Stall, stalls
from tests.core.script import Script


def stall(**changes: Any) -> Stall:
    usual = Stall(seq=3, kind="silent", block=0, type="text", start_s=0.3, stall_s=2.5, hold_s=0.0, pings=0)
    return replace(usual, **changes)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (Script().start(0, "text", 200).text(1, 300).text(1, 2300), None),
        (Script().start(0, "text", 200).text(1, 300).text(1, 2800), stall(seq=4)),
        (
            Script().start(0, "text", 200).text(1, 300).event("ping", 900).text(1, 2800),
            stall(seq=5, kind="pinged", pings=1),
        ),
        (
            Script().start(0, "text", 200).text(1, 300).event("ping").event("ping", 2800).text(1),
            stall(seq=6, kind="silent"),
        ),
        (
            Script().start(0, "text", 200).text(1, 300).event("ping", 900).text(1, 2800, hold=1251),
            stall(seq=5, kind="application", pings=1, hold_s=1.251),
        ),
        (Script().start(0, "text", 200).text(1, 2700), stall(kind="before_first", start_s=0.1, stall_s=2.6)),
        (
            Script()
            .text(1, 300)
            .start(1, "tool_use", 400)
            .event("ping", 900)
            .delta(1, "input_json_delta", 1, 2800),
            stall(seq=5, kind="tool_buffering", block=1, type="tool_use", pings=1),
        ),
        (
            Script().text(1, 300).start(1, "tool_use", 2000).delta(1, "input_json_delta", 1, 2800),
            stall(seq=4, kind="silent", block=1, type="tool_use"),
        ),
        (Script().start(0, "text", 200).text(1, 300).end(2800), stall(seq=4)),
        (
            Script().start(0, "text", 200).text(1, 300).end(2800, "closed", wait=0),
            stall(seq=4, kind="application", hold_s=2.5),
        ),
        (
            Script().start(0, "tool_use", 200).delta(0, "input_json_delta", 1, 300).end(2800, "failed"),
            stall(seq=4, kind="tool_buffering", type="tool_use"),
        ),
        (
            Script().start(0, "tool_use", 200).delta(0, "input_json_delta", 1, 300).stop(0, 400).end(2800),
            stall(seq=5, kind="silent", type="tool_use"),
        ),
        (Script().end(2700), stall(seq=2, kind="before_first", block=None, type=None, start_s=0.1, stall_s=2.6)),
        (Script().text(1, 300).text(1, 2800), stall(type=None)),
        (Script(status=None).end(9000, "failed"), None),
        (Script().text(1, 300).gap(400).text(1, 9000), None),
    ],
)
def test_stalls_and_their_kinds(script: Script, expected: Stall | None) -> None:
    assert ([expected] if expected else []) == stalls(script.records)


def test_the_threshold_of_a_stall_is_the_callers() -> None:
    script = Script().text(1, 300).text(1, 400).text(1, 350.001 + 100)
    assert [stall.stall_s for stall in stalls(script.records, 0.05)][1:] == [0.1, 0.050001]
    assert stalls(script.records, 0.2) == []
