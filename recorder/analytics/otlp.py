"""Calls as OpenTelemetry spans and metrics, sent to a collector by OTLP over HTTP.

A span for each call, with one for each attempt in it; their times are the recorded ones. Ids come from the
`traceparent` that was sent, if it was recorded, and else from the ids of call and stream: sent again, a span is
the same span. Metrics are sums of what ended in one minute (delta temporality), with that minute as their time:
sent again, they count twice. No text of people or models is sent.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from itertools import groupby, islice, pairwise
from typing import Any

from msgspec import Struct

from recorder.core.semconv import DEFAULT, VERSIONS, Instrument, Names, attributes
from recorder.optional import need
from recorder.version import __version__

from . import otel_calls
from .report import Tables
from .selection import Selection

_BATCH = 512
"""Spans, or points of metrics, in one request."""
_MINUTE_NS = 60 * 10**9


class NotSent(RuntimeError):
    """The collector did not take it. The message says why, as far as the exporter told."""


class Sent(Struct, kw_only=True):
    """What the collector took: `points` are data points of metrics."""

    spans: int
    points: int


def send(
    tables: Tables,
    endpoint: str,
    *,
    semconv: str = DEFAULT,
    selection: Selection | None = None,
) -> Sent:
    """Send the calls of the tables to `endpoint` (`http://127.0.0.1:4318`).

    `semconv`: one of `recorder.core.semconv.VERSIONS`. Headers, certificates and the name of the service
    are taken from the environment (OTEL_EXPORTER_OTLP_HEADERS, OTEL_SERVICE_NAME), as by every exporter.

    Raises NotSent, QueryError, and MissingPackage without `sse-recorder[otlp]`.
    """
    names = VERSIONS[semconv]
    selection = selection or Selection()
    traces = need("opentelemetry.exporter.otlp.proto.http.trace_exporter", "otlp")
    metrics = need("opentelemetry.exporter.otlp.proto.http.metric_exporter", "otlp")
    base = endpoint.rstrip("/")
    maker = _Maker(names)
    spans = (span for call in otel_calls.calls(tables, selection) for span in maker.spans(call))
    points = ((one, point) for one in names.instruments for point in maker.points(tables, selection, one))
    return Sent(
        spans=_send(traces.OTLPSpanExporter(f"{base}/v1/traces"), spans, list),
        points=_send(metrics.OTLPMetricExporter(f"{base}/v1/metrics"), points, maker.metrics),
    )


def _send(exporter: Any, items: Iterable[Any], batch_of: Any) -> int:
    """How many were sent. Raises NotSent."""
    sent = 0
    rest = iter(items)
    try:
        while batch := list(islice(rest, _BATCH)):
            with _told() as told:
                if exporter.export(batch_of(batch)).name != "SUCCESS":
                    raise NotSent(told[0] if told else "the collector did not take it")
            sent += len(batch)
    finally:
        exporter.shutdown()
    return sent


@contextmanager
def _told() -> Generator[list[str]]:
    """What the exporter logs, which is the only place where it says what went wrong."""
    told: list[str] = []
    logger, handler = logging.getLogger("opentelemetry"), logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield told
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


class _Maker:
    """OpenTelemetry's objects from rows, by the names of one version."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._trace = need("opentelemetry.trace", "otlp")
        self._sdk = need("opentelemetry.sdk.trace", "otlp")
        self._points = need("opentelemetry.sdk.metrics.export", "otlp")
        self._resource = need("opentelemetry.sdk.resources", "otlp").Resource.create({})
        scope = need("opentelemetry.sdk.util.instrumentation", "otlp").InstrumentationScope
        self._scope = scope("sse-recorder", __version__, names.schema_url)

    def spans(self, call: otel_calls.Call) -> Iterator[Any]:
        """The span of a call, and those of its attempts."""
        sent = call.row["trace_id"], call.row["span_id"]
        parent = self._context(*(int(one, 16) for one in sent), remote=True) if all(sent) else None
        context = self._context(parent.trace_id if parent else _id(call.call, 16), _id(f"call {call.call}", 8))
        attributes = self._common(call.row) | {
            name: call.row[column]
            for column, name in self._names.attributes.items()
            if call.row[column] is not None and call.row[column] is not False
        }
        tags: dict[str, str] = call.row["tags"] or {}
        attributes |= {f"recorder.tag.{name}": value for name, value in tags.items()}
        attributes |= {"recorder.outcome": call.row["outcome"], "recorder.attempts": len(call.attempts)}
        yield self._span(
            name=" ".join(filter(None, ["chat", call.row["request_model"]])),
            context=context,
            parent=parent,
            attributes=attributes,
            times=(call.start_ns, call.end_ns),
            error=call.row["error"],
        )
        for attempt in call.attempts:
            yield self._attempt(attempt, call, context)

    def _attempt(self, attempt: otel_calls.Attempt, call: otel_calls.Call, parent: Any) -> Any:
        attributes: dict[str, Any] = {
            "http.request.method": attempt.method,
            "url.full": attempt.url,
            "server.address": call.row["address"],
            "server.port": call.row["port"],
            "http.response.status_code": attempt.status,
            "http.request.resend_count": attempt.attempt or None,
            "error.type": attempt.error,
            "recorder.stream": attempt.stream,
        }
        return self._span(
            name=attempt.method,
            context=self._context(parent.trace_id, _id(f"stream {attempt.stream}", 8)),
            parent=parent,
            attributes={name: value for name, value in attributes.items() if value is not None},
            times=(attempt.start_ns, attempt.end_ns),
            error=attempt.error,
            events=[
                self._sdk.Event(f"recorder.{one.name}", one.attributes, attempt.start_ns + one.at_ns)
                for one in attempt.moments
            ],
        )

    def _span(
        self,
        *,
        name: str,
        context: Any,
        parent: Any,
        attributes: dict[str, Any],
        times: tuple[int, int],
        error: str | None,
        events: Sequence[Any] = (),
    ) -> Any:
        """Made by hand: a tracer would take ids and a sampling decision that are not those recorded."""
        code = self._trace.StatusCode.UNSET if error is None else self._trace.StatusCode.ERROR
        return self._sdk.ReadableSpan(
            name=name,
            context=context,
            parent=parent,
            resource=self._resource,
            attributes=attributes,
            events=events,
            kind=self._trace.SpanKind.CLIENT,
            status=self._trace.Status(code),
            start_time=times[0],
            end_time=times[1],
            instrumentation_scope=self._scope,
        )

    def _context(self, trace_id: int, span_id: int, *, remote: bool = False) -> Any:
        return self._trace.SpanContext(trace_id, span_id, remote, self._trace.TraceFlags(1))

    def _common(self, row: dict[str, Any]) -> dict[str, Any]:
        """Attributes that spans and metrics share."""
        shared = ("provider", "request_model", "model", "address", "port", "error")
        return attributes(self._names, **{name: row[name] for name in shared})

    def points(self, tables: Tables, selection: Selection, instrument: Instrument) -> Iterator[Any]:
        """The data points of an instrument, one a minute for each set of attributes."""
        for row in otel_calls.minutes(tables, selection, instrument.value, instrument.bounds or (), _MINUTE_NS):
            times = {
                "start_time_unix_nano": row["minute"] * _MINUTE_NS,
                "time_unix_nano": (row["minute"] + 1) * _MINUTE_NS,
                "attributes": self._common(row) | instrument.attributes,
            }
            if instrument.bounds is None:
                yield self._points.NumberDataPoint(value=row["sum"], **times)
                continue
            below = [0, *row["up_to"], row["count"]]
            yield self._points.HistogramDataPoint(
                count=row["count"],
                sum=row["sum"],
                min=row["min"],
                max=row["max"],
                bucket_counts=[after - before for before, after in pairwise(below)],
                explicit_bounds=instrument.bounds,
                **times,
            )

    def metrics(self, batch: Sequence[tuple[Instrument, Any]]) -> Any:
        """Points, those of a metric next to each other, as one message."""
        made: list[Any] = []
        for name, named in groupby(batch, key=lambda pair: pair[0].name):
            pairs = list(named)
            delta = self._points.AggregationTemporality.DELTA
            points = [point for _, point in pairs]
            is_counter = pairs[0][0].bounds is None
            data = self._points.Sum(points, delta, True) if is_counter else self._points.Histogram(points, delta)
            made.append(self._points.Metric(name=name, description="", unit=pairs[0][0].unit, data=data))
        url = self._names.schema_url
        scoped = self._points.ScopeMetrics(scope=self._scope, metrics=made, schema_url=url)
        return self._points.MetricsData([self._points.ResourceMetrics(self._resource, [scoped], url)])


def _id(text: str, size: int) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=size).digest())
