"""Whatever stands between the SDK and the server, or between the SDK and us: middleware, credentials, transports."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import AccessToken, BetaRefusalFallbackMiddleware

import recorder
from recorder.log.streams import Stream
from recorder.log.verify import verify
from recorder.testing import Received, Reply, Upstream, encode_event, message_events
from recorder.testing.contract.colours import COLOURS, all_of, got, new_client, run, within
from tests.forwarding import forward_proxy

ASK: dict[str, Any] = {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
EVENTS = message_events("Hel", "lo")
MODELS = {"data": [], "has_more": False, "first_id": None, "last_id": None}


def recorded(path: Path) -> list[Stream]:
    assert [problem for check in verify([*path.iterdir()]) for problem in check.problems] == []
    return sorted(recorder.open(path).streams(), key=lambda stream: stream.request.mono)


def refused_then_served(received: Received) -> Reply:
    if received.json()["model"] != "claude-test":
        return Reply.sse(EVENTS)
    events = message_events("No", stop_reason="refusal")
    events[-2]["delta"]["stop_details"] = {"type": "refusal", "fallback_credit_token": "credit-0123456789"}  # type: ignore[index]
    return Reply.sse(events)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("order", ["tap inside", "tap outside"])
# On trio the middleware leaves the SDK's own generators to the garbage collector, with or without us.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_sdks_fallback_is_recorded_hop_by_hop_or_as_one(tmp_path: Path, colour: str, order: str) -> None:
    fallback = BetaRefusalFallbackMiddleware([{"model": "claude-other"}])

    async def use(one: Any) -> Any:
        return [event.to_dict() for event in await all_of(one.beta.messages.create(**ASK, stream=True))]

    async def main() -> Any:
        async with within(new_client(colour, upstream.url, middleware=[fallback])) as plain:
            expected = await use(plain)
        chain = [fallback, tap] if order == "tap inside" else [tap, fallback]
        async with within(new_client(colour, upstream.url, middleware=chain)) as one:
            return expected, await use(one)

    with Upstream(refused_then_served) as upstream, recorder.Tap(tmp_path) as tap:
        expected, seen = run(colour, main)

    assert seen == expected
    assert any(event.get("content_block", {}).get("type") == "fallback" for event in seen)
    streams = recorded(tmp_path)
    assert len({stream.call for stream in streams}) == 1
    if order == "tap inside":
        assert [stream.request.body["model"] for stream in streams] == ["claude-test", "claude-other"]
        [call] = recorder.open(tmp_path).sql("SELECT attempts, model, outcome FROM calls").fetchall()
        assert call == (2, "claude-test", "complete")
    else:
        assert [stream.message()["stop_reason"] for stream in streams] == ["end_turn"]  # type: ignore[index]


@pytest.mark.parametrize("colour", COLOURS)
def test_a_token_that_changes_stays_out(tmp_path: Path, colour: str) -> None:
    minted: list[str] = []

    def mint(*, force_refresh: bool = False) -> AccessToken:
        minted.append(f"tok-{len(minted)}-0123456789abcdef")
        return AccessToken(minted[-1], expires_at=0)

    def echo(received: Received) -> Reply:
        return Reply.sse(message_events("you sent " + dict(received.headers)["authorization"]))

    async def main() -> None:
        async with within(new_client(colour, upstream.url, api_key=None, credentials=mint)) as one:
            tapped = tap.wrap(one)
            for _ in range(3):
                await all_of(tapped.messages.create(**ASK, stream=True))

    with Upstream(echo) as upstream, recorder.Tap(tmp_path) as tap:
        run(colour, main)
        sent = [dict(one.headers)["authorization"] for one in upstream.received]

    assert len(set(sent)) == 3
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert written.count(b"you sent Bearer [redacted]") == 3
    assert not any(token.encode() in written for token in minted)
    assert len(recorded(tmp_path)) == 3


@pytest.mark.parametrize("seam", ["middleware", "transport"])
async def test_the_aiohttp_client_is_recorded_and_replayed(tmp_path: Path, seam: str) -> None:
    pytest.importorskip("aiohttp", reason="needs aiohttp")

    async def use(one: Any) -> Any:
        return [event.to_dict() async for event in await one.messages.create(**ASK, stream=True)]

    with Upstream(lambda _: Reply.sse(EVENTS)) as upstream, recorder.Tap(tmp_path) as tap:
        async with new_client("asyncio", upstream.url, http_client=anthropic.DefaultAioHttpClient()) as one:
            expected = await use(one)
        http = anthropic.DefaultAioHttpClient()
        if seam == "transport":
            http._transport = recorder.TapTransport(tap, http._transport)
        async with new_client("asyncio", upstream.url, http_client=http) as one:
            assert await use(one if seam == "transport" else tap.wrap(one)) == expected

    [stream] = recorded(tmp_path)
    assert stream.body() == b"".join(map(encode_event, EVENTS))
    with recorder.replay(tmp_path):
        async with new_client("asyncio", "http://x.invalid", http_client=anthropic.DefaultAioHttpClient()) as one:
            assert await use(one) == expected


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("by", ["argument", "environment"])
def test_a_proxy_is_used_as_without_us(
    tmp_path: Path, colour: str, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Upstream(lambda _: Reply.sse(EVENTS)) as upstream,
        recorder.Tap(tmp_path) as tap,
        forward_proxy() as proxy,
    ):
        url, forwarded = proxy

        async def main() -> int:
            options: dict[str, Any] = {}
            if by == "argument":
                kind = anthropic.DefaultHttpxClient if colour == "sync" else anthropic.DefaultAsyncHttpxClient
                options["http_client"] = kind(proxy=url)
            else:
                monkeypatch.setenv("HTTP_PROXY", url)
                monkeypatch.delenv("NO_PROXY", raising=False)
            async with within(new_client(colour, upstream.url, **options)) as one:
                return len(await all_of(tap.wrap(one).messages.create(**ASK, stream=True)))

        assert run(colour, main) == len(EVENTS)
        assert forwarded == [f"{upstream.url}/v1/messages"]

    [stream] = recorded(tmp_path)
    assert stream.url == f"{upstream.url}/v1/messages"
    assert stream.body() == b"".join(map(encode_event, EVENTS))


@pytest.mark.parametrize("colour", COLOURS)
def test_limits_hold_and_connections_are_reused_as_without_us(tmp_path: Path, colour: str) -> None:
    limits = httpx2.Limits(max_connections=1, max_keepalive_connections=1)
    kind = anthropic.DefaultHttpxClient if colour == "sync" else anthropic.DefaultAsyncHttpxClient

    async def main(tap: recorder.Tap | None) -> None:
        http = kind(limits=limits, timeout=httpx2.Timeout(5, pool=0.05))
        async with within(new_client(colour, upstream.url, http_client=http, timeout=http.timeout)) as one:
            used = tap.wrap(one) if tap else one
            for _ in range(3):
                await all_of(used.messages.create(**ASK, stream=True))
            held = await got(used.messages.create(**ASK, stream=True))
            with pytest.raises(anthropic.APITimeoutError):
                await got(used.models.list())
            await got(held.close())
            await got(used.models.list())

    def answer(received: Received) -> Reply:
        return Reply.json(200, MODELS) if received.method == "GET" else Reply.sse(EVENTS)

    connections = []
    with recorder.Tap(tmp_path) as tap:
        for one in (None, tap):
            with Upstream(answer) as upstream:
                run(colour, lambda one=one: main(one))
                connections.append([received.connection for received in upstream.received])

    assert connections[0] == connections[1]
    ends = [stream.end for stream in recorded(tmp_path)]
    assert [end and (end.end, end.complete) for end in ends] == [
        *[("read", True)] * 3, ("closed", False), ("failed", False), ("read", True),
    ]  # fmt: skip
    assert ends[4] is not None
    assert ends[4].error is not None
    assert ends[4].error.type == "httpx2.PoolTimeout"


@contextmanager
def http2_server(body: list[bytes]) -> Iterator[str]:
    """Answers every stream of one HTTP/2 connection (cleartext, prior knowledge) with `body`."""
    import h2.config
    import h2.connection
    import h2.events

    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            client = server.accept()[0]
            with client:
                connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
                connection.initiate_connection()
                client.sendall(connection.data_to_send())
                while data := client.recv(65_536):
                    for event in connection.receive_data(data):
                        if isinstance(event, h2.events.StreamEnded):
                            headers = [(":status", "200"), ("content-type", "text/event-stream")]
                            connection.send_headers(event.stream_id, headers)
                            for piece in body:
                                connection.send_data(event.stream_id, piece)
                            connection.end_stream(event.stream_id)
                    client.sendall(connection.data_to_send())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.close()
        thread.join(5)


@pytest.mark.parametrize("colour", COLOURS)
def test_http2_is_recorded_and_said(tmp_path: Path, colour: str) -> None:
    pytest.importorskip("h2", reason="needs h2")
    frames = [encode_event(event) for event in EVENTS]
    kind = anthropic.DefaultHttpxClient if colour == "sync" else anthropic.DefaultAsyncHttpxClient

    with http2_server(frames) as url, recorder.Tap(tmp_path) as tap:

        async def main() -> list[Any]:
            http = kind(http1=False, http2=True)
            async with within(new_client(colour, url, http_client=http)) as one:
                return [len(await all_of(tap.wrap(one).messages.create(**ASK, stream=True))) for _ in range(2)]

        assert run(colour, main) == [len(EVENTS)] * 2

    for stream in recorded(tmp_path):
        assert stream.response is not None
        assert stream.response.http == "HTTP/2"
        # The frame that ends a stream is a chunk without bytes.
        assert [chunk.data for chunk in stream.chunks() if chunk.data] == frames
    with recorder.replay(tmp_path) as replay:
        response = replay.client().messages.with_raw_response.create(**ASK, stream=True)
        assert response.http_response.http_version == "HTTP/2"
        assert len([*response.parse()]) == len(EVENTS)
