"""What the SDK makes of each ending of the upstream: the truth table, live."""

from __future__ import annotations

import select
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import Anthropic

from recorder.testing import (
    Reply,
    encode_event,
)
from tests.testing.calls import (
    ASK,
    COLOURS,
    EVENTS,
    HALF,
    METHODS,
    connect,
    outcome,
    run,
    serve,
)


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
            seen = run(colour, upstream.url, method, timeout_s=0.4)
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
            seen = run(colour, upstream.url, method, timeout_s=0.4)

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
