"""The scripted upstream keeps its script, and the SDK fails on it as FAULTS says it does in production."""

from __future__ import annotations

import asyncio
import http.client
import select
import socket
import threading
from time import perf_counter_ns
from typing import Any

import anthropic
import h11
import httpx2
import msgspec
import pytest
from anthropic import Anthropic, AsyncAnthropic
from hypothesis import given
from hypothesis import strategies as st

from recorder.testing import (
    ManualClock,
    Received,
    Reply,
    Step,
    Upstream,
    chunkings,
    encode_event,
    gzip_steps,
    message_events,
)

MS = 1_000_000
EVENTS = message_events("Hel", "lo", "!")
HALF = EVENTS[:4]  # message_start, content_block_start, "Hel", "lo"
ASK: dict[str, Any] = {
    "model": "claude-test",
    "max_tokens": 10,
    "messages": [{"role": "user", "content": "Hi"}],
}
COLOURS = ("sync", "async")
METHODS = ("create(stream=True)", "messages.stream()")


class Outcome(msgspec.Struct, kw_only=True, frozen=True):
    """What an application saw of one stream."""

    text: str
    stop_reason: str | None
    error: BaseException | None = None


def outcome(texts: list[str], reasons: list[str | None], error: BaseException | None = None) -> Outcome:
    return Outcome(text="".join(texts), stop_reason=reasons[-1] if reasons else None, error=error)


def note(event: Any, texts: list[str], reasons: list[str | None]) -> None:
    if event.type == "content_block_delta":
        texts.append(event.delta.text)
    elif event.type == "message_delta":
        reasons.append(event.delta.stop_reason)


def consume(url: str, method: str, *, timeout_s: float = 5.0) -> Outcome:
    texts: list[str] = []
    reasons: list[str | None] = []
    with Anthropic(base_url=url, api_key="test", max_retries=0, timeout=timeout_s) as client:
        try:
            if method == "messages.stream()":
                with client.messages.stream(**ASK) as stream:
                    texts.extend(stream.text_stream)
                    reasons.append(stream.get_final_message().stop_reason)
            else:
                with client.messages.create(stream=True, **ASK) as stream:
                    for event in stream:
                        note(event, texts, reasons)
        except Exception as error:
            return outcome(texts, reasons, error)
    return outcome(texts, reasons)


async def consume_async(url: str, method: str, *, timeout_s: float = 5.0) -> Outcome:
    texts: list[str] = []
    reasons: list[str | None] = []
    async with AsyncAnthropic(base_url=url, api_key="test", max_retries=0, timeout=timeout_s) as client:
        try:
            if method == "messages.stream()":
                async with client.messages.stream(**ASK) as stream:
                    async for text in stream.text_stream:
                        texts.append(text)
                    reasons.append((await stream.get_final_message()).stop_reason)
            else:
                async with await client.messages.create(stream=True, **ASK) as stream:
                    async for event in stream:
                        note(event, texts, reasons)
        except Exception as error:
            return outcome(texts, reasons, error)
    return outcome(texts, reasons)


def run(colour: str, url: str, method: str, *, timeout_s: float = 5.0) -> Outcome:
    if colour == "sync":
        return consume(url, method, timeout_s=timeout_s)
    return asyncio.run(consume_async(url, method, timeout_s=timeout_s))


def serve(*replies: Reply, speed: float = 1.0) -> Upstream:
    return Upstream(replies, speed=speed)


def connect(upstream: Upstream) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(upstream.url.rpartition(":")[2])), timeout=5)


def raw_chunks(url: str) -> list[bytes]:
    with httpx2.stream("POST", f"{url}/v1/messages", json=ASK) as response:
        return list(response.iter_raw())


# The script


def test_every_step_is_one_chunk_in_order_and_never_early():
    steps = tuple(Step(at=at * MS, data=f"step at {at} ms".encode()) for at in (0, 0, 0, 4, 8, 8, 12))
    arrivals: list[tuple[int, bytes]] = []
    with (
        serve(Reply(steps=steps)) as upstream,
        httpx2.stream("POST", upstream.url, content=b"{}") as response,
    ):
        arrivals.extend((perf_counter_ns(), chunk) for chunk in response.iter_raw())

    assert [step.data for step in steps] == [chunk for _, chunk in arrivals]
    began = upstream.received[0].at
    assert all(at - began >= step.at for step, (at, _) in zip(steps, arrivals, strict=True))


