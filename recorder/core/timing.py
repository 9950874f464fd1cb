"""The metrics of one stream, from its records alone: what each number means, and the reference for the SQL.

No payload is read, so a recording without text gives the same numbers. All arithmetic is on integer
nanoseconds; a metric becomes seconds in its last step, `ns / 1e9`. `arrivals.py` says what an arrival, an
output, a pause, a gap and a hold are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Literal, cast

from msgspec import Struct
from msgspec.structs import replace

from .arrivals import Block, Pause, Stream
from .records import End, Event, Gap, Phases, Response, Span, StreamRecord, Summary

STALL_S = 2.0
LONG_STALL_S = 30.0
_UNREACHABLE = re.compile(r"(Read|Write|Close|Connect|Network|Protocol|Proxy|Transport|Connection\w*)Error$")
"""Exception classes that the SDK's own tracing calls `connection_error`."""

Outcome = Literal[
    "complete", "truncated", "error_event", "failed", "timeout", "closed", "http_error", "connect_failed", "lost"
]
"""`truncated`: read to its end without the terminal event. `failed`: by the transport, in the body. `closed`: by
the application. `lost`: no end record. Of several the first that holds: lost, http_error (status >= 400),
error_event, complete, then how the body ended."""
StallKind = Literal["application", "before_first", "tool_buffering", "pinged", "silent"]
"""The first that holds: the application held for more than half of it; no output had come yet; a tool's block was
open for more than half of it; a ping came meanwhile; none of these."""


_NEEDED = {
    "headers": ("headers_s",),
    "body": (
        "first_byte_s", "first_event_s", "ttft_s", "ttft_text_s", "ttf_tool_s", "tool_args_s", "thinking_s",
        "second_s", "stream_s", "tail_s", "tpot_s", "output_tps", "output_cps", "gap_p50_s", "gap_p95_s",
        "gap_p99_s", "gap_max_s", "stalls", "stalled_s", "stalls_30", "stalled_30_s", "silence_max_s",
        "chunks", "coalesced", "censored", "wait_s", "hold_s", "consumer_bound",
    ),
    "end": ("duration_s",),
}  # fmt: skip
"""What cannot be said of an imported stream when these times are not known: `sql/unknown.sql` says the same."""


