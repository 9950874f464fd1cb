"""Calls at a real collector: the protobufs it decoded, against the recording."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from recorder.analytics.otlp import NotSent, Sent, send
from recorder.analytics.report import Tables
from recorder.analytics.selection import Selection
from recorder.core.records import Record, Request
from recorder.core.semconv import SECONDS, TOKENS, VERSIONS
from recorder.log.reader import find_segments
from tests.analytics.collector import Collector, collector, plain
from tests.cli import recordings

MS = recordings.MS
WALL = recordings.WALL
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def sent(path: Path, **options: Any) -> Collector:
    """What a collector got of these recordings."""
    files = find_segments(path)
    with collector() as taken:
        counted = send(Tables(files, report=pytest.fail), taken.url, **options)
    points = [point for metric in taken.metrics for point in points_of(metric)]
    assert counted == Sent(spans=len(taken.spans), points=len(points))
    return taken


def points_of(metric: Any) -> list[Any]:
    return list(getattr(metric, metric.WhichOneof("data")).data_points)


def with_header(records: list[Record], name: str, value: str) -> list[Record]:
    first, *rest = records
    assert isinstance(first, Request)
    return [replace(first, headers={**first.headers, name: value}), *rest]


def test_a_call_is_a_span_with_its_recorded_times_and_what_the_conventions_ask_for(tmp_path: Path) -> None:
    recordings.write(tmp_path / "a.jsonl", recordings.text("01", sent=3000, tags={"feature": "chat"}))

    call, attempt = sent(tmp_path).spans

    assert (call.name, call.kind, call.parent_span_id, call.status.code) == ("chat claude-haiku-4-5", 3, b"", 0)
    start = WALL + 3000 * MS
    assert (call.start_time_unix_nano, call.end_time_unix_nano) == (start, start + 755 * MS)
    assert plain(call.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-haiku-4-5",
        "gen_ai.response.model": "claude-haiku-4-5-20251001",
        "gen_ai.response.id": "msg_01",
        "gen_ai.response.finish_reasons": ["end_turn"],
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.stream": True,
        "gen_ai.response.time_to_first_chunk": 0.4,
        "gen_ai.usage.input_tokens": 8,
        "gen_ai.usage.output_tokens": 8,
        "server.address": "api.anthropic.com",
        "server.port": 443,
        "recorder.outcome": "complete",
        "recorder.attempts": 1,
        "recorder.tag.feature": "chat",
    }
    assert (attempt.name, attempt.parent_span_id, attempt.trace_id) == ("POST", call.span_id, call.trace_id)
    assert plain(attempt.attributes) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "url.full": "https://api.anthropic.com/v1/messages",
        "server.address": "api.anthropic.com",
        "server.port": 443,
        "recorder.stream": "01",
    }
    [event] = attempt.events
    assert (event.name, event.time_unix_nano) == ("recorder.first_output", start + 400 * MS)


def test_a_retried_call_is_one_span_that_holds_its_attempts(tmp_path: Path) -> None:
    recordings.write(
        tmp_path / "a.jsonl",
        recordings.overloaded("01", call="c"),
        recordings.text("02", call="c", attempt=1, sent=2000),
    )

    call, first, second = sent(tmp_path).spans

    assert (call.start_time_unix_nano, call.end_time_unix_nano) == (WALL, WALL + 2755 * MS)
    assert plain(call.attributes)["gen_ai.response.time_to_first_chunk"] == 2.4
    assert (call.status.code, first.status.code, second.status.code) == (0, 2, 0)
    assert plain(first.attributes)["error.type"] == "overloaded_error"
    assert plain(first.attributes)["http.response.status_code"] == 529
    assert plain(second.attributes)["http.request.resend_count"] == 1
    assert first.start_time_unix_nano == WALL
    assert second.start_time_unix_nano == WALL + 2000 * MS
    assert {one.parent_span_id for one in (first, second)} == {call.span_id}


def test_the_status_of_a_span_tells_how_its_stream_ended(tmp_path: Path) -> None:
    recordings.write(tmp_path / "a.jsonl", *recordings.every_kind())

    spans = [(one, plain(one.attributes)) for one in sent(tmp_path).spans]

    found = [(one, attributes) for one, attributes in spans if "recorder.outcome" in attributes]
    assert [attributes["recorder.outcome"] for _, attributes in found] == recordings.OUTCOMES
    for one, attributes in found:
        assert one.status.code == (0 if attributes["recorder.outcome"] in ("complete", "closed") else 2)
        assert ("error.type" in attributes) == (one.status.code == 2)
        assert one.end_time_unix_nano > one.start_time_unix_nano


def test_a_lost_stream_lasts_to_what_came_last(tmp_path: Path) -> None:
    recordings.write(tmp_path / "a.jsonl", recordings.lost())

    taken = sent(tmp_path)

    assert taken.spans[0].end_time_unix_nano == WALL + 450 * MS
    assert "gen_ai.client.operation.duration" not in {metric.name for metric in taken.metrics}


def test_stalls_are_events_of_the_span(tmp_path: Path) -> None:
    whole = recordings.text_chunks(["a", "b", "c", "d"], start=1000, step=100)
    late = [(at + 5000 if at > 1100 else at, 5000, data) for at, _, data in whole]
    recordings.write(tmp_path / "a.jsonl", recordings.stream("01", late))

    _, attempt = sent(tmp_path).spans

    _, stall = attempt.events
    assert (stall.name, stall.time_unix_nano) == ("recorder.stall", WALL + 1100 * MS)
    assert plain(stall.attributes) == {"kind": "silent", "stall_s": 5.1}


def test_a_recorded_traceparent_names_the_trace_and_the_parent(tmp_path: Path) -> None:
    traced = with_header(recordings.text("01"), "traceparent", f"00-{TRACE}-{PARENT}-01")
    broken = with_header(recordings.text("02", sent=1), "traceparent", f"00-{'0' * 32}-{PARENT}-01")
    recordings.write(tmp_path / "a.jsonl", traced, broken)

    call, attempt, other, _ = sent(tmp_path).spans

    assert (call.trace_id.hex(), call.parent_span_id.hex()) == (TRACE, PARENT)
    assert attempt.trace_id.hex() == TRACE
    assert attempt.parent_span_id == call.span_id
    assert other.parent_span_id == b""
    assert int.from_bytes(other.trace_id) != 0


def test_sent_again_a_span_is_the_same_and_no_two_have_one_id(tmp_path: Path) -> None:
    recordings.write(tmp_path / "a.jsonl", *(kind(f"{n:04}") for n, kind in enumerate(recordings.KINDS)))

    ids = [[(one.trace_id, one.span_id) for one in sent(tmp_path).spans] for _ in range(2)]

    assert ids[0] == ids[1]
    assert len(set(ids[0])) == len(ids[0]) == 2 * len(recordings.KINDS)


def metric(taken: Collector, name: str, **attributes: str) -> list[Any]:
    named = {key.replace("_", "."): value for key, value in attributes.items()}
    return [
        point
        for one in taken.metrics
        if one.name == name
        for point in points_of(one)
        if named.items()
        <= {key.replace("_", "."): value for key, value in plain(point.attributes).items()}.items()
    ]


def test_metrics_are_histograms_of_each_minute_with_its_time(tmp_path: Path) -> None:
    streams = [
        recordings.stream(f"{n:02}", recordings.text_chunks(["a", "b", "c"], start=first), sent=sent_at)
        for n, (first, sent_at) in enumerate([(400, 0), (1280, 1000), (3000, 2000), (500, 90_000)])
    ]
    recordings.write(tmp_path / "a.jsonl", *streams)

    early, late = metric(sent(tmp_path), "gen_ai.client.operation.time_to_first_chunk")

    minute = WALL - WALL % (60 * 1000 * MS)
    assert (early.start_time_unix_nano, early.time_unix_nano) == (minute, minute + 60_000 * MS)
    assert late.start_time_unix_nano == minute + 60_000 * MS
    assert tuple(early.explicit_bounds) == SECONDS
    assert (early.count, early.sum, early.min, early.max) == (3, pytest.approx(4.68), 0.4, 3.0)
    assert list(early.bucket_counts) == in_buckets([0.4, 1.28, 3.0], SECONDS)
    assert (late.count, late.sum) == (1, 0.5)
    assert plain(early.attributes)["gen_ai.request.model"] == "claude-haiku-4-5"


def in_buckets(values: list[float], bounds: tuple[float, ...]) -> list[int]:
    """As OpenTelemetry counts them: a bucket holds its upper bound."""
    edges = [float("-inf"), *bounds, float("inf")]
    return [sum(low < value <= high for value in values) for low, high in pairwise(edges)]


def test_tokens_are_counted_by_kind_with_the_cached_ones_as_input(tmp_path: Path) -> None:
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 2000,
        "cache_creation_input_tokens": 300,
        "output_tokens": 7,
    }
    last = {**recordings.message_delta(7), "usage": usage}
    chunks = [(400, 300, recordings.sse(recordings.message_start(), last, recordings.STOP))]
    recordings.write(tmp_path / "a.jsonl", recordings.stream("01", chunks))

    taken = sent(tmp_path)

    [into] = metric(taken, "gen_ai.client.token.usage", gen_ai_token_type="input")
    [out] = metric(taken, "gen_ai.client.token.usage", gen_ai_token_type="output")
    assert (into.sum, out.sum, tuple(into.explicit_bounds)) == (2310, 7, TOKENS)
    attributes = plain(taken.spans[0].attributes)
    assert attributes["gen_ai.usage.input_tokens"] == 2310
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 2000
    assert attributes["gen_ai.usage.cache_creation.input_tokens"] == 300


def test_gaps_are_the_times_between_chunks(tmp_path: Path) -> None:
    recordings.write(tmp_path / "a.jsonl", recordings.text("01"))

    [gaps] = metric(sent(tmp_path), "gen_ai.client.operation.time_per_output_chunk")

    assert (gaps.count, gaps.min, gaps.max) == (6, 0.05, 0.05)  # 8 words, the last two in one chunk


@pytest.mark.parametrize(
    ("version", "provider", "names", "schema"),
    [
        ("1.36", "gen_ai.system", {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}, "1.36.0"),
        (
            "1.41",
            "gen_ai.provider.name",
            {
                "gen_ai.client.operation.duration",
                "gen_ai.client.operation.time_to_first_chunk",
                "gen_ai.client.operation.time_per_output_chunk",
                "gen_ai.client.token.usage",
            },
            "1.41.0",
        ),
        (
            "genai-dev",
            "gen_ai.provider.name",
            {
                "gen_ai.client.inference.duration",
                "gen_ai.client.inference.time_to_first_chunk",
                "gen_ai.client.inference.time_per_output_chunk",
                "gen_ai.client.inference.operation.input_tokens",
                "gen_ai.client.inference.operation.output_tokens",
                "gen_ai.client.inference.usage.input_tokens",
                "gen_ai.client.inference.usage.output_tokens",
            },
            "gen-ai-dev/1.42.0-dev",
        ),
    ],
)
def test_each_version_of_the_names(
    tmp_path: Path, version: str, provider: str, names: set[str], schema: str
) -> None:
    recordings.write(tmp_path / "a.jsonl", recordings.text("01"))

    taken = sent(tmp_path, semconv=version)

    assert {one.name for one in taken.metrics} == names
    attributes = plain(taken.spans[0].attributes)
    assert attributes[provider] == "anthropic"
    assert ("gen_ai.response.time_to_first_chunk" in attributes) == (version != "1.36")
    urls = {
        scope.schema_url
        for path, message in taken.received
        for resource in (message.resource_spans if path == "/v1/traces" else message.resource_metrics)
        for scope in (resource.scope_spans if path == "/v1/traces" else resource.scope_metrics)
    }
    assert urls == {f"https://opentelemetry.io/schemas/{schema}"}


def test_one_minute_has_one_point_for_each_set_of_attributes(tmp_path: Path) -> None:
    recordings.write(tmp_path / "a.jsonl", *recordings.every_kind())

    for one in sent(tmp_path, semconv="genai-dev").metrics:
        keys = [
            (point.start_time_unix_nano, str(sorted(plain(point.attributes).items()))) for point in points_of(one)
        ]
        assert len(keys) == len(set(keys)), one.name


def test_counters_are_sums_of_the_minute(tmp_path: Path) -> None:
    recordings.write(tmp_path / "a.jsonl", recordings.text("01"), recordings.text("02", sent=10))

    [into] = metric(sent(tmp_path, semconv="genai-dev"), "gen_ai.client.inference.usage.output_tokens")

    assert into.as_int == 16


def test_the_names_are_those_that_the_sdk_knows() -> None:
    from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
    from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
    from opentelemetry.semconv.schemas import Schemas

    if not hasattr(Schemas, "V1_41_0"):
        pytest.skip("this SDK is older than the names")
    known = {str(value) for module in (gen_ai_attributes, gen_ai_metrics) for value in vars(module).values()}
    for version in ("1.36", "1.41"):
        ours = {one.name for one in VERSIONS[version].instruments} | set(VERSIONS[version].attributes.values())
        assert ours <= known


def test_no_text_is_sent(tmp_path: Path) -> None:
    recordings.write(tmp_path / "a.jsonl", *recordings.every_kind())

    taken = sent(tmp_path)

    everything = json.dumps([str(message) for _, message in taken.received])
    for text in ("What is a stream?", "Be brief.", " sequence", "Paris", "Let me", "peer closed", "Overloaded"):
        assert text not in everything


def test_calls_are_chosen(tmp_path: Path) -> None:
    recordings.write(tmp_path / "a.jsonl", *recordings.every_kind())

    spans = sent(tmp_path, selection=Selection(where="outcome = 'failed'")).spans

    assert [plain(one.attributes).get("recorder.stream") for one in spans] == [None, "fa11000000000001"]


def test_more_than_fits_one_request_goes_in_several(tmp_path: Path) -> None:
    recordings.write(tmp_path / "a.jsonl", *(recordings.text(f"{n:04}", sent=n) for n in range(600)))

    taken = sent(tmp_path)

    assert [path for path, _ in taken.received].count("/v1/traces") == 3
    assert len({one.span_id for one in taken.spans}) == 1200


def test_the_environment_adds_headers_and_names_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    recordings.write(tmp_path / "a.jsonl", recordings.text("01"))

    taken = sent(tmp_path)

    assert {headers["x-tenant"] for headers in taken.headers} == {"blue"}
    assert plain(taken.received[0][1].resource_spans[0].resource.attributes)["service.name"] == "shop"


def test_a_collector_that_refuses_is_told(tmp_path: Path) -> None:
    path = recordings.write(tmp_path / "a.jsonl", recordings.text("01"))

    with collector(status=400) as taken, pytest.raises(NotSent, match="400"):
        send(Tables([path], report=pytest.fail), taken.url)


def test_nothing_is_sent_of_calls_that_asked_no_model(tmp_path: Path) -> None:
    first, *rest = recordings.whole_body("01")
    assert isinstance(first, Request)
    counted = [replace(first, url="/v1/messages/count_tokens"), replace(rest[0], url=None), *rest[1:]]  # type: ignore[call-arg]
    recordings.write(tmp_path / "a.jsonl", counted)

    assert sent(tmp_path).received == []
