"""What our tests, our demo and our users' tests stand on: a real upstream that keeps an exact script.

`Upstream` is an HTTP/1.1 server on the loopback, not a mock: the client opens a socket, the SDK decodes,
retries and fails as it does in production. A `Reply` says which bytes leave when and how the connection
ends. `chunkings` cuts a body in the places where parsers break; `ManualClock` replaces `perf_counter_ns`.

    with Upstream([Reply.sse(message_events("Hel", "lo"), gap=5_000_000)]) as upstream:
        client = Anthropic(base_url=upstream.url, api_key="test")

Every time is an integer in nanoseconds (ns) since the request was fully received. Times are absolute
deadlines, so a late step delays no later one.

`bedrock_reply` answers as Bedrock does, in binary frames.

`answer_from` makes the upstream answer from recordings, `reply_of` makes a script of one recorded stream,
`make_recording` makes a recording of a text or a script. These are loaded when first used: unlike the rest they
need the library, the first two the SDK as well.

`recorder.testing.contract` has the checks that we hold our own tap, parser and player to. README.md, beside this
file, shows all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recorder.testing.aws import bedrock_event, bedrock_exception, bedrock_frame, bedrock_reply
from recorder.testing.chunks import chunkings
from recorder.testing.clock import ManualClock
from recorder.testing.connection import Received
from recorder.testing.reply import Reply, Step, encode_event, gzip_steps, message_events
from recorder.testing.upstream import Upstream

if TYPE_CHECKING:
    from recorder.hygiene.make import make_recording
    from recorder.testing.recorded import answer_from, reply_of

__all__ = [
    "ManualClock",
    "Received",
    "Reply",
    "Step",
    "Upstream",
    "answer_from",
    "bedrock_event",
    "bedrock_exception",
    "bedrock_frame",
    "bedrock_reply",
    "chunkings",
    "encode_event",
    "gzip_steps",
    "make_recording",
    "message_events",
    "reply_of",
]


def __getattr__(name: str) -> Any:
    if name == "make_recording":
        from recorder.hygiene.make import make_recording

        return make_recording
    if name not in ("answer_from", "reply_of"):
        raise AttributeError(f"module 'recorder.testing' has no attribute {name!r}")
    from recorder.testing import recorded

    return getattr(recorded, name)