class Timing(Struct, kw_only=True, frozen=True):
    """One stream in numbers. `_s`: seconds since the request was sent or, where two moments are named, between
    them. A number that the stream cannot give is None, never 0; of an imported one that may be nearly all.
    """

    connect_s: float | None
    """TCP connection (to the proxy, if there is one), name look-up included. None: reused, or not known."""
    tunnel_s: float | None
    """A proxy's way to the server. None: none was asked for, or not known."""
    tls_s: float | None
    """TLS handshake with the server. None: none was made, or not known."""
    send_s: float | None
    """The request's headers and body, into the socket. None: not sent, or not known."""
    sent_s: float | None
    """The end of that. `headers_s - sent_s` is what the server took. None: as `send_s`."""
    reused: bool | None
    """The connection was there already. None: nothing was sent, or not known."""
    headers_s: float | None
    """Response headers. None: no response."""
    first_byte_s: float | None
    """First chunk of the body. None: no body."""
    first_event_s: float | None
    """First event that is not a ping. None: no such event."""
    ttft_s: float | None
    """First output of any kind. None: no output."""
    ttft_text_s: float | None
    """First output of text (time to the first token of the answer). None: no text."""
    ttf_tool_s: float | None
    """Start of the first `tool_use` block. None: no such block."""
    tool_args_s: float | None
    """That block's start to its stop. None: it did not stop."""
    thinking_s: float | None
    """First to last output of each `thinking` block, summed. None: no thinking."""
    second_s: float | None
    """First to second output. None: fewer than two."""
    stream_s: float | None
    """First to last output. None: no output."""
    tail_s: float | None
    """Last output to the end of the body. None: no output, or lost."""
    duration_s: float | None
    """The end. None: lost."""
    tpot_s: float | None
    """`stream_s / (output_tokens - 1)`. None: tokens unknown or at most 1, or `stream_s` is 0 or None."""
    output_tps: float | None
    """`output_tokens / stream_s`. None: as `tpot_s`."""
    output_cps: float | None
    """`output_chars / stream_s`; needs no usage. None: `stream_s` is 0 or None."""
    gap_p50_s: float | None
    """Percentiles of the gaps, interpolated linearly as by `quantile_cont`. None: no gap."""
    gap_p95_s: float | None
    gap_p99_s: float | None
    gap_max_s: float | None
    stalls: int | None
    """Pauses of more than 2 s. Unlike gaps they may cross blocks, precede the first output or follow the last."""
    stalled_s: float | None
    """Their sum."""
    stalls_30: int | None
    """Pauses of more than 30 s."""
    stalled_30_s: float | None
    silence_max_s: float | None
    """Longest time without a byte, from the send to the last record. Pings and comments are bytes."""
    pings: int
    chunks: int | None
    """Chunks of the body; of a lost stream, as far as records were completed."""
    events: int
    bytes: int | None
    """Of the body after content-decoding. None: lost."""
    coalesced: int | None
    """Events that came in the same chunk as the event before."""
    censored: int | None
    """Events that came before the application asked for them: `at` is when it asked."""
    dropped_chunks: int
    """Chunks that the recorder could not keep: other counts are without them."""
    output_chars: int
    """Unicode code points of output."""
    wait_s: float | None
    """The application was blocked in the reads of the body, the one that found its end included."""
    hold_s: float | None
    """Held by the application between reads, from the headers to the end. Of an eager stream also after it, as
    the application comes to the end later."""
    consumer_bound: bool | None
    """`hold_s` is more than 20 % of the duration (of a lost stream: of its recorded part)."""
    input_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    """None: no `message_delta` said it. What `message_start` says is a placeholder."""
    thinking_tokens: int | None
    usage_partial: bool
    """`output_tokens` is unknown."""
    outcome: Outcome
    error_type: str | None
    """The API's own (`overloaded_error`), else the status (`"502"`), `client_timeout_error`, `connection_error`,
    else the exception's class. None: no error."""


class Stall(Struct, kw_only=True, frozen=True):
    """A pause longer than a threshold."""

    seq: int
    """The record that ended it: an output or the end."""
    kind: StallKind
    block: int | None
    """Block of the output that ended it; at the end, the last block that an event named."""
    type: str | None
    """That block's type. None: no block, or its start is not recorded."""
    start_s: float
    """Since the send."""
    stall_s: float
    hold_s: float
    """Of that, held by the application."""
    pings: int
    """Pings that came meanwhile."""


def timing(records: Iterable[StreamRecord]) -> Timing:
    """The metrics of one stream. `records`: all of one `stream`, by `seq`."""
    stream = Stream(records)
    error_event = any(event.event == "error" for event in stream.events)
    outcome = outcome_of(stream.response, stream.end, error_event=error_event)
    whole = Timing(
        **_phases(stream),
        **_milestones(stream),
        **_rates(stream),
        **_pauses(stream),
        **_counts(stream),
        **usage_of(stream.end.summary if stream.end else None),
        outcome=outcome,
        error_type=error_type_of(outcome, stream.response, stream.end),
    )
    if not stream.unknown:
        return whole
    return replace(whole, **{name: None for one in stream.unknown for name in _NEEDED.get(one, ())})


def stalls(records: Iterable[StreamRecord], threshold_s: float = STALL_S) -> list[Stall]:
    """The pauses of one stream that are longer than `threshold_s`, in order; none where times are not known."""
    return stalls_of(Stream(records), threshold_s)


def stalls_of(stream: Stream, threshold_s: float = STALL_S) -> list[Stall]:
    """The same of a stream whose arrivals are known."""
    if "body" in stream.unknown:
        return []
    return [_stall(stream, pause) for pause in stream.pauses if pause.ns > _ns(threshold_s)]


def _phases(stream: Stream) -> dict[str, Any]:
    told = [record for record in (stream.response, stream.end) if record]
    phases = next((record.phases for record in told if record.phases is not None), Phases())
    return {
        "connect_s": _s(_length(phases.connect)),
        "tunnel_s": _s(_length(phases.tunnel)),
        "tls_s": _s(_length(phases.tls)),
        "send_s": _s(_length(phases.send)),
        "sent_s": _s(phases.send[1] if phases.send else None),
        "reused": next((record.reused for record in told if record.reused is not None), None),
    }


