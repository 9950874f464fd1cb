"""The replay server: recorded streams answer over HTTP, in their timing, broken as they broke."""

from __future__ import annotations

import asyncio
import http
from typing import Any

import h11
import httpx2

from recorder.replayer.errors import NoMatch
from recorder.replayer.script import Script
from recorder.replayer.session import Replay
from recorder.replayer.transport import Serving

from .exchange import Exchange, Headers, error_document, versioned
from .guard import TOKEN_HEADER
from .journal import Entry, Journal, Miss, Result, metrics

MISS_STATUS = 404
APART_S = 0.001
"""Ordered streams: between what one brings and what the next brings."""
_NO_RETRY = ("x-should-retry", "false")
"""The SDKs heed it: to ask again would change nothing."""


class Player:
    """Answers from `replay`."""

    result: Result = "served"

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self._playing: set[asyncio.Task[None]] = set()

    def has(self, exchange: Exchange) -> bool:
        """Whether a recorded stream is left that answers this."""
        try:
            return self.replay.has(_request_of(exchange))
        except httpx2.InvalidURL:
            return False

    def serve(self, exchange: Exchange, entry: Entry) -> None:
        """Answer with the stream that was recorded of the same request."""
        try:
            request = _request_of(exchange)
        except httpx2.InvalidURL as error:
            entry.failed(str(error))
            exchange.answer_json(400, error_document("invalid_request_error", f"recorder: {error}"))
            return
        try:
            serving = self.replay.answer(request)
        except NoMatch as error:
            entry.result, entry.miss = "miss", Miss.of(error)
            document = error_document("no_match", str(error))
            exchange.answer_json(MISS_STATUS, document, headers=[_NO_RETRY])
            return
        entry.served = serving.stream
        entry.fault = getattr(serving.watcher, "fault", None) or None
        playing = asyncio.get_running_loop().create_task(_play(exchange, entry, serving))
        self._playing.add(playing)
        playing.add_done_callback(self._playing.discard)
        exchange.on_gone = playing.cancel

    def health(self) -> dict[str, Any]:
        """What `/__recorder/health` adds."""
        replay = self.replay
        return {"replays": replay.name, "streams": len(replay.streams), "unused": len(replay.unused)}

    def journal(self) -> dict[str, Any]:
        """What `/__recorder/journal` adds."""
        return {"unused": [stream.id for stream in self.replay.unused]}

    def metrics(self, journal: Journal) -> str:
        """Prometheus text."""
        return metrics(journal, None, None)

    def close(self) -> None:
        """Nothing is held but what is being served."""


async def _play(exchange: Exchange, entry: Entry, serving: Serving) -> None:
    script, watcher = serving.script, serving.watcher
    try:
        if script.headers_at is not None:
            await _until(exchange, serving, script.headers_at)
            exchange.respond(script.status, _headers(serving), _reason(script.status))
            await _read_apart(serving)
        for piece in script.pieces:
            await _until(exchange, serving, piece.at)
            await exchange.writable()
            if watcher is not None:
                watcher.gave()
            exchange.send(piece.data)
            await _read_apart(serving)
        await _until(exchange, serving, script.end_at)
        await _end(exchange, entry, script)
        await _read_apart(serving)
    except h11.LocalProtocolError as error:  # recorded, or made by a fault, but nothing that HTTP can say
        entry.failed(str(error))
        exchange.break_off()
    finally:
        if serving.turns is not None:
            serving.turns.leave()
        if watcher is not None:
            watcher.over(None)


async def _until(exchange: Exchange, serving: Serving, at: int) -> None:
    """Wait until what was recorded at `at` is due, and its turn."""
    if serving.turns is not None:
        await serving.turns.wait_async()
    due = exchange.began + at
    if (not serving.instant or serving.script.timed) and serving.clock.now() < due:
        await serving.clock.sleep_until_async(due)


async def _read_apart(serving: Serving) -> None:
    """Let the client read what was sent. Nothing tells when it has; what two sockets bring at once, it reads in an
    order of its own."""
    if serving.turns is not None and serving.turns.is_followed:
        await asyncio.sleep(APART_S)


async def _end(exchange: Exchange, entry: Entry, script: Script) -> None:
    how = script.ending.how
    if how == "read":
        exchange.finish()
        return
    entry.result = "broken"
    entry.error = script.ending.error.message if script.ending.error else None
    if how == "hang":
        await asyncio.Event().wait()  # until the client goes away, or the server ends
    exchange.break_off(reset=how in ("reset", "refused"))


def _headers(serving: Serving) -> Headers:
    script = serving.script
    headers = script.sent_headers(whole=script.ending.how == "read")
    if serving.instant and script.status >= 400:
        headers["retry-after-ms"] = "0.001"  # the SDKs take it before `retry-after`, and do not sleep
    return [(name.encode("ascii"), value.encode("latin-1", "replace")) for name, value in headers.items()]


def _reason(status: int) -> bytes:
    try:
        return http.HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""


def _request_of(exchange: Exchange) -> httpx2.Request:
    incoming = exchange.incoming
    headers = [(name, value) for name, value in incoming.headers if name.lower() != TOKEN_HEADER]
    url = f"http://recorder{versioned(incoming.target)}"
    return httpx2.Request(incoming.method, url, headers=headers, content=incoming.body)
