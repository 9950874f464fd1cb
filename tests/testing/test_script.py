"""The scripted upstream keeps its script: each step one chunk, in order, never early."""

from __future__ import annotations

import threading
from time import perf_counter_ns

import httpx2
import pytest

from recorder.testing import (
    Reply,
    Step,
    Upstream,
    gzip_steps,
)
from tests.testing.calls import (
    EVENTS,
    MS,
    consume,
    drain,
    outcome,
    raw_chunks,
    serve,
)


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
