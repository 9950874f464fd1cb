"""An OTLP collector: an HTTP server on the loopback that decodes what it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

MESSAGES = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}


class Collector:
    """What was sent to it. `status`: with which it answers."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.url = ""
        self.received: list[tuple[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    @property
    def spans(self) -> list[Any]:
        return self._all("/v1/traces", "resource_spans", "scope_spans", "spans")

    @property
    def metrics(self) -> list[Any]:
        return self._all("/v1/metrics", "resource_metrics", "scope_metrics", "metrics")

    def _all(self, path: str, *levels: str) -> list[Any]:
        found = [message for at, message in self.received if at == path]
        for level in levels:
            found = [inner for outer in found for inner in getattr(outer, level)]
        return found


def plain(attributes: Any) -> dict[str, Any]:
    """Attributes as a dict of Python values."""
    return {one.key: value_of(one.value) for one in attributes}


def value_of(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [value_of(one) for one in value.array_value.values] if kind == "array_value" else getattr(value, kind)


@contextmanager
def collector(status: int = 200) -> Iterator[Collector]:
    taken = Collector(status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = MESSAGES[self.path]()
            message.ParseFromString(self.rfile.read(int(self.headers["content-length"])))
            taken.received.append((self.path, message))
            taken.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(taken.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has there
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        taken.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield taken
        finally:
            server.shutdown()
            thread.join()