def test_headers_leave_when_the_script_says():
    with serve(Reply.sse(EVENTS, headers_at=5 * MS, first=10 * MS)) as upstream:
        with httpx2.stream("POST", upstream.url) as response:
            headers_at = perf_counter_ns()
            response.read()
        read_at = perf_counter_ns()

    began = upstream.received[0].at
    assert headers_at - began >= 5 * MS
    assert read_at - began >= 10 * MS
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"


def test_the_end_waits_for_its_time():
    with serve(Reply.sse(EVENTS, end_at=10 * MS)) as upstream:
        raw_chunks(upstream.url)
        assert perf_counter_ns() - upstream.received[0].at >= 10 * MS


def test_speed_divides_every_time():
    slow = Reply.sse(EVENTS, headers_at=10_000 * MS, first=20_000 * MS, gap=1_000 * MS, end_at=60_000 * MS)
    with serve(slow, speed=10_000) as upstream:
        raw_chunks(upstream.url)
        took = perf_counter_ns() - upstream.received[0].at

    assert 6 * MS <= took < 30_000 * MS


def test_a_speed_of_zero_is_refused():
    with pytest.raises(ValueError, match="speed must be above 0, not 0"):
        Upstream([], speed=0)


def test_no_bytes_send_no_chunk_which_would_end_the_body():
    steps = (Step(at=0, data=b"a"), Step(at=0, data=b""), Step(at=0, data=b"b"))
    with serve(Reply(steps=steps)) as upstream:
        assert raw_chunks(upstream.url) == [b"a", b"b"]


def test_a_large_step_arrives_whole():
    body = bytes(range(256)) * 8_192
    with serve(Reply(steps=(Step(at=0, data=body),))) as upstream:
        assert body == b"".join(raw_chunks(upstream.url))


def test_a_burst_starves_no_other_stream():
    burst = Reply(steps=(Step(at=0, data=b"x"),) * 200_000)
    replies = {"/burst": burst, "/calm": Reply.sse(EVENTS)}
    under_way, enough = threading.Event(), threading.Event()

    def read_the_burst(url: str) -> None:
        with httpx2.stream("GET", url) as response:
            for _ in response.iter_raw():
                under_way.set()
                if enough.is_set():
                    break

    with Upstream(lambda received: replies[received.target]) as upstream:
        reader = threading.Thread(target=read_the_burst, args=(f"{upstream.url}/burst",))
        reader.start()
        under_way.wait()
        httpx2.get(f"{upstream.url}/calm")
        enough.set()
        reader.join()
        upstream.settle()

    assert [received.target for received in upstream.closed_by_client] == ["/burst"]


def drain(response: httpx2.Response, chunks: list[bytes]) -> None:
    chunks.extend(response.iter_raw())


def test_a_cut_waits_until_a_slow_client_has_everything_before_it():
    body = b"x" * 65_536
    reply = Reply(steps=(Step(at=0, data=body),) * 100, end="cut")
    chunks: list[bytes] = []
    with serve(reply) as upstream, httpx2.stream("GET", upstream.url) as response:
        with pytest.raises(TimeoutError):  # more than the sockets hold: the script stands still
            upstream.settle(timeout_s=0.03)
        with pytest.raises(httpx2.RemoteProtocolError):
            drain(response, chunks)

    assert 100 * body == b"".join(chunks)


def test_a_reply_without_headers_cannot_have_a_body():
    with pytest.raises(ValueError, match="a reply without headers"):
        Reply(headers_at=None)
    with pytest.raises(ValueError, match="a reply without headers"):
        Reply(headers_at=None, end="cut", steps=(Step(at=0, data=b"x"),))


def test_a_json_reply_has_a_length_and_is_not_chunked():
    with serve(Reply.json(201, {"a": "é"}, headers={"request-id": "req_1"})) as upstream:
        response = httpx2.get(upstream.url)

    assert (response.status_code, response.json()) == (201, {"a": "é"})
    assert response.headers["request-id"] == "req_1"
    assert str(len(response.content)) == response.headers["content-length"]
    assert "transfer-encoding" not in response.headers


