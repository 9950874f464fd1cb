"""When the test itself is wrong, the upstream says so, loudly."""

from __future__ import annotations

from typing import Any

import anthropic
import h11
import httpx2
import pytest
from anthropic import Anthropic

from recorder.testing import (
    Received,
    Reply,
    Step,
    Upstream,
)
from tests.testing.calls import (
    ASK,
    connect,
    serve,
)


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
