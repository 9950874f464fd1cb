"""The metrics of one stream against numbers worked out by hand, and against the chunks it came in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, fields

from recorder.core.arrivals import Stream
from recorder.core.attempt import Attempt
from recorder.core.records import ErrorInfo, Event, Phases, StreamRecord, Summary
from recorder.core.redact import Secrets
from recorder.core.timing import Timing, timing
from tests.core.script import MS, Script

S = 1_000_000_000


def usage(**tokens: Any) -> Summary:
    return Summary(model="m", usage=tokens)


def a_whole_stream() -> Script:
    """Thinking, text and a tool; one comment, pings, a coalesced chunk, a split event, a slow application."""
    spans = {"connect": (2, 22), "tunnel": (22, 25), "tls": (25, 55), "send": (56, 57), "headers": (57, 100)}
    phases = Phases(**{name: (start * MS, stop * MS) for name, (start, stop) in spans.items()})
    script = Script(headers_ms=100, phases=phases, reused=False)
    script.event("message_start", 110).start(0, "thinking", 120).event("ping")
    script.delta(0, "thinking_delta", 0, 130).delta(0, "thinking_delta", 4, 200)
    script.delta(0, "thinking_delta", 4, 230).delta(0, "signature_delta", 0, 240).stop(0, 250)
    script.start(1, "text", 260).text(0, 265, 1).text(3, 300, 1).text(5, None, 1).text(2, 320, 1)
    script.text(6, 380, 1, split=((340, 20), (370, 30))).bytes(390).text(7, 500, 1, hold=90).stop(1, 510)
    script.start(2, "tool_use", 520).delta(2, "input_json_delta", 0, None).event("ping", 2000)
    script.delta(2, "input_json_delta", 9, 3000).delta(2, "input_json_delta", 9, 3040).stop(2, 3060)
    script.event("message_delta", 3070).event("message_stop")
    tokens = {"input_tokens": 10, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 30}
    details = {"output_tokens_details": {"thinking_tokens": 11}}
    return script.end(3100, complete=True, bytes=4321, summary=usage(**tokens, **details, output_tokens=41))


def test_every_metric_of_a_whole_stream() -> None:
    expected = Timing(
        connect_s=0.02,
        tunnel_s=0.003,
        tls_s=0.03,
        send_s=0.001,
        sent_s=0.057,
        reused=False,
        headers_s=0.1,
        first_byte_s=0.11,
        first_event_s=0.11,
        ttft_s=0.2,
        ttft_text_s=0.3,
        ttf_tool_s=0.52,
        tool_args_s=2.54,
        thinking_s=0.03,
        second_s=0.03,
        stream_s=2.84,
        tail_s=0.06,
        duration_s=3.1,
        tpot_s=2.84 / 40,
        output_tps=41 / 2.84,
        output_cps=49 / 2.84,
        gap_p50_s=0.04,  # of 20, 30, 40, 60 and 120 ms
        gap_p95_s=0.108,
        gap_p99_s=0.1176,
        gap_max_s=0.12,
        stalls=1,  # 500 to 3000 ms, into the tool's input
        stalled_s=2.5,
        stalls_30=0,
        stalled_30_s=0.0,
        silence_max_s=1.48,
        pings=2,
        chunks=23,
        events=24,
        bytes=4321,
        coalesced=4,
        censored=0,
        dropped_chunks=0,
        output_chars=49,
        wait_s=2.91,
        hold_s=0.09,
        consumer_bound=False,
        input_tokens=10,
        cache_read_tokens=20,
        cache_write_tokens=30,
        output_tokens=41,
        thinking_tokens=11,
        usage_partial=False,
        outcome="complete",
        error_type=None,
    )
    assert asdict(expected) == asdict(timing(a_whole_stream().records))


def test_a_request_that_was_never_answered_has_no_numbers_and_is_lost() -> None:
    nothing = timing(Script(status=None).records)
    null = {name for name, value in asdict(nothing).items() if value is None}
    zero = {name for name, value in asdict(nothing).items() if value == 0}
    assert {f.name for f in fields(Timing)} == null | zero | {"outcome", "usage_partial"}
    assert nothing.outcome == "lost"
    assert nothing.usage_partial
    assert null >= {"headers_s", "ttft_s", "duration_s", "tail_s", "stream_s", "bytes", "gap_max_s", "error_type"}


def test_no_record_at_all_is_the_same() -> None:
    assert timing(Script(status=None).records) == timing([])


@pytest.mark.parametrize(
    ("script", "outcome", "error_type"),
    [
        (Script().text(1, 200), "lost", None),
        (Script().text(1, 200).end(300, complete=True), "complete", None),
        (Script().text(1, 200).end(300), "truncated", None),
        (Script().text(1, 200).end(300, "closed"), "closed", None),
        (Script().text(1, 200).end(300, "closed", complete=True), "complete", None),
        (
            Script()
            .event("error", 200)
            .end(300, "closed", summary=Summary(error=ErrorInfo(type="t", message=""))),
            "error_event",
            "t",
        ),
        (Script().end(300, summary=Summary(error=ErrorInfo(type="t", message=""))), "error_event", "t"),
        (Script().event("error", 200).end(300, "closed"), "error_event", None),
        (
            Script().end(300, "failed", error=ErrorInfo(type="httpx2.ReadError", message="")),
            "failed",
            "connection_error",
        ),
        (Script().end(300, "failed", error=ErrorInfo(type="a.Odd", message="")), "failed", "a.Odd"),
        (
            Script().end(300, "failed", error=ErrorInfo(type="httpx2.ReadTimeout", message="")),
            "timeout",
            "client_timeout_error",
        ),
        (
            Script(status=None).end(300, "failed", error=ErrorInfo(type="builtins.OSError", message="")),
            "connect_failed",
            "connection_error",
        ),
        (
            Script(status=None).end(300, "failed", error=ErrorInfo(type="httpx2.ConnectTimeout", message="")),
            "timeout",
            "client_timeout_error",
        ),
        (
            Script(status=None).end(
                300, "closed", error=ErrorInfo(type="asyncio.exceptions.CancelledError", message="")
            ),
            "closed",
            "asyncio.exceptions.CancelledError",
        ),
        (Script(status=502).bytes(200).end(300, complete=True), "http_error", "502"),
        (
            Script(status=529)
            .bytes(200)
            .end(300, complete=True, summary=Summary(error=ErrorInfo(type="overloaded_error", message=""))),
            "http_error",
            "overloaded_error",
        ),
        (
            Script(status=500).end(300, "failed", error=ErrorInfo(type="httpx2.ReadTimeout", message="")),
            "http_error",
            "500",
        ),
    ],
)
def test_outcome_and_error_type(script: Script, outcome: str, error_type: str | None) -> None:
    seen = timing(script.records)
    assert (outcome, error_type) == (seen.outcome, seen.error_type)


def test_no_output_is_null_never_zero_and_never_the_duration() -> None:
    seen = timing(Script().event("message_start", 200).event("message_stop", 300).end(400, complete=True).records)
    names = ("ttft_s", "ttft_text_s", "second_s", "stream_s", "tail_s", "tpot_s", "output_tps", "output_cps")
    assert [None] * len(names) == [getattr(seen, name) for name in names]
    assert (seen.duration_s, seen.first_event_s) == (0.4, 0.2)


def test_one_output_has_a_span_of_zero_and_no_rates() -> None:
    seen = timing(Script().text(5, 200).end(400, summary=usage(output_tokens=9)).records)
    assert (seen.ttft_s, seen.stream_s, seen.tail_s) == (0.2, 0.0, 0.2)
    assert (seen.second_s, seen.tpot_s, seen.output_tps, seen.output_cps, seen.gap_p50_s) == (None,) * 5


def test_outputs_of_one_chunk_are_no_gap_and_no_rate() -> None:
    seen = timing(Script().text(5, 200).text(5).end(400, summary=usage(output_tokens=9)).records)
    assert (seen.second_s, seen.stream_s, seen.coalesced) == (0.0, 0.0, 1)
    assert (seen.gap_max_s, seen.output_tps, seen.output_cps) == (None, None, None)


def test_a_gap_that_crosses_blocks_is_none() -> None:
    seen = timing(Script().text(5, 200, 0).text(5, 300, 1).records)
    assert (seen.second_s, seen.gap_max_s) == (0.1, None)


def test_output_that_shares_its_chunk_with_a_ping_keeps_its_gap() -> None:
    seen = timing(Script().text(5, 200).event("ping", 300).text(5).records)
    assert (seen.gap_max_s, seen.coalesced) == (0.1, 1)


def test_an_event_after_a_comment_in_one_chunk_is_not_coalesced() -> None:
    assert timing(Script().text(1, 200).bytes(300).text(1).records).coalesced == 0
    assert timing(Script().text(1, 200).event("ping", 300).bytes().text(1).records).coalesced == 1


@pytest.mark.parametrize("tokens", [None, 0, 1, True, "41", 4.1, 2**63])
def test_tokens_that_give_no_rate(tokens: object) -> None:
    seen = timing(Script().text(5, 200).text(5, 300).end(400, summary=usage(output_tokens=tokens)).records)
    assert (seen.tpot_s, seen.output_tps, seen.output_cps) == (None, None, 100.0)


def test_usage_without_output_tokens_is_partial() -> None:
    seen = timing(Script().end(400, "closed", summary=usage(input_tokens=7)).records)
    assert (seen.input_tokens, seen.output_tokens, seen.usage_partial) == (7, None, True)


def test_characters_per_second_need_no_usage() -> None:
    assert timing(Script().text(5, 200).text(5, 300).end(400, "closed").records).output_cps == 100.0


def test_signatures_and_empty_deltas_are_no_output() -> None:
    script = Script().delta(0, "input_json_delta", 0, 200).delta(0, "signature_delta", 5, 300)
    assert timing(script.records).ttft_s is None


def test_unknown_deltas_and_blocks_that_arrive_whole_are_output() -> None:
    assert timing(Script().delta(0, "new_delta", 3, 200).records).ttft_s == 0.2
    assert timing(Script().start(0, "redacted_thinking", 200, chars=99).records).output_chars == 99


def test_text_that_stands_in_its_block_start_is_an_answer() -> None:
    seen = timing(Script().delta(0, "thinking_delta", 1, 150).start(1, "text", 200, chars=3).records)
    assert (seen.ttft_s, seen.ttft_text_s) == (0.15, 0.2)


def test_a_tool_that_never_stops_has_no_args_time_and_a_server_tool_is_none() -> None:
    seen = timing(Script().start(0, "server_tool_use", 200).start(1, "tool_use", 300).records)
    assert (seen.ttf_tool_s, seen.tool_args_s) == (0.3, None)


def test_thinking_is_summed_over_its_blocks() -> None:
    script = (
        Script().start(0, "thinking", 200).delta(0, "thinking_delta", 1, 300).delta(0, "thinking_delta", 1, 350)
    )
    script.start(1, "text", 400).text(1, 450, 1)
    script.start(2, "thinking", 500).delta(2, "thinking_delta", 1, 600).delta(2, "thinking_delta", 1, 625)
    assert timing(script.records).thinking_s == 0.075


def test_a_body_that_is_no_event_stream_is_timed_too() -> None:
    seen = timing(Script().bytes(200).bytes(260).end(300, complete=True, chunks=2).records)
    assert (
        seen.outcome, seen.first_byte_s, seen.first_event_s, seen.ttft_s, seen.chunks, seen.events,
    ) == ("complete", 0.2, None, None, 2, 0)  # fmt: skip


def test_pings_are_bytes_but_no_first_event_and_no_progress() -> None:
    script = Script().event("ping", 200).event("message_start", 300).text(1, 400)
    script.event("ping", 1900).text(1, 3900).end(4000)
    seen = timing(script.records)
    assert (
        seen.first_byte_s, seen.first_event_s, seen.pings, seen.silence_max_s, seen.stalls, seen.stalled_s,
    ) == (0.2, 0.3, 2, 2.0, 1, 3.5)  # fmt: skip


def test_silence_counts_from_the_send_to_the_end() -> None:
    assert timing(Script(headers_ms=5000).text(1, 5100).end(5200).records).silence_max_s == 5.0
    assert timing(Script().text(1, 200).end(9200).records).silence_max_s == 9.0
    assert timing(Script(status=None).end(700, "failed").records).silence_max_s == 0.7


def test_a_chunk_that_ends_inside_a_record_is_an_arrival() -> None:
    seen = timing(Script().event("message_start", 700, split=((200, 100), (500, 250))).records)
    assert (
        seen.first_byte_s, seen.first_event_s, seen.silence_max_s, seen.wait_s, seen.hold_s, seen.chunks,
    ) == (0.2, 0.7, 0.3, 0.55, 0.05, 3)  # fmt: skip


def test_a_chunk_that_completes_a_record_and_ends_in_the_next_waits_once() -> None:
    script = Script().text(1, 200)
    script.records.append(
        Event(
            stream="s", seq=3, at=300 * MS, wait=60 * MS, chunk=1, event="ping", split=((5, 200 * MS, 100 * MS),)
        )
    )
    seen = timing(script.records)
    assert (seen.wait_s, seen.hold_s, seen.chunks) == (0.16, 0.04, 2)


def test_what_touches_dropped_records_is_not_known() -> None:
    script = Script().text(1, 200).gap(5000).text(1, 9000, hold=100).text(1, 9100).end(9200)
    seen = timing(script.records)
    assert (seen.dropped_chunks, seen.stalls, seen.gap_max_s, seen.hold_s) == (3, 0, 0.1, 0.0)
    assert seen.silence_max_s == 0.1


@pytest.mark.parametrize(("hold_ms", "expected"), [(80, False), (80.001, True)])
def test_consumer_bound_is_more_than_a_fifth_of_the_duration(hold_ms: float, expected: bool) -> None:
    assert expected == timing(Script().text(1, 300, hold=hold_ms).end(400).records).consumer_bound


def test_percentiles_are_interpolated() -> None:
    script = Script().text(1, 200)
    for ms in (210, 230, 260, 300):
        script.text(1, ms)
    seen = timing(script.records)
    assert (seen.gap_p50_s, seen.gap_p95_s, seen.gap_p99_s, seen.gap_max_s) == (0.025, 0.0385, 0.0397, 0.04)


def test_huge_times_stay_exact() -> None:
    day = 86_400 * S
    script = Script().text(1, 200).text(1, 200 + day // MS).end(201 + day // MS)
    seen = timing(script.records)
    assert (seen.gap_max_s, seen.stalls, seen.stalls_30) == (86_400.0, 1, 1)


BODY = b"".join(
    b"event: content_block_delta\ndata: " + data + b"\n\n: comment\n\n"
    for data in [b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello"}}'] * 6
)


@given(
    cuts=st.lists(st.integers(0, len(BODY)), max_size=12),
    times=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=14, max_size=14),
)
def test_however_a_body_is_cut_its_chunks_are_counted_once(cuts: list[int], times: list[tuple[int, int]]) -> None:
    """The recorder's own records, against the chunks that went in."""
    attempt = Attempt(stream="s", call="c", attempt=0, secrets=Secrets([]))
    records: list[StreamRecord] = [
        attempt.request(wall=0, mono=0, method="POST", url="/", headers=[], body=b""),
        attempt.response(at=7, status=200, headers=[("content-type", "text/event-stream")]),
    ]
    edges = [0, *sorted(cuts), len(BODY)]
    at, arrivals = 7, [7]
    for start, stop, (hold, wait) in zip(edges, edges[1:], times, strict=False):
        at += hold + wait
        arrivals.append(at)
        records += attempt.chunk(at, wait, BODY[start:stop])
    hold, wait = times[-1]
    records += attempt.end(at + hold + wait, wait, "read")
    used = [*times[: len(edges) - 1], times[-1]]
    seen = timing(records)
    assert len(edges) - 1 == seen.chunks
    assert sum(wait for _, wait in used) / 1e9 == seen.wait_s
    assert sum(hold for hold, _ in used) / 1e9 == seen.hold_s
    assert arrivals[1] / 1e9 == seen.first_byte_s
    assert max(7, *(hold + wait for hold, wait in used)) / 1e9 == seen.silence_max_s
    assert seen.events == 6