def test_headers_may_repeat():
    with serve(Reply(headers=[("x-a", "1"), ("x-a", "2")])) as upstream:
        response = httpx2.get(upstream.url)

    assert response.headers.get_list("x-a") == ["1", "2"]


def test_the_request_is_kept_as_it_came():
    with serve(Reply.json(200, {})) as upstream:
        httpx2.post(f"{upstream.url}/v1/messages?beta=true", json={"a": 1}, headers={"X-Name": "Some Value"})

    (received,) = upstream.received
    assert (received.method, received.target) == ("POST", "/v1/messages?beta=true")
    assert ("x-name", "Some Value") in received.headers
    assert received.json() == {"a": 1}


def test_gzip_steps_are_compressed_and_each_decodes_as_it_comes():
    plain = Reply.sse(EVENTS).steps
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    reply = Reply(headers=headers, steps=gzip_steps(plain))
    with serve(reply, reply) as upstream:
        assert [step.data for step in reply.steps] == raw_chunks(upstream.url)
        with httpx2.stream("GET", upstream.url) as response:
            assert [step.data for step in plain] == [chunk for chunk in response.iter_bytes() if chunk]


def test_the_sdk_reads_a_gzip_stream():
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    with serve(Reply(headers=headers, steps=gzip_steps(Reply.sse(EVENTS).steps))) as upstream:
        assert outcome(["Hello!"], ["end_turn"]) == consume(upstream.url, "messages.stream()")


# What the SDK makes of each ending: the truth table


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("colour", COLOURS)
class TestTruthTable:
    def test_a_whole_stream(self, colour: str, method: str):
        with serve(Reply.sse(EVENTS)) as upstream:
            assert outcome(["Hello!"], ["end_turn"]) == run(colour, upstream.url, method)

    def test_a_clean_end_before_message_stop_is_no_exception(self, colour: str, method: str):
        with serve(Reply.sse(HALF)) as upstream:
            assert outcome(["Hello"], []) == run(colour, upstream.url, method)

    def test_a_cut_is_a_protocol_error_that_is_not_the_sdks(self, colour: str, method: str):
        with serve(Reply.sse(HALF, end="cut")) as upstream:
            seen = run(colour, upstream.url, method)

        assert seen.text == "Hello"
        assert type(seen.error) is httpx2.RemoteProtocolError

    def test_a_reset_is_a_read_error_that_is_not_the_sdks(self, colour: str, method: str):
        with serve(Reply.sse(HALF, end="reset")) as upstream:
            seen = run(colour, upstream.url, method)

        assert seen.text == "Hello"
        assert type(seen.error) is httpx2.ReadError

    def test_a_stall_is_a_read_timeout_that_is_not_the_sdks(self, colour: str, method: str):
        with serve(Reply.sse(HALF, end="hang")) as upstream:
            seen = run(colour, upstream.url, method, timeout_s=0.05)
            upstream.settle()

        assert seen.text == "Hello"
        assert type(seen.error) is httpx2.ReadTimeout
        assert upstream.received == upstream.closed_by_client

    def test_an_error_event_is_a_status_error_with_status_200(self, colour: str, method: str):
        overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        with serve(Reply.sse([*HALF, overloaded])) as upstream:
            seen = run(colour, upstream.url, method)

        assert seen.text == "Hello"
        assert isinstance(seen.error, anthropic.APIStatusError)
        assert seen.error.status_code == 200

    @pytest.mark.parametrize("end", ["cut", "reset"])
    def test_a_drop_before_the_headers_is_the_sdks_connection_error(self, colour: str, method: str, end: Any):
        with serve(Reply.drop(end)) as upstream:
            seen = run(colour, upstream.url, method)

        cause = {"cut": httpx2.RemoteProtocolError, "reset": httpx2.ReadError}[end]
        assert type(seen.error) is anthropic.APIConnectionError
        assert type(seen.error.__cause__) is cause

    def test_a_hang_before_the_headers_is_the_sdks_timeout(self, colour: str, method: str):
        with serve(Reply.drop("hang")) as upstream:
            seen = run(colour, upstream.url, method, timeout_s=0.05)

        assert type(seen.error) is anthropic.APITimeoutError

    def test_a_status_is_the_sdks_error_with_claudes_body(self, colour: str, method: str):
        with serve(Reply.error(529, "overloaded_error", "Overloaded")) as upstream:
            seen = run(colour, upstream.url, method)

        assert isinstance(seen.error, anthropic.APIStatusError)
        assert seen.error.status_code == 529
        error = {"type": "overloaded_error", "message": "Overloaded"}
        assert {"type": "error", "error": error, "request_id": None} == seen.error.body


