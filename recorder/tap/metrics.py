"""What the streams of a tap come to, as OpenTelemetry metrics, as they end: core/semconv.py has the names.

They are of calls, as the application made them: from the send of the first attempt, retries and back-off included.
An attempt that the SDK may make again is counted when it did not: once the longest back-off is over, or the tap
closes. The numbers are those that `recorder export --to otlp` gives of the same recording.
"""

from __future__ import annotations

import os
import re
import threading
import weakref
from array import array
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from msgspec import Struct

from recorder.core.arrivals import is_output
from recorder.core.fingerprint import path_of
from recorder.core.payload import as_object
from recorder.core.progress import Progress
from recorder.core.records import End, Event, Gap, Request, StreamRecord
from recorder.core.semconv import DEFAULT, MODEL_CALL, VERSIONS, Instrument, Names, attributes, server_of
from recorder.core.timing import usage_of
from recorder.optional import need
from recorder.version import __version__

RETRY_S = 90.0
"""The SDK waits for at most 60 s before it tries again."""
_MAY_RETRY = frozenset({408, 409, 429})


class MeterProvider(Protocol):
    """OpenTelemetry's: `opentelemetry.metrics.get_meter_provider()`, or one of the application's own."""

    def get_meter(self, name: str, version: str | None = None, schema_url: str | None = None) -> Any: ...


def provider_to(endpoint: str) -> Any:
    """A meter provider that sends to an OTLP collector over HTTP (`http://127.0.0.1:4318`), until its `shutdown`.

    Every minute, or as OTEL_METRIC_EXPORT_INTERVAL says. Raises MissingPackage without `sse-recorder[otlp]`.
    """
    exporter = need("opentelemetry.exporter.otlp.proto.http.metric_exporter", "otlp").OTLPMetricExporter
    reader = need("opentelemetry.sdk.metrics.export", "otlp").PeriodicExportingMetricReader
    provider = need("opentelemetry.sdk.metrics", "otlp").MeterProvider
    return provider([reader(exporter(f"{endpoint.rstrip('/')}/v1/metrics"))])


class _Stream:
    """An attempt that has not ended. Times in ns."""

    def __init__(self, request: Request, first_mono: int) -> None:
        self.request = request
        self.later = request.mono - first_mono
        """From the send of the first attempt to that of this one."""
        self.progress = Progress(request, request.wall)
        self.gaps = array("q")
        self._output: Event | None = None
        """The last, while nothing is missing since."""

    def take(self, record: StreamRecord) -> None:
        self.progress.take(record)
        if isinstance(record, Gap):
            self._output = None
        elif isinstance(record, Event) and is_output(record):
            last, self._output = self._output, record
            if last is not None and last.block == record.block and last.chunk != record.chunk:
                self.gaps.append(record.at - last.at)

    def may_be_retried(self) -> bool:
        status = self.progress.status
        return status is None or status in _MAY_RETRY or status >= 500


class _Failed(Struct):
    """An attempt that may be made again until `until`, on the clock."""

    stream: _Stream
    first_mono: int
    until: int


class CallMetrics:
    """Counts the calls whose records it is given, on the writer's thread. `clock` gives ns.

    Raises ValueError for a version of the names that is not known.
    """

    def __init__(self, provider: MeterProvider, clock: Callable[[], int], semconv: str = DEFAULT) -> None:
        if semconv not in VERSIONS:
            raise ValueError(f"semconv is {semconv!r}; it is {' or '.join(VERSIONS)}")
        names = VERSIONS[semconv]
        meter = provider.get_meter("sse-recorder", __version__, names.schema_url)
        self._names = names
        self._clock = clock
        self._add = [(one, _adder(meter, one)) for one in names.instruments]
        meter.create_observable_up_down_counter(
            "recorder.open_streams", [self._open], "{stream}", "Streams that are being received."
        )
        self._reset()
        if hasattr(os, "register_at_fork"):
            here = weakref.WeakMethod(self._reset)
            os.register_at_fork(after_in_child=lambda: (reset := here()) and reset())

    def _reset(self) -> None:
        """Nothing is open: in the child of a fork it is the parent's."""
        self._streams: dict[str, _Stream] = {}
        self._failed: dict[str, _Failed] = {}
        """By call."""
        self._settling = threading.Lock()

    def _open(self, _: object) -> Iterable[Any]:
        """Asked whenever metrics are collected; so also when no stream begins any more."""
        from opentelemetry.metrics import Observation

        self.settle(self._clock())
        return [Observation(len(self._streams))]

    def take(self, record: StreamRecord) -> None:
        """The next record of any stream."""
        if self._failed:
            self.settle(self._clock())
        if isinstance(record, Request):
            with self._settling:
                before = self._failed.pop(record.call, None)
            first = before.first_mono if before else record.mono
            self._streams[record.stream] = _Stream(record, first)
            return
        stream = self._streams.get(record.stream)
        if stream is None:
            return
        stream.take(record)
        if isinstance(record, End):
            del self._streams[record.stream]
            self._ended(stream)

    def settle(self, now: int | None = None) -> None:
        """Count the calls that nobody has tried again by `now`; None: nobody will."""
        with self._settling:
            over = [call for call, one in self._failed.items() if now is None or one.until <= now]
            streams = [self._failed.pop(call).stream for call in over]
        for stream in streams:
            self._count(stream)

    def _ended(self, stream: _Stream) -> None:
        progress, request = stream.progress, stream.request
        if not progress.events and not re.search(MODEL_CALL, path_of(request.url).partition("?")[0]):
            return
        if progress.outcome in ("complete", "closed") or not stream.may_be_retried():
            self._count(stream)
            return
        until = self._clock() + int(RETRY_S * 1e9)
        self._failed[request.call] = _Failed(stream, request.mono - stream.later, until)

    def _count(self, stream: _Stream) -> None:
        progress, end = stream.progress, stream.progress.end
        assert end is not None
        usage = usage_of(end.summary)
        first = None if progress.ttft_s is None else stream.later / 1e9 + progress.ttft_s
        tokens = usage["input_tokens"]
        if tokens is not None:
            tokens += (usage["cache_read_tokens"] or 0) + (usage["cache_write_tokens"] or 0)
        values = {
            **usage,
            "duration_call_s": (stream.later + end.at) / 1e9,
            "ttft_call_s": first,
            "all_input_tokens": tokens,
        }
        named = _attributes(self._names, stream)
        for instrument, add in self._add:
            if instrument.value == "gap_s":
                for gap in stream.gaps:
                    add(gap / 1e9, named)
            elif (value := values[instrument.value]) is not None:
                add(value, named | instrument.attributes)


def _adder(meter: Any, instrument: Instrument) -> Callable[[float, dict[str, Any]], None]:
    if instrument.bounds is None:
        return meter.create_counter(instrument.name, unit=instrument.unit).add
    bounds = list(instrument.bounds)
    made = meter.create_histogram(
        instrument.name, unit=instrument.unit, explicit_bucket_boundaries_advisory=bounds
    )
    return made.record


def _attributes(names: Names, stream: _Stream) -> dict[str, Any]:
    progress = stream.progress
    response, end = progress.response, progress.end
    url = (response and response.url) or (end and end.url) or stream.request.url
    server = server_of(url)
    asked = (as_object(stream.request.body) or {}).get("model")
    failed = None if progress.outcome in ("complete", "closed") else progress.error_type or progress.outcome
    return attributes(
        names,
        provider=server.provider,
        request_model=asked if isinstance(asked, str) else None,
        model=progress.model,
        address=server.address,
        port=server.port,
        error=failed,
    )
