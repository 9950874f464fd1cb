"""The tap on any httpx2 client, below everything else: it sees what is sent, as it is sent."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable

import httpx2

from recorder.core.fingerprint import attempt_of

from . import credentials
from .body import AsyncBody, SyncBody, watch_response
from .calls import Calls
from .middleware import Tap
from .phases import traced
from .watch import Watch


class Sender:
    """Records requests as a transport sends them: `send` is given the way to the network, sync or async."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._calls = Calls(tap.new_id)

    def send(self, request: httpx2.Request, send: Callable[[httpx2.Request], httpx2.Response]) -> httpx2.Response:
        watch = self._begin(request)
        if watch is None:
            with self._tap.passing_over():
                return send(request)
        try:
            with traced(request, watch.connection, is_async=False):
                response = send(request)
        except BaseException as error:
            self._tap.failed(watch, error)
            raise
        with self._tap.guarded(watch):
            self._watch(request, response, watch, SyncBody)
        return response

    async def send_async(
        self, request: httpx2.Request, send: Callable[[httpx2.Request], Awaitable[httpx2.Response]]
    ) -> httpx2.Response:
        watch = self._begin(request)
        if watch is None:
            with self._tap.passing_over():
                return await send(request)
        try:
            with traced(request, watch.connection, is_async=True):
                response = await send(request)
        except BaseException as error:
            self._tap.failed(watch, error)
            raise
        with self._tap.guarded(watch):
            self._watch(request, response, watch, AsyncBody)
        return response

    def _begin(self, request: httpx2.Request) -> Watch | None:
        try:
            return self._start(request)
        except Exception as error:
            self._tap.internal_error(error)
            return None

    def _start(self, request: httpx2.Request) -> Watch | None:
        try:
            body = request.content
        except httpx2.RequestNotRead:
            body = b""
        attempt = attempt_of(request.headers)
        call = self._calls.call_of(request.method, str(request.url), body, attempt)
        if not self._tap.wants(call):
            return None
        return self._tap.begin(
            method=request.method,
            url=str(request.url),
            headers=request.headers.multi_items(),
            body=body,
            call=call,
            attempt=attempt,
            before=lambda: self._tap.learn(credentials.of_request(request)),
        )

    def _watch(
        self, request: httpx2.Request, response: httpx2.Response, watch: Watch, kind: type[SyncBody | AsyncBody]
    ) -> None:
        raw = response.headers.raw  # and not the response, which must be gone when the application drops it

        def headers() -> list[tuple[str, str]]:
            pairs = httpx2.Headers(raw).multi_items()
            self._tap.learn(credentials.of_headers(pairs))
            return pairs

        watch_response(response, request, watch, self._tap.body_of(response, kind), headers=headers)


class TapTransport(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """Records what goes through `transport`, for a sync or an async client.

        httpx2.Client(transport=recorder.TapTransport(tap, httpx2.HTTPTransport()))

    Without `transport` it is httpx2's own. Give the SDK's clients the tap itself (`tap.wrap(client)`): a
    transport of one's own takes the SDK's keep-alive options and the environment's proxies away.
    """

    def __init__(
        self, tap: Tap, transport: httpx2.BaseTransport | httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._sender = Sender(tap)
        self._transport = transport
        self._making = threading.Lock()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._transport is None:
            self._make(httpx2.HTTPTransport)
        if not isinstance(self._transport, httpx2.BaseTransport):
            raise TypeError(f"{self._transport!r} is async: give a sync client a sync transport")
        return self._sender.send(request, self._transport.handle_request)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._transport is None:
            self._make(httpx2.AsyncHTTPTransport)
        if not isinstance(self._transport, httpx2.AsyncBaseTransport):
            raise TypeError(f"{self._transport!r} is sync: give an async client an async transport")
        return await self._sender.send_async(request, self._transport.handle_async_request)

    def _make(self, kind: type[httpx2.HTTPTransport | httpx2.AsyncHTTPTransport]) -> None:
        """httpx2's own transport, once: of two, one would never be closed."""
        with self._making:
            if self._transport is None:
                self._transport = kind()

    def close(self) -> None:
        if isinstance(self._transport, httpx2.BaseTransport):
            self._transport.close()

    async def aclose(self) -> None:
        if isinstance(self._transport, httpx2.AsyncBaseTransport):
            await self._transport.aclose()