def test_a_reset_leaves_to_read_what_had_arrived():
    with serve(Reply.sse(EVENTS, end="reset")) as upstream, connect(upstream) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        poll = select.poll()
        poll.register(client, 0)
        assert poll.poll(5_000)  # the reset is here, and nothing has been read yet
        answer = client.recv(65_536)
        with pytest.raises(ConnectionResetError):
            client.recv(65_536)

    assert all(encode_event(event) in answer for event in EVENTS)


def test_a_529_is_retried_and_the_second_attempt_succeeds():
    again = Reply.error(529, "overloaded_error", "Overloaded", headers={"retry-after-ms": "1"})
    with (
        serve(again, Reply.sse(EVENTS)) as upstream,
        Anthropic(base_url=upstream.url, api_key="test", max_retries=1) as client,
        client.messages.stream(**ASK) as stream,
    ):
        assert stream.get_final_text() == "Hello!"

    assert [dict(received.headers)["x-stainless-retry-count"] for received in upstream.received] == ["0", "1"]


# Connections


def test_a_connection_serves_one_request_after_the_other():
    with serve(Reply.sse(EVENTS), Reply.json(200, {}), Reply.sse(EVENTS)) as upstream, httpx2.Client() as client:
        for _ in range(3):
            client.get(upstream.url)

    assert [received.connection for received in upstream.received] == [0, 0, 0]


def test_a_new_connection_follows_a_cut():
    with serve(Reply.sse(HALF, end="cut"), Reply.sse(EVENTS)) as upstream, httpx2.Client() as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            client.get(upstream.url)
        client.get(upstream.url)

    assert [received.connection for received in upstream.received] == [0, 1]


def test_pipelined_requests_are_answered_in_order():
    with (
        serve(Reply.json(200, "first"), Reply.json(200, "second")) as upstream,
        connect(upstream) as client,
    ):
        client.sendall(
            b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        )
        with client.makefile("rb") as answers:
            answer = answers.read()

    assert answer.index(b'"first"') < answer.index(b'"second"')
    assert [received.target for received in upstream.received] == ["/1", "/2"]


def test_a_client_that_asks_before_it_sends_the_body_is_told_to_continue():
    with serve(Reply.json(200, {})) as upstream:
        client = http.client.HTTPConnection(upstream.url.removeprefix("http://"), timeout=5)
        client.putrequest("POST", "/")
        client.putheader("content-length", "2")
        client.putheader("expect", "100-continue")
        client.endheaders()
        assert client.sock.recv(4_096).startswith(b"HTTP/1.1 100")
        client.send(b"{}")
        assert client.getresponse().status == 200
        client.close()

    assert upstream.received[0].body == b"{}"


async def test_fifty_streams_at_once_each_get_their_own():
    def answer(received: Received) -> Reply:
        name = received.json()["messages"][0]["content"]
        return Reply.sse(message_events(*(f"{name}.{i} " for i in range(10))), first=5 * MS, gap=2 * MS)

    with Upstream(answer) as upstream:
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(limits=limits, timeout=10) as client:

            async def ask(name: str) -> bytes:
                body = {**ASK, "messages": [{"role": "user", "content": name}]}
                return (await client.post(upstream.url, json=body)).content

            bodies = await asyncio.gather(*(ask(f"stream {i}") for i in range(50)))

    for i, body in enumerate(bodies):
        expected = message_events(*(f"stream {i}.{k} " for k in range(10)))
        assert b"".join(map(encode_event, expected)) == body
    assert len({received.connection for received in upstream.received}) == 50


