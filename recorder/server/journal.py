"""What was asked and what was served, kept in memory: the last requests one by one, and all of them as numbers."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Any, Literal

import msgspec
from msgspec import Struct

from recorder.core.fingerprint import path_of
from recorder.core.progress import Progress
from recorder.core.records import End, StreamRecord
from recorder.log.items import Stats
from recorder.replayer.errors import NoMatch

from .exchange import Exchange

_KEPT = 10_000
_TIMES = 100_000
_BUCKETS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

Result = Literal["served", "passed", "miss", "closed", "broken", "failed"]
"""`served` from the recording; `passed` from the upstream; `closed` by the client before the end; `broken` off, as
recorded or by a fault; `failed` upstream."""


class Miss(Struct, frozen=True, kw_only=True):
    """Why nothing recorded answers: the fields of `NoMatch`, and the first line that it says."""

    kind: str
    nearest: str | None
    age_s: float | None
    sdk: str | None
    differences: tuple[str, ...]
    fix: str
    message: str = ""

    @classmethod
    def of(cls, error: NoMatch) -> Miss:
        fields = msgspec.convert(error, cls, from_attributes=True)
        return msgspec.structs.replace(fields, message=str(error).partition("\n")[0])


class Entry(Struct, kw_only=True):
    """One request."""

    n: int
    """Ordinal, from 1."""
    wall: int
    """Unix time in ns."""
    method: str
    path: str
    """From `/v1/` on, without secrets."""
    result: Result
    """While it is open (without `seconds`): what it will be if all goes well."""
    status: int | None = None
    seconds: float | None = None
    bytes: int = 0
    """Of the answer's body."""
    stream: str | None = None
    """Id of the stream that is being recorded of it."""
    served: str | None = None
    """Id of the recorded stream that answered."""
    fault: str | None = None
    """The line that reproduces it."""
    miss: Miss | None = None
    error: str | None = None

    def failed(self, why: str) -> None:
        self.result, self.error = "failed", why


class Journal:
    """Of one server, and used on its event loop alone."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=_KEPT)
        self.results: Counter[str] = Counter()
        self.open = 0
        self.bytes = 0
        self._n = 0

    def begin(self, exchange: Exchange, result: Result) -> Entry:
        """A request has come; `result` if all goes well."""
        self._n += 1
        self.open += 1
        incoming = exchange.incoming
        entry = Entry(
            n=self._n,
            wall=incoming.wall,
            method=incoming.method,
            path=path_of(incoming.target),
            result=result,
        )
        self.entries.append(entry)

        def over() -> None:
            self.open -= 1
            entry.status = exchange.status
            entry.seconds = exchange.seconds
            entry.bytes = exchange.sent
            if exchange.by_client and entry.result in ("served", "passed"):
                entry.result = "closed"
            self.bytes += exchange.sent
            self.results[entry.result] += 1

        exchange.on_over = over
        return entry

    def refused(self) -> None:
        """A request that is not served, of which nothing is kept: it may be anything."""
        self.results["refused"] += 1

    def document(self) -> list[Any]:
        """All that is kept, as JSON has it: what is not there is left out."""
        return [
            {name: value for name, value in msgspec.to_builtins(entry).items() if value is not None}
            for entry in self.entries
        ]


class Streams:
    """The streams that are recorded, as numbers. `take` is a tap's `observe`, called on the writer's thread."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.ttft_s: deque[float] = deque(maxlen=_TIMES)
        """Of the last streams that had one."""
        self.events = 0
        self.buckets: Counter[float] = Counter()
        self.ttft_sum_s = 0.0
        self.ttft_count = 0
        self._open: dict[str, Progress] = {}
        self._lock = threading.Lock()

    def take(self, record: StreamRecord) -> None:
        stream = self._open.get(record.stream)
        if stream is None:
            self._open[record.stream] = stream = Progress(record, 0)
        else:
            stream.take(record)
        if isinstance(record, End):
            del self._open[record.stream]
            with self._lock:
                self._ended(stream)

    def _ended(self, stream: Progress) -> None:
        self.outcomes[stream.outcome] += 1
        self.events += stream.events
        if (ttft := stream.ttft_s) is not None:
            self.ttft_s.append(ttft)
            self.ttft_sum_s += ttft
            self.ttft_count += 1
            self.buckets.update(limit for limit in _BUCKETS_S if ttft <= limit)

    def lines(self) -> list[str]:
        """Prometheus text."""
        with self._lock:
            count, buckets = self.ttft_count, [(limit, self.buckets[limit]) for limit in _BUCKETS_S]
            outcomes, total, events = sorted(self.outcomes.items()), self.ttft_sum_s, self.events
        return [
            "# TYPE recorder_streams_total counter",
            *(f'recorder_streams_total{{outcome="{name}"}} {n}' for name, n in outcomes),
            "# TYPE recorder_events_total counter",
            f"recorder_events_total {events}",
            "# HELP recorder_ttft_seconds First output of any kind, since the request was sent upstream.",
            "# TYPE recorder_ttft_seconds histogram",
            *(f'recorder_ttft_seconds_bucket{{le="{limit:g}"}} {n}' for limit, n in buckets),
            f'recorder_ttft_seconds_bucket{{le="+Inf"}} {count}',
            f"recorder_ttft_seconds_sum {total:.6f}",
            f"recorder_ttft_seconds_count {count}",
        ]


def metrics(journal: Journal, streams: Streams | None, stats: Stats | None) -> str:
    """Prometheus text, version 0.0.4."""
    lines = [
        "# TYPE recorder_requests_total counter",
        *(f'recorder_requests_total{{result="{name}"}} {n}' for name, n in sorted(journal.results.items())),
        "# TYPE recorder_requests_open gauge",
        f"recorder_requests_open {journal.open}",
        "# TYPE recorder_response_bytes_total counter",
        f"recorder_response_bytes_total {journal.bytes}",
    ]
    if streams is not None:
        lines += streams.lines()
    if stats is not None:
        lines += [
            "# TYPE recorder_records_total counter",
            f"recorder_records_total {stats.lines}",
            "# TYPE recorder_written_bytes_total counter",
            f"recorder_written_bytes_total {stats.written_bytes}",
            "# TYPE recorder_dropped_chunks_total counter",
            f"recorder_dropped_chunks_total {stats.dropped_chunks}",
            "# TYPE recorder_dropped_streams_total counter",
            f"recorder_dropped_streams_total {stats.dropped_streams}",
            "# TYPE recorder_errors_total counter",
            f"recorder_errors_total {stats.errors}",
        ]
    return "\n".join(lines) + "\n"
