"""The tap on the real SDK, against a real server: what the application sees is what it would have seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

import recorder
from recorder.testing import (
    Reply,
    Step,
    Upstream,
    encode_event,
    gzip_steps,
    message_events,
)
from tests.tap.calls import (
    ASK,
    MESSAGE,
    MS,
    TEXTS,
    async_client,
    check_hello,
    client,
    hello,
    recorded,
)


def read_sync(one: anthropic.Anthropic) -> dict[str, Callable[[], Any]]:
    def with_streaming_response() -> Any:
        with one.messages.with_streaming_response.create(**ASK, stream=True) as response:
            return b"".join(response.iter_bytes())

    def stream() -> Any:
        with one.messages.stream(**ASK) as events:
            return "".join(events.text_stream), events.get_final_message().to_dict()

    def beta_stream() -> Any:
        with one.beta.messages.stream(**ASK) as events:
            return events.get_final_message().to_dict()

    return {
        "create": lambda: [event.to_dict() for event in one.messages.create(**ASK, stream=True)],
        "stream": stream,
        "beta create": lambda: [event.to_dict() for event in one.beta.messages.create(**ASK, stream=True)],
        "beta stream": beta_stream,
        "raw response": lambda: [
            e.type for e in one.messages.with_raw_response.create(**ASK, stream=True).parse()
        ],
        "streaming response": with_streaming_response,
    }


def read_async(one: anthropic.AsyncAnthropic) -> dict[str, Callable[[], Any]]:
    async def create() -> Any:
        return [event.to_dict() async for event in await one.messages.create(**ASK, stream=True)]

    async def stream() -> Any:
        async with one.messages.stream(**ASK) as events:
            text = "".join([part async for part in events.text_stream])
            return text, (await events.get_final_message()).to_dict()

    async def beta_create() -> Any:
        return [event.to_dict() async for event in await one.beta.messages.create(**ASK, stream=True)]

    async def beta_stream() -> Any:
        async with one.beta.messages.stream(**ASK) as events:
            return (await events.get_final_message()).to_dict()

    async def raw_response() -> Any:
        response = await one.messages.with_raw_response.create(**ASK, stream=True)
        return [event.type async for event in await response.parse()]

    async def streaming_response() -> Any:
        async with one.messages.with_streaming_response.create(**ASK, stream=True) as response:
            return b"".join([chunk async for chunk in response.iter_bytes()])

    return {
        "create": create, "stream": stream, "beta create": beta_create,
        "beta stream": beta_stream, "raw response": raw_response, "streaming response": streaming_response,
    }  # fmt: skip


WAYS = ("create", "stream", "beta create", "beta stream", "raw response", "streaming response")


@pytest.mark.parametrize("way", WAYS)
def test_a_sync_client_sees_the_same_and_the_body_is_in_the_log(tmp_path: Path, way: str) -> None:
    with Upstream(hello) as upstream, recorder.Tap(tmp_path) as tap:
        plain = read_sync(client(upstream))[way]()
        tapped = read_sync(tap.wrap(client(upstream)))[way]()

    assert tapped == plain
    check_hello(tmp_path)


@pytest.mark.parametrize("way", WAYS)
async def test_an_async_client_sees_the_same_and_the_body_is_in_the_log(tmp_path: Path, way: str) -> None:
    with Upstream(hello) as upstream, recorder.Tap(tmp_path) as tap:
        async with async_client(upstream) as plain, async_client(upstream) as tapped:
            expected = await read_async(plain)[way]()
            seen = await read_async(tap.wrap(tapped))[way]()

    assert seen == expected
    check_hello(tmp_path)


def test_middleware_given_to_the_client_is_the_same_as_wrap(tmp_path: Path) -> None:
    with Upstream(hello) as upstream, recorder.Tap(tmp_path) as tap:
        [*client(upstream, middleware=[tap]).messages.create(**ASK, stream=True)]

    check_hello(tmp_path)


def test_only_the_wrapped_client_is_recorded(tmp_path: Path) -> None:
    with Upstream(hello) as upstream, recorder.Tap(tmp_path) as tap:
        original = client(upstream)
        [*tap.wrap(original).messages.create(**ASK, stream=True)]
        [*original.messages.create(**ASK, stream=True)]

    assert len(recorded(tmp_path)) == 1


def test_a_retried_call_is_two_streams_under_one_call(tmp_path: Path) -> None:
    replies = [Reply.error(529, "overloaded_error", "Overloaded", headers={"retry-after-ms": "1"}), hello(None)]  # type: ignore[arg-type]
    with Upstream(replies) as upstream, recorder.Tap(tmp_path) as tap:
        [*tap.wrap(client(upstream, max_retries=1)).messages.create(**ASK, stream=True)]

    first, second = recorded(tmp_path)
    assert first.call == second.call
    assert (first.request.attempt, second.request.attempt) == (0, 1)
    assert first.response is not None
    assert (first.response.status, first.response.headers["retry-after-ms"]) == (529, "1")


async def test_a_retried_get_is_one_call_too(tmp_path: Path) -> None:
    models = {"data": [], "has_more": False, "first_id": None, "last_id": None}
    replies = [
        Reply.error(500, "api_error", "no", headers={"retry-after-ms": "1"}),
        *(Reply.json(200, models) for _ in range(2)),
    ]
    with Upstream(replies) as upstream, recorder.Tap(tmp_path) as tap:
        async with async_client(upstream, max_retries=1) as one:
            await tap.wrap(one).models.list()
            await tap.wrap(one).models.list()

    first, second, other = recorded(tmp_path)
    assert first.call == second.call != other.call
    assert first.request.body is None


def test_calls_that_do_not_stream_are_recorded_as_a_body(tmp_path: Path) -> None:
    with Upstream([Reply.json(200, MESSAGE), Reply.error(400, "invalid_request_error", "no")]) as upstream:
        with recorder.Tap(tmp_path) as tap:
            tapped = tap.wrap(client(upstream))
            assert tapped.messages.create(**ASK).content[0].text == "hi"
            with pytest.raises(anthropic.BadRequestError):
                tapped.messages.create(**ASK)

    good, bad = recorded(tmp_path)
    assert good.message() == MESSAGE
    assert good.end is not None
    assert good.end.complete
    assert bad.end is not None
    assert bad.end.summary is not None
    assert bad.end.summary.error is not None
    assert bad.end.summary.error.type == "invalid_request_error"


def test_a_refused_connection_is_a_stream_without_a_response(tmp_path: Path) -> None:
    upstream = Upstream(hello)
    upstream.close()
    with recorder.Tap(tmp_path) as tap, pytest.raises(anthropic.APIConnectionError):
        tap.wrap(client(upstream)).messages.create(**ASK)

    [stream] = recorded(tmp_path)
    assert stream.response is None
    assert stream.end is not None
    assert stream.end.end == "failed"
    assert stream.end.error is not None
    assert stream.end.error.type == "httpx2.ConnectError"


def test_an_application_that_stops_early_closes_the_stream(tmp_path: Path) -> None:
    with Upstream(hello) as upstream, recorder.Tap(tmp_path) as tap:
        with tap.wrap(client(upstream)).messages.create(**ASK, stream=True) as stream:
            next(iter(stream))
        upstream.settle()

    [one] = recorded(tmp_path)
    assert one.end is not None
    assert (one.end.end, one.end.complete) == ("closed", False)


def test_a_dropped_stream_is_closed_by_the_garbage_collector(tmp_path: Path) -> None:
    with Upstream(hello) as upstream, recorder.Tap(tmp_path) as tap:
        response = tap.wrap(client(upstream)).messages.with_raw_response.create(**ASK, stream=True)
        response.http_response.close()
        del response

    [one] = recorded(tmp_path)
    assert one.end is not None
    assert one.end.end == "closed"


async def test_a_cancelled_task_closed_its_stream(tmp_path: Path) -> None:
    endless = Reply.sse(message_events("a")[:3], end="hang")
    with Upstream([endless]) as upstream, recorder.Tap(tmp_path) as tap:
        async with async_client(upstream) as one:
            seen = asyncio.Event()

            async def read() -> None:
                async for event in await tap.wrap(one).messages.create(**ASK, stream=True):
                    if event.type == "content_block_delta":
                        seen.set()

            task = asyncio.create_task(read())
            await seen.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    [stream] = recorded(tmp_path)
    assert stream.end is not None
    assert stream.end.end == "closed"
    assert stream.end.error is not None
    assert stream.end.error.type.endswith("CancelledError")


def test_gzip_comes_off_the_log_and_the_chunks_keep_their_times(tmp_path: Path) -> None:
    steps = tuple(Step(at=n * MS, data=encode_event(event)) for n, event in enumerate(message_events(*TEXTS)))
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    with Upstream([Reply(headers=headers, steps=gzip_steps(steps))]) as upstream, recorder.Tap(tmp_path) as tap:
        assert len([*tap.wrap(client(upstream)).messages.create(**ASK, stream=True)]) == 9

    [stream] = recorded(tmp_path)
    assert stream.body() == b"".join(step.data for step in steps)
    assert stream.response is not None
    assert stream.response.headers["content-encoding"] == "gzip"


def test_headers_are_an_allow_list_and_keys_stay_out(tmp_path: Path) -> None:
    ask = {**ASK, "messages": [{"role": "user", "content": "my key is sk-ant-test-abcdefghijkl, keep it"}]}
    with Upstream(hello) as upstream, recorder.Tap(tmp_path) as tap:
        [*tap.wrap(client(upstream)).messages.create(**ask, stream=True, extra_headers={"x-my-token": "hush"})]
        transport = recorder.TapTransport(tap)
        with httpx2.Client(transport=transport) as http:
            http.post(upstream.url, headers={"x-api-key": "an-unusual-key"}, json={"echo": "an-unusual-key"})

    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in (b"sk-ant-test", b"hush", b"an-unusual-key", b'"x-secret"', b'"org"'):
        assert secret not in written
    assert b"my key is [redacted], keep it" in written
    assert oct(next(tmp_path.iterdir()).stat().st_mode & 0o777) == "0o600"


def test_a_request_that_json_has_no_words_for_is_recorded_all_the_same(tmp_path: Path) -> None:
    odd = {"half a pair": "\ud83d", "big": 10**30}
    with Upstream([Reply.json(200, MESSAGE)]) as upstream, recorder.Tap(tmp_path) as tap:
        with pytest.raises(UnicodeEncodeError):  # the SDK cannot send it
            tap.wrap(client(upstream)).messages.create(**ASK, extra_body=odd)

    [stream] = recorded(tmp_path)
    assert {name: stream.request.body[name] for name in odd} == odd
    assert stream.end is not None
    assert stream.end.error is not None


def test_a_login_in_a_url_stays_out(tmp_path: Path) -> None:
    with Upstream([Reply.json(200, {})]) as upstream, recorder.Tap(tmp_path) as tap:
        url = upstream.url.replace("://", "://joe:hunter2@")
        with httpx2.Client(transport=recorder.TapTransport(tap)) as http:
            http.get(f"{url}/x")

    [stream] = recorded(tmp_path)
    assert stream.request.url == f"{upstream.url}/x"


def test_elapsed_and_unknown_attributes_of_a_body_are_forwarded(tmp_path: Path) -> None:
    with Upstream(hello) as upstream, recorder.Tap(tmp_path) as tap:
        response = tap.wrap(client(upstream)).messages.with_raw_response.create(**ASK, stream=True)
        [*response.parse()]

    assert response.http_response.elapsed.total_seconds() > 0
    assert response.http_response.stream.stream_observer is None


def test_tags_go_with_the_call(tmp_path: Path) -> None:
    with Upstream(hello) as upstream, recorder.Tap(tmp_path, tags={"service": "api"}) as tap:
        tapped = tap.wrap(client(upstream))
        with recorder.tags(feature="chat"), recorder.tags(user="u1"):
            [*tapped.messages.create(**ASK, stream=True)]
        [*tapped.messages.create(**ASK, stream=True)]

    assert [stream.request.tags for stream in recorded(tmp_path)] == [
        {"service": "api", "feature": "chat", "user": "u1"},
        {"service": "api"},
    ]