async def test_concurrent_sdk_streams_are_complete():
    with Upstream(lambda _: Reply.sse(EVENTS, gap=MS)) as upstream:
        async with AsyncAnthropic(base_url=upstream.url, api_key="test", max_retries=0) as client:

            async def ask() -> str:
                async with client.messages.stream(**ASK) as stream:
                    return await stream.get_final_text()

            assert await asyncio.gather(*(ask() for _ in range(50))) == ["Hello!"] * 50


@pytest.mark.parametrize("colour", COLOURS)
def test_a_client_that_hangs_up_is_noticed(colour: str, caplog: pytest.LogCaptureFixture):
    endless = Reply.sse(HALF, end="hang")

    async def leave(url: str) -> None:
        async with httpx2.AsyncClient() as client, client.stream("GET", url) as response:
            await anext(response.aiter_raw())

    with serve(endless, Reply.sse(EVENTS)) as upstream:
        if colour == "async":
            asyncio.run(leave(upstream.url))
        else:
            with httpx2.stream("GET", upstream.url) as response:
                next(response.iter_raw())
        upstream.settle()
        httpx2.get(upstream.url)
        upstream.settle()

    assert upstream.received[:1] == upstream.closed_by_client
    assert caplog.records == []


def test_a_reply_in_progress_does_not_settle():
    with (
        serve(Reply.sse(HALF, end="hang")) as upstream,
        httpx2.stream("GET", f"{upstream.url}/slow"),
        pytest.raises(TimeoutError, match=r"1 replies are in progress: /slow"),
    ):
        upstream.settle(timeout_s=0.01)


def test_settling_can_wait_for_requests_that_are_on_their_way():
    with serve(Reply.sse(EVENTS), Reply.sse(EVENTS)) as upstream:
        clients = [threading.Thread(target=raw_chunks, args=(upstream.url,)) for _ in range(2)]
        for client in clients:
            client.start()
        upstream.settle(requests=2)
        assert len(upstream.received) == 2
        for client in clients:
            client.join()
        with pytest.raises(TimeoutError, match=r"2 of 3 requests have come and 0 replies are in progress"):
            upstream.settle(requests=3, timeout_s=0.01)


def test_closing_ends_what_hangs_and_it_is_not_the_client_who_left():
    with serve(Reply.sse(HALF, end="hang")) as upstream, httpx2.stream("GET", upstream.url) as response:
        upstream.close()
        chunks: list[bytes] = []
        with pytest.raises(httpx2.RemoteProtocolError):
            drain(response, chunks)
        upstream.settle()

    assert len(chunks) <= len(HALF)
    assert upstream.closed_by_client == []
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(upstream.url)


# When the test itself is wrong


def test_a_request_past_the_script_says_so_without_a_retry():
    with (
        serve() as upstream,
        Anthropic(base_url=upstream.url, api_key="test", max_retries=2) as client,
        pytest.raises(anthropic.InternalServerError, match=r"no reply left for POST /v1/messages"),
    ):
        client.messages.create(**ASK)

    assert len(upstream.received) == 1


def failing(received: Received) -> Reply:
    pytest.fail("nobody asked for this")


def test_an_exception_of_the_answer_is_a_500_and_loud_at_close():
    upstream = Upstream(failing)
    response = httpx2.get(upstream.url)
    assert response.status_code == 500
    assert "nobody asked for this" in response.json()["error"]["message"]
    httpx2.get(upstream.url)
    with pytest.raises(pytest.fail.Exception, match="nobody asked for this") as caught:
        upstream.close()
    assert caught.value.__notes__ == ["The first of 2 failures in the scripted upstream."]
    upstream.close()


def test_an_exception_of_the_answer_does_not_hide_the_tests_own():
    with pytest.raises(httpx2.HTTPStatusError) as caught, Upstream(failing) as upstream:
        httpx2.get(upstream.url).raise_for_status()

    (noted,) = caught.value.__notes__
    assert "nobody asked for this" in noted


def test_an_exception_of_the_answer_leaves_the_with_block():
    with pytest.raises(pytest.fail.Exception, match="nobody asked for this"), Upstream(failing) as upstream:
        httpx2.get(upstream.url)


