"""When the connection was made, the request sent and the headers received: against what the server saw."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

import recorder
from recorder.core.records import Phases
from recorder.log.streams import Stream
from recorder.testing import Reply, Upstream, message_events
from tests.tap.wire import Certificate, Server, Stamps, answering, proxying

MS = 1_000_000
LATE = 60
"""ms by which the servers are late, each time: more than a noisy machine is."""
ASK: dict[str, Any] = {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-test",
    "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn", "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 2},
}  # fmt: skip
BODY = json.dumps(MESSAGE).encode()


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return Certificate()


@pytest.fixture(autouse=True)
def _no_proxies_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def ask(url: str, tap: recorder.Tap, times: int = 1, **options: Any) -> None:
    http = anthropic.DefaultHttpxClient(**options)
    with anthropic.Anthropic(base_url=url, api_key="k", max_retries=0, http_client=http) as client:
        for _ in range(times):
            tap.wrap(client).messages.create(**ASK)


async def ask_async(url: str, tap: recorder.Tap, times: int = 1, **options: Any) -> None:
    http = anthropic.DefaultAsyncHttpxClient(**options)
    async with anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0, http_client=http) as client:
        for _ in range(times):
            await tap.wrap(client).messages.create(**ASK)


def ask_in_either(is_async: bool, *args: Any, **options: Any) -> None:
    if is_async:
        asyncio.run(ask_async(*args, **options))
    else:
        ask(*args, **options)


def recorded(path: Path) -> list[Stream]:
    return sorted(recorder.open(path).streams(), key=lambda stream: stream.request.mono)


def phases_of(stream: Stream) -> Phases:
    told = stream.response or stream.end
    assert told is not None
    assert told.phases is not None
    return told.phases


def clock(stream: Stream, phase: str) -> tuple[int, int]:
    """The phase on the clock that the server stamps by."""
    span = getattr(phases_of(stream), phase)
    return stream.request.mono + span[0], stream.request.mono + span[1]


def in_order(phases: Phases) -> list[str]:
    """The phases that there were; each began when the one before had ended."""
    spans = {name: span for name in phases.__struct_fields__ if (span := getattr(phases, name)) is not None}
    times = [ns for span in spans.values() for ns in span]
    assert times == sorted(times)
    assert times[0] >= 0
    return list(spans)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_new_connection_over_tls_and_then_the_same_again(
    tmp_path: Path, certificate: Certificate, is_async: bool
) -> None:
    stamps = Stamps()
    with Server(answering(stamps, tls=certificate.server, body=BODY, ms=LATE)) as server:
        with recorder.Tap(tmp_path) as tap:
            ask_in_either(is_async, f"https://localhost:{server.port}", tap, 2, verify=certificate.client)
        assert server.connections == 1

    new, reused = recorded(tmp_path)
    assert in_order(phases_of(new)) == ["connect", "tls", "send", "headers"]
    assert in_order(phases_of(reused)) == ["send", "headers"]
    assert [s.response.reused for s in (new, reused) if s.response] == [False, True]
    began, ended = clock(new, "tls")
    assert began + LATE * MS * 0.5 < stamps["handshake"][0] < ended
    for stream, requested, headers, body in zip(
        (new, reused), stamps["request"], stamps["headers"], stamps["body"], strict=True
    ):
        assert clock(stream, "send")[0] < requested < clock(stream, "headers")[1]
        assert stream.response is not None
        assert phases_of(stream).headers == (phases_of(stream).headers[0], stream.response.at)  # type: ignore[index]
        # Of a call that does not stream the SDK reads the body first, LATE after the headers.
        assert headers < stream.request.mono + stream.response.at < body
        [chunk] = stream.chunks()
        assert body < stream.request.mono + chunk.at
        assert chunk.wait == chunk.at - stream.response.at
    seen = new.timing()
    assert seen.tls_s is not None
    assert seen.tls_s * 1e3 > LATE * 0.5
    assert (seen.hold_s, seen.reused, reused.timing().connect_s) == (0.0, False, None)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_proxy_that_tunnels_to_a_server_with_tls(
    tmp_path: Path, certificate: Certificate, is_async: bool
) -> None:
    stamps, at_proxy = Stamps(), Stamps()
    with (
        Server(answering(stamps, tls=certificate.server, body=BODY, ms=LATE)) as server,
        Server(proxying(at_proxy, ms=LATE)) as proxy,
        recorder.Tap(tmp_path) as tap,
    ):
        options = {"proxy": f"http://127.0.0.1:{proxy.port}", "verify": certificate.client}
        ask_in_either(is_async, f"https://localhost:{server.port}", tap, 2, **options)

    new, reused = recorded(tmp_path)
    assert in_order(phases_of(new)) == ["connect", "tunnel", "tls", "send", "headers"]
    assert in_order(phases_of(reused)) == ["send", "headers"]
    began, ended = clock(new, "tunnel")
    assert began + LATE * MS * 0.5 < at_proxy["granted"][0] < ended
    assert clock(new, "tls")[0] < stamps["handshake"][0] < clock(new, "tls")[1]
    assert clock(new, "send")[0] < stamps["request"][0]


def test_the_proxy_of_the_environment_stays_and_a_plain_one_has_no_tunnel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamps = Stamps()
    with Server(answering(stamps, body=BODY, ms=0)) as server, Server(proxying(stamps, ms=0)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        with recorder.Tap(tmp_path) as tap:
            ask(f"http://localhost:{server.port}", tap, 2)
        assert proxy.connections == 1

    assert [in_order(phases_of(stream)) for stream in recorded(tmp_path)] == [
        ["connect", "send", "headers"],
        ["send", "headers"],
    ]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_refused_connection_has_a_phase_in_its_end(tmp_path: Path, is_async: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with recorder.Tap(tmp_path) as tap, pytest.raises(anthropic.APIConnectionError):
        ask_in_either(is_async, f"http://127.0.0.1:{port}", tap)

    [stream] = recorded(tmp_path)
    assert in_order(phases_of(stream)) == ["connect"]
    assert stream.timing().outcome == "connect_failed"
    rows = recorder.open(tmp_path).sql("SELECT connect_s > 0, send_s, reused FROM streams").fetchall()
    assert rows == [(True, None, None)]


@pytest.mark.skipif(sys.platform != "linux", reason="a full backlog refuses or lets in, elsewhere")
def test_a_connection_that_times_out_took_that_long(tmp_path: Path) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        waiting = [socket.socket() for _ in range(4)]  # fill its backlog: who comes later gets no answer
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        with recorder.Tap(tmp_path) as tap, pytest.raises(anthropic.APITimeoutError):
            ask(f"http://127.0.0.1:{deaf.getsockname()[1]}", tap, timeout=httpx2.Timeout(5, connect=0.1))
        for one in waiting:
            one.close()

    [stream] = recorded(tmp_path)
    began, ended = phases_of(stream).connect or (0, 0)
    assert 100 * MS <= ended - began < 4000 * MS
    assert stream.timing().outcome == "timeout"


def test_a_handshake_that_fails_is_the_last_phase(tmp_path: Path, certificate: Certificate) -> None:
    with Server(answering(Stamps(), tls=certificate.server, body=BODY, ms=0)) as server:
        with recorder.Tap(tmp_path) as tap, pytest.raises(anthropic.APIConnectionError):
            ask(f"https://localhost:{server.port}", tap)  # does not know the authority

    [stream] = recorded(tmp_path)
    assert in_order(phases_of(stream)) == ["connect", "tls"]


def test_a_request_that_gets_no_answer_was_sent(tmp_path: Path) -> None:
    with Upstream([Reply.drop("cut", at=20 * MS)]) as upstream, recorder.Tap(tmp_path) as tap:
        with pytest.raises(anthropic.APIConnectionError):
            ask(upstream.url, tap)

    [stream] = recorded(tmp_path)
    assert in_order(phases_of(stream)) == ["connect", "send", "headers"]
    assert stream.end is not None
    assert stream.end.reused is False


def hello(_: object) -> Reply:
    return Reply.sse(message_events("a", "b"))


def test_the_phases_of_a_redirect_are_those_of_the_request_that_was_answered(tmp_path: Path) -> None:
    with Upstream([Reply.json(200, MESSAGE, at=LATE * MS)]) as there:
        moved = Reply.json(307, {}, headers={"location": f"{there.url}/v1/messages"}, at=LATE * MS)
        with Upstream([moved]) as upstream, recorder.Tap(tmp_path) as tap:
            ask(upstream.url, tap)
        [first], [second] = upstream.received, there.received

    [stream] = recorded(tmp_path)
    assert in_order(phases_of(stream)) == ["connect", "send", "headers"]
    assert first.at + LATE * MS * 0.9 < clock(stream, "send")[0] < second.at < clock(stream, "headers")[1]


def test_a_trace_of_the_users_own_goes_on(tmp_path: Path) -> None:
    seen: list[str] = []

    def add(request: httpx2.Request) -> None:
        request.extensions["trace"] = lambda event, info: seen.append(event)

    with Upstream(hello) as upstream, recorder.Tap(tmp_path) as tap:
        http = anthropic.DefaultHttpxClient(event_hooks={"request": [add]})
        with anthropic.Anthropic(base_url=upstream.url, api_key="k", http_client=http) as client:
            [*client.messages.create(**ASK, stream=True)]
            alone, seen = seen, []
            [*client.with_options(middleware=[tap]).messages.create(**ASK, stream=True)]

    assert seen == [event for event in alone if not event.startswith("connection.")]  # it was there already
    assert in_order(phases_of(recorded(tmp_path)[0])) == ["send", "headers"]


async def test_an_exception_of_the_users_trace_stays_his(tmp_path: Path) -> None:
    class His(anthropic.AnthropicError):
        pass

    async def trace(event: str, info: object) -> None:
        if event == "http11.send_request_body.started":
            raise His

    async def add(request: httpx2.Request) -> None:
        request.extensions["trace"] = trace

    with Server(answering(Stamps(), body=BODY, ms=0)) as server, recorder.Tap(tmp_path) as tap:
        http = anthropic.DefaultAsyncHttpxClient(event_hooks={"request": [add]})
        url = f"http://127.0.0.1:{server.port}"
        async with anthropic.AsyncAnthropic(base_url=url, api_key="k", http_client=http) as client:
            with pytest.raises(His):
                await tap.wrap(client).messages.create(**ASK)

    assert tap.stats().errors == 0
    assert in_order(phases_of(recorded(tmp_path)[0]))[0] == "connect"


@pytest.mark.parametrize("way", ["wrap", "middleware", "options", "hooks replaced", "two taps"])
def test_every_way_to_put_a_tap_on_a_client_gives_phases(tmp_path: Path, way: str) -> None:
    with Upstream(hello) as upstream, recorder.Tap(tmp_path / "a") as tap, recorder.Tap(tmp_path / "b") as other:
        options: dict[str, Any] = {"base_url": upstream.url, "api_key": "k"}
        with anthropic.Anthropic(**options, middleware=[tap] if way == "middleware" else []) as client:
            tapped = client if way == "middleware" else tap.wrap(client)
            if way == "options":
                tapped = client.with_options(middleware=[lambda request, call_next: call_next(request), tap])
            if way == "two taps":
                tapped = other.wrap(tapped)
            for _ in range(3):
                [*tapped.messages.create(**ASK, stream=True)]
                if way == "hooks replaced":
                    client._client.event_hooks = {}

    taps = ("a", "b") if way == "two taps" else ("a",)
    for name in taps:
        assert [s.response.reused for s in recorded(tmp_path / name) if s.response] == [False, True, True]
    assert tap.stats().without_phases == other.stats().without_phases == 0


def test_the_client_that_is_not_wrapped_sends_what_it_would_have_sent(tmp_path: Path) -> None:
    requests: list[httpx2.Request] = []
    with Upstream(hello) as upstream, recorder.Tap(tmp_path) as tap:
        with anthropic.Anthropic(base_url=upstream.url, api_key="k") as client:
            for _ in range(3):
                tap.wrap(client).messages.create(**ASK, stream=True).close()
            hooks = client._client.event_hooks
            assert (len(hooks["request"]), len(hooks["response"])) == (1, 1)
            hooks["response"].append(lambda response: requests.append(response.request))
            client.messages.create(**ASK, stream=True).close()

    assert ["trace" in request.extensions for request in requests] == [False]
    assert len(recorded(tmp_path)) == 3


def test_threads_and_tasks_have_the_phases_of_their_own_requests(tmp_path: Path) -> None:
    def late(request: Any) -> Reply:
        return Reply.json(200, MESSAGE, at=int(request.json()["max_tokens"]) * MS)

    async def tasks(url: str, tap: recorder.Tap) -> None:
        async with anthropic.AsyncAnthropic(base_url=url, api_key="k") as client:
            calls = [tap.wrap(client).messages.create(**{**ASK, "max_tokens": n * 40}) for n in range(1, 5)]
            await asyncio.gather(*calls)

    with Upstream(late) as upstream, recorder.Tap(tmp_path) as tap:
        with anthropic.Anthropic(base_url=upstream.url, api_key="k") as client:
            tapped = tap.wrap(client)
            threads = [
                threading.Thread(target=tapped.messages.create, kwargs={**ASK, "max_tokens": n * 40})
                for n in range(1, 5)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        asyncio.run(tasks(upstream.url, tap))
        at = {received.at: received.json()["max_tokens"] for received in upstream.received}

    streams = recorded(tmp_path)
    assert len(streams) == 8
    for stream in streams:
        said = stream.request.body["max_tokens"]
        began, ended = clock(stream, "headers")
        assert ended - began > said * MS * 0.5
        sent = clock(stream, "send")[0]
        assert any(asked == said and sent < when < ended for when, asked in at.items())


def test_an_http_client_that_does_not_tell_costs_the_phases_and_is_counted(tmp_path: Path) -> None:
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json=MESSAGE))
    with recorder.Tap(tmp_path) as tap:
        ask("http://nowhere.test", tap, transport=transport)

    [stream] = recorded(tmp_path)
    assert stream.response is not None
    assert (stream.response.phases, stream.response.reused, tap.stats().without_phases) == (None, None, 1)
    assert stream.timing().connect_s is None


def test_the_transport_tells_by_itself_and_leaves_the_request_as_it_was(tmp_path: Path) -> None:
    with Upstream(hello) as upstream, recorder.Tap(tmp_path) as tap:
        with httpx2.Client(transport=recorder.TapTransport(tap)) as http:
            kept = [http.get(upstream.url).request.extensions for _ in range(2)]

    assert ["trace" in extensions for extensions in kept] == [False, False]
    assert [s.response.reused for s in recorded(tmp_path) if s.response] == [False, True]