def test_phases_of_an_attempt_that_got_no_response() -> None:
    script = Script(status=None).end(300, "failed", phases=Phases(connect=(1 * MS, 2 * MS), send=(3 * MS, 5 * MS)))
    seen = timing(script.records)
    assert (seen.connect_s, seen.tls_s, seen.send_s, seen.sent_s, seen.reused) == (0.001, None, 0.002, 0.005, None)


def test_an_eager_stream_is_waited_for_and_held_by_what_its_end_says() -> None:
    script = Script().text(1, 200).text(1, 400).end(410, waited=50 * MS, held=900 * MS)
    seen = timing(script.records)
    assert (seen.wait_s, seen.hold_s, seen.consumer_bound) == (0.05, 0.9, True)


def censored(script: Script) -> list[tuple[float, float]]:
    """(earliest, at) of the censored arrivals, in ms."""
    return [(one.earliest / MS, one.at / MS) for one in Stream(script.records).arrivals if one.censored]


def test_an_arrival_that_was_waited_for_is_known() -> None:
    assert censored(Script().text(1, 200).text(1, 300, hold=99.5).end(400)) == []


def test_an_arrival_that_was_there_came_since_the_last_that_was_waited_for() -> None:
    script = Script().text(1, 200).text(1, 300, hold=100).text(1, 400, hold=99.6).text(1, 401).end(500, wait=0)
    assert censored(script) == [(200, 300), (200, 400), (401, 500)]


def test_a_first_chunk_that_was_there_came_since_the_headers() -> None:
    assert censored(Script(headers_ms=100).text(1, 130, hold=30)) == [(100, 130)]


def test_a_burst_read_at_once_is_known_until_reading_it_took_long() -> None:
    script = Script().text(1, 200).text(1, 200.3).text(1, 200.49).text(1, 200.5).text(1, 200.6)
    assert censored(script) == [(200, 200.5), (200, 200.6)]


def test_events_of_a_censored_chunk_are_censored_and_counted_but_not_other_bytes() -> None:
    script = Script().text(1, 200).text(1, 300, hold=100).text(1, None).bytes(310, hold=10).end(400)
    assert censored(script) == [(200, 300), (200, 300), (200, 310)]
    assert timing(script.records).censored == 2


def test_a_gap_record_does_not_make_an_arrival_known() -> None:
    assert censored(Script().text(1, 200).gap(250).text(1, 300, hold=50).end(400)) == [(200, 300)]