def test_an_answer_that_is_no_reply_is_loud():
    nothing: Any = lambda received: None  # noqa: E731
    with pytest.raises(TypeError, match="answer returned None, expected a Reply"), Upstream(nothing) as upstream:
        assert httpx2.get(upstream.url).status_code == 500


def test_a_reply_that_http_does_not_allow_is_loud():
    upstream = serve(Reply(headers={"content-length": "1"}, steps=(Step(at=0, data=b"two"),)))
    with pytest.raises(httpx2.RemoteProtocolError):
        httpx2.get(upstream.url)
    with pytest.raises(h11.LocalProtocolError, match="Too much data"):
        upstream.close()


def test_a_request_that_is_no_http_is_loud():
    upstream = serve()
    with connect(upstream) as client:
        client.sendall(b"this is no HTTP\r\n\r\n")
        assert client.recv(1) == b""
    with pytest.raises(h11.RemoteProtocolError, match="illegal request line"):
        upstream.close()


# Chunkings and clocks

BODY = "event: a\r\ndata: é\r\n\r\ndata: \N{GRINNING FACE}\n\n: end".encode()


def test_every_kind_of_cut_is_covered():
    cuts = dict(chunkings(BODY, random=2))

    assert list(cuts) == [
        "whole",
        "byte by byte",
        "after each event",
        "inside blank lines",
        "inside CRLF",
        "inside data:",
        "inside UTF-8",
        "random 0/0",
        "random 0/1",
    ]
    assert cuts["whole"] == [BODY]
    assert len(BODY) == len(cuts["byte by byte"])
    assert cuts["after each event"][2:] == [b": end"]
    assert cuts["inside CRLF"][0] == b"event: a\r"
    assert cuts["inside data:"][0] == b"event: a\r\nda"
    assert cuts["inside UTF-8"][2:4] == [b"\x9f", b"\x98"]


def test_a_cut_that_a_body_has_no_place_for_is_left_out():
    assert [name for name, _ in chunkings(b"plain", random=0)] == ["whole", "byte by byte"]


def test_the_seed_and_nothing_else_decides_the_random_cuts():
    assert list(chunkings(BODY, seed=7)) == list(chunkings(BODY, seed=7))
    assert dict(chunkings(BODY, seed=7)).keys() != dict(chunkings(BODY, seed=8)).keys()
    random_cuts = [chunks for name, chunks in chunkings(BODY, random=20) if name.startswith("random")]
    assert len({len(chunks) for chunks in random_cuts}) > 5


@given(
    body=st.one_of(
        st.binary(max_size=200),
        st.lists(st.sampled_from([b"data: ", b"\r", b"\n", "é".encode(), b"x"])).map(b"".join),
    ),
    seed=st.integers(),
)
def test_chunks_are_never_empty_and_join_to_the_body(body: bytes, seed: int):
    for name, chunks in chunkings(body, seed=seed):
        assert body == b"".join(chunks), name
        assert all(chunks), name


def test_a_message_survives_every_chunking():
    body = b"".join(map(encode_event, message_events("é", "\N{GRINNING FACE}")))
    ways = list(chunkings(body))
    replies = [Reply.sse(chunks) for _, chunks in ways]
    with (
        Upstream(replies) as upstream,
        Anthropic(base_url=upstream.url, api_key="test", max_retries=0) as client,
    ):
        for name, _ in ways:
            with client.messages.stream(**ASK) as stream:
                assert stream.get_final_text() == "é\N{GRINNING FACE}", name


def test_a_manual_clock_moves_only_when_told():
    clock = ManualClock(start=5)
    assert (clock(), clock()) == (5, 5)
    clock.advance(10)
    assert clock() == 15
    with pytest.raises(ValueError, match="cannot move by -1 ns"):
        clock.advance(-1)


def test_no_event_waits_for_the_acknowledgement_of_the_one_before() -> None:
    with Upstream([Reply.sse([b"data: 1\n\n"], end="hang")]) as upstream:
        with httpx2.Client() as http, http.stream("GET", upstream.url) as response:
            chunks = response.iter_raw()
            next(chunks)
            [connection] = upstream._ledger.open
            sock = connection._transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
