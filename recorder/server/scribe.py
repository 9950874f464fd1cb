"""Writes down one stream of the proxy. Nothing that fails here reaches the stream: it costs the records of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h11

from recorder.core.fingerprint import attempt_of
from recorder.core.records import ErrorInfo, How
from recorder.core.redact import credentials
from recorder.tap.calls import Calls
from recorder.tap.credentials import of_url
from recorder.tap.middleware import Tap
from recorder.tap.watch import Watch

from .exchange import Headers
from .upstream import Broken


class Scribe:
    """What is told after a failure, or of a stream without room, is let go. Times are `perf_counter_ns`."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._watch: Watch | None = None

    @property
    def stream(self) -> str | None:
        """Its id, where it is recorded."""
        return self._watch.stream if self._watch is not None else None

    def begin(self, calls: Calls, method: str, url: str, headers: Headers, body: bytes) -> None:
        """The request is about to be sent."""

        def begin() -> None:
            pairs = _texts(headers)
            attempt = attempt_of(dict(pairs))
            call = calls.call_of(method, url, body, attempt)
            if not self._tap.wants(call):
                return
            self._tap.learn([*credentials(pairs), *of_url(url)])
            self._watch = self._tap.begin(
                method=method, url=url, headers=pairs, body=body, call=call, attempt=attempt
            )

        self._guarded(begin)

    def step(self, name: str, info: dict[str, Any]) -> None:
        """A step of the connection, by httpcore2's name for it."""
        if (watch := self._watch) is not None:
            self._guarded(lambda: watch.connection.note(name, info))

    def answered(self, event: h11.Response, now: int) -> None:
        """Status and headers have come."""
        if (watch := self._watch) is None:
            return
        tap = self._tap

        def headers() -> list[tuple[str, str]]:
            pairs = _texts(event.headers.raw_items())
            tap.learn(credentials(pairs))
            return pairs

        def answered() -> None:
            http = f"HTTP/{event.http_version.decode('ascii')}"
            watch.connection.note("http11.receive_response_headers.complete", {})
            watch.answered(now - watch.sent, event.status_code, headers, http=http)

        self._guarded(answered)

    def chunk(self, now: int, wait: int, data: bytes) -> None:
        """A chunk of the body. Said a thousand times a second: no closure here."""
        if self._watch is not None:
            try:
                self._watch.chunk(now, wait, data)
            except Exception as error:
                self._failed(error)

    def ended(self, now: int, wait: int, how: How, broken: Broken | None = None) -> None:
        """The end, as the upstream made it."""
        if (watch := self._watch) is not None:
            error = None if broken is None else ErrorInfo(type=broken.error, message=broken.message)
            self._guarded(lambda: watch.end(now, wait, how, error))

    def closed(self) -> None:
        """The client went away."""
        if (watch := self._watch) is not None:
            self._guarded(watch.closed)

    def _guarded(self, told: Callable[[], None]) -> None:
        try:
            told()
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._watch = None
        self._tap.internal_error(error)


def _texts(headers: Headers) -> list[tuple[str, str]]:
    return [(name.decode("ascii").lower(), value.decode("latin-1")) for name, value in headers]
