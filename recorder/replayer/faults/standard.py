"""The short list that every streaming application should survive."""

from __future__ import annotations

from .spec import Fault, parse

_STANDARD = {
    "refused": "refuse(times=1)",
    "reset_before": "reset(times=1)",
    "overloaded": "status(code=529, times=1)",
    "rate_limited": "status(code=429, retry_after=1, times=1)",
    "server_error": "status(code=500, times=1)",
    "stall": "stall(at=50%, seconds=1)",
    "hang": "hang(at=50%, times=1)",
    "cut_clean": "cut_clean(at=50%, times=1)",
    "cut_dirty": "cut_dirty(at=50%, times=1)",
    "reset": "reset(at=50%, after=0.1, times=1)",
    "error_event": "error_event(at=50%, times=1)",
    "byte_by_byte": "rechunk(size=1)",
    "one_chunk": "merge()",
    "noise": "ping(at=25%)+heartbeat(at=50%)+unknown_event(at=75%)",
}


def standard() -> dict[str, Fault]:
    """Name -> fault. Those that spoil an answer do it once: a client that asks again is answered."""
    return {name: parse(text) for name, text in _STANDARD.items()}
