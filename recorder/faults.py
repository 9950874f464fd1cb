"""Faults for replays: what goes wrong with streams, on purpose, the same way each time.

    with recorder.replay("fixtures/text.jsonl", faults=faults.cut_dirty(at=12).only(times=1)) as replay:
        my_application()
    replay.verdict().assert_resilient()

`standard()` is the short list every streaming application should survive. Faults add up with `+`, are printed as
one line and read back by `parse`: `stall(at=12, seconds=30)+cut_dirty(at=40) seed=7`. A place (`at`) is an event's
number (12, -1), a share ("50%"), a byte ("100b"), or the first event of a name or type ("text_delta",
"text_delta:3"). `times`, `nth`, `probability` and `ramp` say when: parameters in text, `.only(...)` in Python.
"""

from recorder.replayer.errors import FaultError
from recorder.replayer.faults.chunks import cut_inside, merge, rechunk
from recorder.replayer.faults.claude import (
    cut_thinking,
    cut_tool_input,
    error_event,
    index_gap,
    no_message_delta,
    no_message_stop,
    stop_reason,
    usage,
)
from recorder.replayer.faults.connection import cut_clean, cut_dirty, hang, refuse, reset, slow_close, status
from recorder.replayer.faults.events import (
    corrupt,
    crlf,
    drop,
    duplicate,
    heartbeat,
    ping,
    reorder,
    unknown_event,
    unnamed,
)
from recorder.replayer.faults.inject import Injected
from recorder.replayer.faults.session import quota, token_quota
from recorder.replayer.faults.spec import Fault, parse
from recorder.replayer.faults.standard import standard
from recorder.replayer.faults.times import idle_limit, jitter, rate, speed, stall, ttft
from recorder.replayer.faults.verdict import Finding, Verdict

__all__ = [
    "Fault",
    "FaultError",
    "Finding",
    "Injected",
    "Verdict",
    "corrupt",
    "crlf",
    "cut_clean",
    "cut_dirty",
    "cut_inside",
    "cut_thinking",
    "cut_tool_input",
    "drop",
    "duplicate",
    "error_event",
    "hang",
    "heartbeat",
    "idle_limit",
    "index_gap",
    "jitter",
    "merge",
    "no_message_delta",
    "no_message_stop",
    "parse",
    "ping",
    "quota",
    "rate",
    "rechunk",
    "refuse",
    "reorder",
    "reset",
    "slow_close",
    "speed",
    "stall",
    "standard",
    "status",
    "stop_reason",
    "token_quota",
    "ttft",
    "unknown_event",
    "unnamed",
    "usage",
]
