"""What our own tests hold us to, for whoever writes a tap, a parser, a recorder or a player of the same kind.

    check_transparent(wrap)         a client that `wrap` observes sees what a plain client sees
    check_framing(parse)            bytes become the events that WHATWG says, however they are cut into chunks
    check_lossless(record)          bytes and chunk boundaries come back
    check_record_of_replay(path)    what is recorded of a replayed recording is that recording

Each raises AssertionError with what was given, what came of it, and what should have. Each checks at least one
thing, or says that it did not.
"""

from recorder.testing.contract.colours import COLOURS
from recorder.testing.contract.framing import FRAMING, Dispatched, check_framing, check_lossless
from recorder.testing.contract.recordings import check_record_of_replay
from recorder.testing.contract.transparent import (
    SCENARIOS,
    WAYS,
    Call,
    Saw,
    Way,
    Wrap,
    check_calls,
    check_scenario,
    check_transparent,
    trace,
)

__all__ = [
    "COLOURS",
    "FRAMING",
    "SCENARIOS",
    "WAYS",
    "Call",
    "Dispatched",
    "Saw",
    "Way",
    "Wrap",
    "check_calls",
    "check_framing",
    "check_lossless",
    "check_record_of_replay",
    "check_scenario",
    "check_transparent",
    "trace",
]