def _milestones(stream: Stream) -> dict[str, Any]:
    ats = [event.at for event in stream.outputs]
    end_at = stream.end.at if stream.end else None
    started = [block for block in stream.blocks.values() if block.start is not None]
    tools = (block for block in started if block.type == "tool_use")
    tool = min(tools, key=lambda block: (block.start, block.index), default=Block(-1))
    thinking = [_between(b.first, b.last) or 0 for b in started if b.type == "thinking" and b.first is not None]
    return {
        "headers_s": _s(stream.response.at if stream.response else None),
        "first_byte_s": _s(next((arrival.at for arrival in stream.arrivals if arrival.is_body), None)),
        "first_event_s": _s(next((event.at for event in stream.events if event.event != "ping"), None)),
        "ttft_s": _s(ats[0] if ats else None),
        "ttft_text_s": _s(next((e.at for e in stream.outputs if e.delta in {"text", "text_delta"}), None)),
        "ttf_tool_s": _s(tool.start),
        "tool_args_s": _s(_between(tool.start, tool.stop)),
        "thinking_s": _s(sum(thinking) if thinking else None),
        "second_s": _s(ats[1] - ats[0] if len(ats) > 1 else None),
        "tail_s": _s(_between(ats[-1] if ats else None, end_at)),
        "duration_s": _s(end_at),
    }


def _rates(stream: Stream) -> dict[str, Any]:
    ats = [event.at for event in stream.outputs]
    stream_s = _s(ats[-1] - ats[0] if ats else None)
    chars = sum(event.chars or 0 for event in stream.outputs)
    tokens: int | None = usage_of(stream.end.summary if stream.end else None)["output_tokens"]
    counted = tokens if tokens is not None and tokens > 1 else None
    return {
        "stream_s": stream_s,
        "output_chars": chars,
        "tpot_s": stream_s / (counted - 1) if stream_s and counted else None,
        "output_tps": counted / stream_s if stream_s and counted else None,
        "output_cps": chars / stream_s if stream_s else None,
    }


def _pauses(stream: Stream) -> dict[str, Any]:
    gaps = sorted(pause.ns for pause in stream.pauses if pause.is_gap)
    stalled = [pause.ns for pause in stream.pauses if pause.ns > _ns(STALL_S)]
    long = [ns for ns in stalled if ns > _ns(LONG_STALL_S)]
    wait = sum(arrival.wait for arrival in stream.arrivals if arrival.fresh)
    hold = sum(arrival.hold or 0 for arrival in stream.arrivals)
    if (end := stream.end) is not None:  # an eager stream's reads are the tap's own
        wait = wait if end.waited is None else end.waited
        hold = hold if end.held is None else end.held
    return {
        "gap_p50_s": _percentile(gaps, 50),
        "gap_p95_s": _percentile(gaps, 95),
        "gap_p99_s": _percentile(gaps, 99),
        "gap_max_s": _s(gaps[-1] if gaps else None),
        "stalls": len(stalled),
        "stalled_s": _s(sum(stalled)),
        "stalls_30": len(long),
        "stalled_30_s": _s(sum(long)),
        "silence_max_s": _s(max((arrival.silence or 0 for arrival in stream.arrivals), default=0)),
        "wait_s": _s(wait),
        "hold_s": _s(hold),
        "consumer_bound": hold * 5 > stream.last_at,
    }


def _counts(stream: Stream) -> dict[str, Any]:
    end = stream.end
    ordinals = [arrival.chunk for arrival in stream.arrivals if arrival.is_body]
    gaps = [arrival.record for arrival in stream.arrivals if isinstance(arrival.record, Gap)]
    return {
        "pings": sum(event.event == "ping" for event in stream.events),
        "chunks": end.chunks if end else max(ordinals, default=-1) + 1,
        "events": len(stream.events),
        "bytes": end.bytes if end else None,
        "censored": sum(a.censored and a.whole and isinstance(a.record, Event) for a in stream.arrivals),
        "coalesced": sum(before.chunk == event.chunk for before, event in pairwise(stream.events)),
        "dropped_chunks": sum(gap.chunks for gap in gaps),
    }


