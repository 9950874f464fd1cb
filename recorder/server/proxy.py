"""The record proxy: what a client asks goes to the upstream, what comes back goes to the client, and to the tap.

The client's stream comes first: a chunk is passed on before it is noted, and what fails in noting it costs the
records of that stream alone.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from time import perf_counter_ns
from typing import Any

import h11
from msgspec.structs import replace

from recorder.core.records import Header
from recorder.tap.calls import Calls
from recorder.tap.metrics import provider_to
from recorder.tap.middleware import Tap

from .exchange import Exchange, Headers, error_document, versioned
from .guard import TOKEN_HEADER
from .journal import Entry, Journal, Result, Streams, metrics
from .scribe import Scribe
from .upstream import Broken, Link, Pool

_HOP_BY_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
_OURS = _HOP_BY_HOP | {b"host", b"content-length", b"accept-encoding", b"expect", TOKEN_HEADER}


class ProxyTap(Tap):
    """A tap that observes other programs: which SDK they have, if any, is in their requests.

    `otlp`: the collector that is sent metrics of their calls. Raises MissingPackage without `sse-recorder[otlp]`.
    """

    def __init__(self, path: str | os.PathLike[str], *, otlp: str | None = None, **options: Any) -> None:
        self._provider = provider_to(otlp) if otlp else None
        super().__init__(path, metrics=self._provider, **options)

    def close(self) -> None:
        """Write what is left, and send it, too."""
        super().close()
        if self._provider is not None:
            self._provider.shutdown()
            self._provider = None

    def _header(self) -> Header:
        return replace(super()._header(), anthropic=None)


class Proxy:
    """Sends every request to the upstream of `pool`, and records it by `tap`; `streams` observes that."""

    result: Result = "passed"

    def __init__(self, tap: Tap, pool: Pool, streams: Streams) -> None:
        self._tap = tap
        self._pool = pool
        self._streams = streams
        self._calls = Calls(tap.new_id)
        self._relays: set[asyncio.Task[None]] = set()

    def serve(self, exchange: Exchange, entry: Entry) -> None:
        """Answer with what the upstream answers."""
        incoming, origin = exchange.incoming, self._pool.origin
        headers = _request_headers(incoming.headers, origin.authority, len(incoming.body), incoming.method)
        target = incoming.target if origin.path.endswith("/v1") else versioned(incoming.target)
        url = f"{origin.url}{target}"
        scribe = Scribe(self._tap)
        scribe.begin(self._calls, incoming.method, url, headers, incoming.body)
        head = h11.Request(method=incoming.method, target=f"{origin.path}{target}", headers=headers)
        entry.stream = scribe.stream
        relay = Relay(exchange, entry, scribe)
        if (link := self._pool.idle()) is not None:
            relay.send(link, head)
            return
        connecting = asyncio.get_running_loop().create_task(self._connect(relay, head))
        self._relays.add(connecting)
        connecting.add_done_callback(self._relays.discard)

        def gone() -> None:
            connecting.cancel()
            relay.gone()

        exchange.on_gone = gone

    def health(self) -> dict[str, Any]:
        """What `/__recorder/health` adds."""
        return {"upstream": self._pool.origin.url, "records_to": str(self._tap.path)}

    def journal(self) -> dict[str, Any]:
        """What `/__recorder/journal` adds."""
        return {}

    def metrics(self, journal: Journal) -> str:
        """Prometheus text."""
        return metrics(journal, self._streams, self._tap.stats())

    def close(self) -> None:
        """Close the connections that nobody uses, and write what is left."""
        self._pool.close()
        self._tap.close()

    async def _connect(self, relay: Relay, head: h11.Request) -> None:
        try:
            link = await self._pool.connect(relay.scribe.step)
        except TimeoutError:
            relay.unreachable(504, Broken("httpx2.ConnectTimeout", "the connection took too long"))
        except OSError as error:
            relay.unreachable(502, Broken("httpx2.ConnectError", _said(error)))
        else:
            relay.send(link, head)


class Relay:
    """One request on its way, and its answer."""

    def __init__(self, exchange: Exchange, entry: Entry, scribe: Scribe) -> None:
        self.scribe = scribe
        self._exchange = exchange
        self._entry = entry
        self._link: Link | None = None
        self._asked = perf_counter_ns()
        """Since when the next chunk is waited for."""
        exchange.on_gone = self.gone
        exchange.on_flow = self._flow

    def send(self, link: Link, head: h11.Request) -> None:
        if self._exchange.over:  # while the connection was made the client went away
            link.abort()
            return
        self._link = link
        self._exchange.on_gone = self.gone
        self.scribe.step("http11.send_request_headers.started", {})
        link.request(head, self._exchange.incoming.body, self)

    def unreachable(self, status: int, broken: Broken) -> None:
        """There is no answer to pass on, and no way to have the client's own connection refused."""
        self.scribe.ended(perf_counter_ns(), 0, "failed", broken)
        self._entry.failed(broken.message)
        message = f"recorder: the upstream cannot be reached: {broken.message}"
        self._exchange.answer_json(status, error_document("api_error", message))

    def gone(self) -> None:
        """The client went away: nobody waits for the answer."""
        if self._link is not None:
            self._link.abort()
        self.scribe.closed()

    # What the upstream's connection tells

    def sent(self) -> None:
        self.scribe.step("http11.send_request_body.complete", {})
        self.scribe.step("http11.receive_response_headers.started", {})

    def informed(self, event: h11.InformationalResponse) -> None:
        if event.status_code != 100:
            self._exchange.inform(event.status_code, event.headers.raw_items(), event.reason)

    def answered(self, event: h11.Response, now: int) -> None:
        self._exchange.respond(event.status_code, _response_headers(event.headers.raw_items()), event.reason)
        self.scribe.answered(event, now)
        self._asked = now

    def chunk(self, data: bytes, now: int) -> None:
        self._exchange.send(data)
        self.scribe.chunk(now, now - self._asked, data)
        self._asked = now

    def ended(self, trailers: Headers, now: int) -> None:
        self._exchange.finish(trailers)
        self.scribe.ended(now, now - self._asked, "read")

    def broke(self, broken: Broken, now: int) -> None:
        """It breaks for the client as it broke for us."""
        self._exchange.break_off(reset=broken.reset)
        self._entry.failed(broken.message)
        self.scribe.ended(now, now - self._asked, "failed", broken)

    def cork(self) -> None:
        self._exchange.cork()

    def uncork(self) -> None:
        self._exchange.uncork()

    def _flow(self, flows: bool) -> None:
        if self._link is not None:
            self._link.flow(flows)
        if flows:
            self._asked = perf_counter_ns()


def _request_headers(headers: Headers, authority: str, size: int, method: str) -> Headers:
    """As the client sent them, but for what is between it and us. The body is asked for as it is: encoded, its
    events could be read only when the encoder lets go of them."""
    named = _named_by_connection(headers)
    kept = [(name, value) for name, value in headers if name.lower() not in _OURS and name.lower() not in named]
    sent = [(b"Host", authority.encode("ascii")), *kept, (b"Accept-Encoding", b"identity")]
    if size or method not in ("GET", "HEAD", "OPTIONS", "DELETE", "TRACE"):
        sent.append((b"Content-Length", str(size).encode()))
    return sent


def _response_headers(headers: Headers) -> Headers:
    """As the upstream sent them, but for what is between it and us."""
    dropped = (_HOP_BY_HOP | _named_by_connection(headers)) - {b"trailer"}
    if any(name.lower() == b"transfer-encoding" for name, _ in headers):
        dropped |= {b"content-length"}  # which then does not hold
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def _named_by_connection(headers: Headers) -> set[bytes]:
    return {
        one.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for one in value.split(b",")
    }


def _said(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message}"
    if error.errno is not None and error.errno > 0 and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno).lower()  # asyncio's own words name addresses
    return error.strerror or str(error)
