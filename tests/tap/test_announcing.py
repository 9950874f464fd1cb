"""The request is told once it is on its way: before the answer, as it was sent, and by one process alone."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

import recorder
from recorder.log.streams import Stream
from recorder.testing import Reply, Upstream, message_events

ASK: dict[str, Any] = {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
SILENT = Reply(headers_at=None, end="hang")
HELLO = Reply.sse(message_events("hello"))


class Own(httpx2.HTTPTransport):
    """Tells no steps."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.extensions.pop("trace", None)
        return super().handle_request(request)


def streams_of(path: Path) -> list[Stream]:
    return list(recorder.open(path).streams())


def soon(what: Callable[[], bool]) -> bool:
    """Whether it is so within 10 s."""
    deadline = time.monotonic() + 10
    while not what() and time.monotonic() < deadline:
        time.sleep(0.002)
    return what()


@pytest.mark.parametrize("transport", [None, Own], ids=["httpx2's own", "somebody's own"])
def test_a_request_is_in_the_file_while_its_server_is_silent(tmp_path: Path, transport: type[Own] | None) -> None:
    upstream = Upstream(lambda _: SILENT)
    http = anthropic.DefaultHttpxClient(transport=transport() if transport else None)
    client = anthropic.Anthropic(base_url=upstream.url, api_key="k", max_retries=0, http_client=http)
    with recorder.Tap(tmp_path) as tap, client:

        def ask() -> None:
            with pytest.raises(anthropic.APIConnectionError):
                tap.wrap(client).messages.create(**ASK)

        waiting = threading.Thread(target=ask)
        waiting.start()
        assert soon(lambda: tap.stats().streams == 1)
        assert tap.flush()
        [stream] = streams_of(tmp_path)
        assert (stream.request.body["messages"], stream.response, stream.end) == (ASK["messages"], None, None)
        upstream.close()
        waiting.join()


async def test_a_request_is_in_the_file_while_the_server_of_an_async_client_is_silent(tmp_path: Path) -> None:
    with Upstream(lambda _: SILENT) as upstream, recorder.Tap(tmp_path) as tap:
        async with anthropic.AsyncAnthropic(base_url=upstream.url, api_key="k", max_retries=0) as client:
            asking = asyncio.create_task(tap.wrap(client).messages.create(**ASK))
            assert await asyncio.to_thread(soon, lambda: tap.stats().streams == 1)
            assert tap.flush()
            [stream] = streams_of(tmp_path)
            assert (stream.response, stream.end) == (None, None)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
    [stream] = streams_of(tmp_path)
    assert stream.end is not None
    assert stream.end.end == "closed"


async def test_a_request_is_told_as_it_was_sent_whatever_becomes_of_its_parts(tmp_path: Path) -> None:
    """A connection is waited for; meanwhile the application goes on with what it asked with."""
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    sent: list[bytes] = []

    async def another_task(request: httpx2.Request) -> None:
        sent.append(request.content)
        schema["properties"]["later"] = {"type": "string"}

    with Upstream(lambda _: HELLO) as upstream, recorder.Tap(tmp_path) as tap:
        http = anthropic.DefaultAsyncHttpxClient(event_hooks={"request": [another_task]})
        async with anthropic.AsyncAnthropic(base_url=upstream.url, api_key="k", http_client=http) as client:
            stream = await tap.wrap(client).messages.create(**ASK, stream=True, extra_body={"output": schema})
            assert [event.type async for event in stream][-1] == "message_stop"
    [told] = streams_of(tmp_path)
    assert b"later" not in sent[0]
    assert told.request.body["output"] == {"type": "object", "properties": {}}


def test_an_attempt_that_never_got_a_connection_is_told_with_its_end(tmp_path: Path) -> None:
    with Upstream(lambda _: HELLO) as upstream:
        url = upstream.url
    with recorder.Tap(tmp_path) as tap, anthropic.Anthropic(base_url=url, api_key="k", max_retries=0) as client:
        with pytest.raises(anthropic.APIConnectionError):
            tap.wrap(client).messages.create(**ASK)
    [stream] = streams_of(tmp_path)
    assert stream.request.body["messages"] == ASK["messages"]
    assert stream.end is not None
    assert stream.end.end == "failed"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_an_attempt_that_was_not_told_at_a_fork_stays_the_parents(tmp_path: Path) -> None:
    """The fork comes between the call and the moment at which its request is on its way."""
    children: list[int] = []

    def fork(_: httpx2.Request) -> None:
        children.append(os.fork())

    with Upstream(lambda _: HELLO) as upstream, recorder.Tap(tmp_path) as tap:
        http = anthropic.DefaultHttpxClient(event_hooks={"request": [fork]})
        with anthropic.Anthropic(base_url=upstream.url, api_key="k", max_retries=0, http_client=http) as client:
            stream = tap.wrap(client).messages.create(**ASK, stream=True)
            if children == [0]:  # its connection is its own; so is what it might record
                tap.close()
                os._exit(0)
            assert [event.type for event in stream][-1] == "message_stop"
        assert os.waitpid(children[0], 0)[1] == 0
    assert len(streams_of(tmp_path)) == 1