def usage_of(summary: Summary | None) -> dict[str, Any]:
    """The fields of Timing that count tokens."""
    usage = summary.usage if summary and summary.usage else {}
    details = usage.get("output_tokens_details")
    output = _tokens(usage, "output_tokens")
    return {
        "input_tokens": _tokens(usage, "input_tokens"),
        "cache_read_tokens": _tokens(usage, "cache_read_input_tokens"),
        "cache_write_tokens": _tokens(usage, "cache_creation_input_tokens"),
        "output_tokens": output,
        "thinking_tokens": _tokens(details, "thinking_tokens"),
        "usage_partial": output is None,
    }


def _tokens(usage: object, name: str) -> int | None:
    value = cast("dict[str, object]", usage).get(name) if isinstance(usage, dict) else None
    return value if type(value) is int and -(2**63) <= value < 2**63 else None


def outcome_of(response: Response | None, end: End | None, *, error_event: bool) -> Outcome:
    """How a stream ended. `error_event`: an event named `error` came."""
    if end is None:
        return "lost"
    if response and response.status >= 400:
        return "http_error"
    if error_event or (end.summary and end.summary.error):
        return "error_event"
    if end.complete:
        return "complete"
    if end.end == "failed":
        if end.error and "Timeout" in end.error.type:
            return "timeout"
        return "failed" if response else "connect_failed"
    return "closed" if end.end == "closed" else "truncated"


def error_type_of(outcome: Outcome, response: Response | None, end: End | None) -> str | None:
    """`error_type` of a stream that ended so."""
    if end and end.summary and end.summary.error:
        return end.summary.error.type
    if outcome == "http_error" and response:
        return str(response.status)
    if end is None or end.error is None:
        return None
    if "Timeout" in end.error.type:
        return "client_timeout_error"
    if outcome == "connect_failed" or _UNREACHABLE.search(end.error.type):
        return "connection_error"
    return end.error.type


def _stall(stream: Stream, pause: Pause) -> Stall:
    before, after = stream.arrivals[pause.before], stream.arrivals[pause.after]
    inside = stream.arrivals[pause.before + 1 : pause.after + 1]
    if isinstance(after.record, Event):
        index = after.record.block
    else:
        index = next((event.block for event in reversed(stream.events) if event.block is not None), None)
    block = stream.blocks.get(index, Block(-1)) if index is not None else Block(-1)
    hold = sum(arrival.hold or 0 for arrival in inside)
    pings = [a for a in inside if a.whole and isinstance(a.record, Event) and a.record.event == "ping"]
    pings = [ping for ping in pings if before.at < ping.at < after.at]
    is_tool = block.type is not None and block.type.endswith("tool_use") and block.start is not None
    kind: StallKind = "pinged" if pings else "silent"
    if is_tool and _overlap(block, before.at, after.at) * 2 > pause.ns:
        kind = "tool_buffering"
    if isinstance(before.record, Response):
        kind = "before_first"
    if hold * 2 > pause.ns:
        kind = "application"
    return Stall(
        seq=after.record.seq,
        kind=kind,
        block=index,
        type=block.type,
        start_s=before.at / 1e9,
        stall_s=pause.ns / 1e9,
        hold_s=hold / 1e9,
        pings=len(pings),
    )


def _overlap(block: Block, start: int, stop: int) -> int:
    return min(stop, stop if block.stop is None else block.stop) - max(start, block.start or 0)


def _length(span: Span | None) -> int | None:
    return span[1] - span[0] if span else None


def _between(start: int | None, stop: int | None) -> int | None:
    return None if start is None or stop is None else stop - start


def _percentile(ordered: Sequence[int], percent: int) -> float | None:
    """Seconds; between the two nearest of sorted `ordered` ns, interpolated in whole numbers."""
    if not ordered:
        return None
    place, part = divmod((len(ordered) - 1) * percent, 100)
    above = ordered[min(place + 1, len(ordered) - 1)]
    return (ordered[place] * (100 - part) + above * part) / 1e11


def _s(ns: int | None) -> float | None:
    return None if ns is None else ns / 1e9


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
