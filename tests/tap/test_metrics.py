"""OpenTelemetry metrics of a tap, at a real collector: the same as the recording gives when it is exported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anthropic
import pytest

import recorder
from recorder.analytics.otlp import send
from recorder.analytics.report import Tables
from recorder.core.semconv import VERSIONS
from recorder.log.files import find_segments
from recorder.tap.metrics import RETRY_S
from recorder.testing import ManualClock, Reply, Upstream, message_events
from tests.analytics.collector import Collector, collector, plain

metrics_sdk = pytest.importorskip("opentelemetry.sdk.metrics")
exporters = pytest.importorskip("opentelemetry.exporter.otlp.proto.http.metric_exporter")
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: E402 - not without the extra

ASK: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
WORDS = [f"word {n} " for n in range(20)]
BUSY = Reply.error(529, "overloaded_error", "busy", headers={"retry-after-ms": "20"})
DELTA = 1
Counted = dict[tuple[str, tuple[tuple[str, Any], ...]], list[float]]


@contextmanager
def meter_provider(url: str) -> Iterator[Any]:
    """One that sends to the collector at `url` when it is flushed."""
    reader = PeriodicExportingMetricReader(exporters.OTLPMetricExporter(f"{url}/v1/metrics"), 3_600_000)
    provider = metrics_sdk.MeterProvider([reader])
    try:
        yield provider
    finally:
        provider.shutdown()


def counted(taken: Collector) -> Counted:
    """[count, sum, *buckets] or [sum] of each metric and each set of attributes: so far, or of all minutes."""
    found: Counted = {}
    for metric in taken.metrics:
        if metric.name == "recorder.open_streams":
            continue
        data = getattr(metric, metric.WhichOneof("data"))
        for point in data.data_points:
            key = metric.name, tuple(sorted(plain(point.attributes).items()))
            if metric.WhichOneof("data") == "sum":
                values = [float(point.as_int or point.as_double)]
            else:
                values = [point.count, point.sum, *point.bucket_counts]
            before = (
                found.get(key, [0] * len(values)) if data.aggregation_temporality == DELTA else [0] * len(values)
            )
            found[key] = [a + b for a, b in zip(before, values, strict=True)]
    return found


def use(client: anthropic.Anthropic) -> None:
    """One call for each of `REPLIES`, or two."""
    client.messages.create(**ASK, stream=True).close()
    for _ in range(3):
        with suppress(anthropic.APIError):
            for _ in client.messages.create(**ASK, stream=True):
                pass
    with suppress(anthropic.APIError):
        client.messages.count_tokens(model="m", messages=ASK["messages"])
    with suppress(anthropic.APIError):
        client.messages.create(**ASK)


REPLIES = [
    Reply.sse(message_events(*WORDS)),
    Reply.sse(message_events(*WORDS)),
    BUSY,
    Reply.sse(message_events("one", "two", "three")),
    Reply.sse(
        [*list(message_events(*WORDS))[:9], {"type": "error", "error": {"type": "api_error", "message": "x"}}]
    ),
    Reply.json(200, {"input_tokens": 3}),
    BUSY,
    BUSY,
]


@pytest.mark.parametrize("semconv", VERSIONS)
def test_they_are_those_of_the_recording(tmp_path: Path, semconv: str) -> None:
    with collector() as live, meter_provider(live.url) as provider:
        with Upstream(REPLIES) as upstream, recorder.Tap(tmp_path, metrics=provider, semconv=semconv) as tap:
            with anthropic.Anthropic(base_url=upstream.url, api_key="k", max_retries=1) as client:
                use(tap.wrap(client))
        provider.force_flush()
    with collector() as exported:
        send(Tables(find_segments(tmp_path), report=pytest.fail), exported.url, semconv=semconv)

    now, then = counted(live), counted(exported)
    assert now.keys() == then.keys()
    for key, values in now.items():
        assert values == pytest.approx(then[key]), key
    errors = {dict(attributes).get("error.type") for _, attributes in now}
    assert errors == {None, "api_error", "overloaded_error"}


def test_a_call_that_may_be_tried_again_is_counted_when_it_was_not(tmp_path: Path) -> None:
    clock = ManualClock()
    with collector() as live, meter_provider(live.url) as provider:
        with Upstream([BUSY]) as upstream, recorder.Tap(tmp_path, metrics=provider, clock=clock) as tap:
            with anthropic.Anthropic(base_url=upstream.url, api_key="k", max_retries=0) as client:
                with pytest.raises(anthropic.APIStatusError):
                    tap.wrap(client).messages.create(**ASK)
            assert tap.flush()
            provider.force_flush()
            assert counted(live) == {}
            clock.advance(int(RETRY_S * 1e9))
            provider.force_flush()
            [(count, *_)] = counted(live).values()
            assert count == 1


def test_open_streams_are_counted_while_they_are_open(tmp_path: Path) -> None:
    def gauge(live: Collector) -> int:
        [metric] = [one for one in live.metrics if one.name == "recorder.open_streams"]
        live.received.clear()
        return int(metric.sum.data_points[0].as_int)

    with collector() as live, meter_provider(live.url) as provider:
        with Upstream([Reply.sse(message_events(*WORDS))]) as upstream:
            with recorder.Tap(tmp_path, metrics=provider) as tap:
                client = tap.wrap(anthropic.Anthropic(base_url=upstream.url, api_key="k"))
                stream = client.messages.create(**ASK, stream=True)
                next(iter(stream))
                assert tap.flush()
                provider.force_flush()
                assert gauge(live) == 1
                stream.close()
                assert tap.flush()
                provider.force_flush()
                assert gauge(live) == 0


def test_an_unknown_version_of_the_names_is_refused_when_the_tap_is_made(tmp_path: Path) -> None:
    with meter_provider("http://127.0.0.1:1") as provider:
        with pytest.raises(ValueError, match=r"semconv is '9'; it is 1\.36 or 1\.41 or genai-dev"):
            recorder.Tap(tmp_path, metrics=provider, semconv="9")
