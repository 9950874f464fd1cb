"""The tap on the real SDK, against a real server: what the application sees is what it would have seen."""

from __future__ import annotations

import asyncio
import itertools
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

import recorder
from recorder.core.records import Gap
from recorder.log.streams import Stream
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
ASK: dict[str, Any] = {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
TEXTS = ("Hel", "lo ", "wör", "ld")
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-test",
    "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn", "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 2},
}  # fmt: skip


def hello(_: Received) -> Reply:
    return Reply.sse(
        message_events(*TEXTS),
        headers={"request-id": "req_1", "x-secret": "no", "anthropic-organization-id": "org"},
    )


OPEN: list[anthropic.Anthropic] = []


@pytest.fixture(autouse=True)
def _close_clients() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def client(upstream: Upstream, **options: Any) -> anthropic.Anthropic:
    one = anthropic.Anthropic(
        base_url=upstream.url, api_key="sk-ant-test-abcdefghijkl", **{"max_retries": 0, **options}
    )
    OPEN.append(one)
    return one


def async_client(upstream: Upstream, **options: Any) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(
        base_url=upstream.url, api_key="sk-ant-test-abcdefghijkl", **{"max_retries": 0, **options}
    )


def recorded(path: Path) -> list[Stream]:
    return sorted(recorder.open(path).streams(), key=lambda stream: stream.request.mono)


def body_of(reply: Reply) -> bytes:
    return b"".join(step.data for step in reply.steps)


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


def check_hello(path: Path) -> None:
    [stream] = recorded(path)
    assert stream.body() == body_of(hello(None))  # type: ignore[arg-type]
    assert stream.request.body == {**ASK, "stream": True}
    assert stream.response is not None
    assert stream.response.headers.get("request-id") == "req_1"
    assert stream.end is not None
    assert (stream.end.end, stream.end.complete, stream.end.events) == ("read", True, 9)
    message = stream.message()
    assert message is not None
    assert message["content"][0]["text"] == "".join(TEXTS)


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


def test_the_transport_records_any_httpx2_client_and_sees_what_is_sent(tmp_path: Path) -> None:
    with Upstream(hello) as upstream, recorder.Tap(tmp_path) as tap:
        http = anthropic.DefaultHttpxClient(transport=recorder.TapTransport(tap, httpx2.HTTPTransport()))
        [*client(upstream, http_client=http).messages.create(**ASK, stream=True)]
        http.close()

    [stream] = recorded(tmp_path)
    assert stream.request.url == f"{upstream.url}/v1/messages"
    assert "anthropic-version" in stream.request.headers
    check_hello(tmp_path)


async def test_the_transport_joins_the_attempts_of_a_call(tmp_path: Path) -> None:
    replies = [
        Reply.error(529, "overloaded_error", "no", headers={"retry-after-ms": "1"}),
        hello(None),
        hello(None),
    ]  # type: ignore[arg-type]
    with Upstream(replies) as upstream, recorder.Tap(tmp_path) as tap:
        http = anthropic.DefaultAsyncHttpxClient(transport=recorder.TapTransport(tap))
        async with async_client(upstream, http_client=http, max_retries=1) as one:
            for _ in range(2):
                [event async for event in await one.messages.create(**ASK, stream=True)]

    first, second, other = recorded(tmp_path)
    assert first.call == second.call != other.call


def test_a_transport_of_the_wrong_kind_says_so(tmp_path: Path) -> None:
    with recorder.Tap(tmp_path) as tap:
        with httpx2.Client(transport=recorder.TapTransport(tap, httpx2.AsyncHTTPTransport())) as http:
            with pytest.raises(TypeError, match="is async: give a sync client a sync transport"):
                http.get("http://127.0.0.1/")


class Chunks(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body in exact chunks, for both kinds of client."""

    def __init__(self, chunks: list[bytes], error: Exception | None) -> None:
        self.chunks, self.error = chunks, error

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks
        if self.error:
            raise self.error

    async def __aiter__(self) -> Any:
        for chunk in self:
            yield chunk


class ChunkTransport(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    def __init__(self, chunks: list[bytes], error: Exception | None) -> None:
        self.chunks, self.error = chunks, error

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(
            200, headers={"content-type": "text/event-stream"}, stream=Chunks(self.chunks, self.error)
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return self.handle_request(request)


BODY = b"".join(map(encode_event, message_events(*TEXTS)))
ENDS = {"read": None, "failed": httpx2.ReadError("reset"), "closed": None}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    "chunks", [c for _, c in chunkings(BODY, seed=3)], ids=[n for n, _ in chunkings(BODY, seed=3)]
)
def test_sync_and_async_give_identical_records(tmp_path: Path, chunks: list[bytes], end: str) -> None:
    logs = []
    for colour in ("sync", "async"):
        path = tmp_path / colour
        ids = itertools.count()
        with recorder.Tap(
            path, clock=ManualClock(), wall_clock=ManualClock(), new_id=lambda ids=ids: f"s{next(ids)}"
        ) as tap:
            transport = recorder.TapTransport(tap, ChunkTransport(chunks, ENDS[end]))
            if colour == "sync":
                read_chunks(transport, end)
            else:
                asyncio.run(read_chunks_async(transport, end))
        [segment] = path.iterdir()
        _header, *lines, _footer = segment.read_bytes().splitlines()
        logs.append(b"\n".join(lines))

    assert logs[0] == logs[1]
    assert f'"end":"{end}"'.encode() in logs[0]


def read_chunks(transport: recorder.TapTransport, end: str) -> None:
    with httpx2.Client(transport=transport) as http, http.stream("POST", "http://x/", content=b"{}") as response:
        chunks = response.iter_raw()
        if end == "closed":
            next(chunks)
        elif end == "failed":
            with pytest.raises(httpx2.ReadError):
                [*chunks]
        else:
            [*chunks]


async def read_chunks_async(transport: recorder.TapTransport, end: str) -> None:
    async with (
        httpx2.AsyncClient(transport=transport) as http,
        http.stream("POST", "http://x/", content=b"{}") as response,
    ):
        chunks = response.aiter_raw()
        if end == "closed":
            await anext(chunks)
            await chunks.aclose()
        elif end == "failed":
            with pytest.raises(httpx2.ReadError):
                [chunk async for chunk in chunks]
        else:
            [chunk async for chunk in chunks]


def test_wait_is_the_server_and_the_rest_is_the_application(tmp_path: Path) -> None:
    """The application holds the stream 40 ms between two reads; the record says that it did not wait for them."""
    clock = ManualClock()

    class Slow(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(2):
                clock.advance(7 * MS)
                yield b"data: 1\n\n"

    class Server(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            clock.advance(5 * MS)
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Slow())

    with recorder.Tap(tmp_path, clock=clock) as tap:
        with httpx2.Client(transport=recorder.TapTransport(tap, Server())) as http:
            with http.stream("GET", "http://x/") as response:
                for _ in response.iter_raw():
                    clock.advance(40 * MS)

    [stream] = recorded(tmp_path)
    assert stream.response is not None
    assert stream.response.at == 5 * MS
    assert [(event.at, event.wait) for event in stream.events] == [(12 * MS, 7 * MS), (59 * MS, 7 * MS)]


def test_a_full_queue_drops_and_says_so_and_the_stream_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = [b"data: %d\n\n" % n for n in range(2000)]
    with recorder.Tap(tmp_path, queue_bytes=512 * 50) as tap:
        transport = recorder.TapTransport(tap, ChunkTransport(body, None))
        with httpx2.Client(transport=transport) as http, http.stream("GET", "http://x/") as response:
            os.sched_yield()
            assert b"".join(response.iter_raw()) == b"".join(body)

    [stream] = recorded(tmp_path)
    gaps = [record for record in stream.records if isinstance(record, Gap)]
    assert sum(gap.chunks for gap in gaps) == tap.stats().dropped_chunks > 0
    assert len(stream.events) + tap.stats().dropped_chunks >= 2000 - len(gaps)
    assert [record.seq for record in stream.records] == list(range(len(stream.records)))


def test_a_disk_that_fails_costs_nothing_but_records(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way of the directory")
    with caplog.at_level(logging.ERROR, "recorder"), Upstream(hello) as upstream:
        tap = recorder.Tap(blocked / "recordings")
        events = [*tap.wrap(client(upstream)).messages.create(**ASK, stream=True)]
        tap.close()

    assert len(events) == 9
    assert tap.stats().lost_records > 0
    assert len([record for record in caplog.records if "cannot write" in record.message]) == 1


def test_recording_goes_on_when_the_disk_does(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way of the directory")
    with Upstream(hello) as upstream, recorder.Tap(blocked / "recordings") as tap:
        [*tap.wrap(client(upstream)).messages.create(**ASK, stream=True)]
        assert not tap.flush(0.05)
        blocked.unlink()
        assert tap.flush()

    check_hello(blocked / "recordings")
    assert tap.stats().lost_records == 0


def test_a_tap_appends_to_a_file_and_never_to_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    with Upstream(hello) as upstream:
        for torn in (b"", b'{"kind":"event","stream":"tor'):
            with recorder.Tap(path) as tap:
                [*tap.wrap(client(upstream)).messages.create(**ASK, stream=True)]
            with path.open("ab") as file:
                file.write(torn)
        with recorder.Tap(path) as tap:
            [*tap.wrap(client(upstream)).messages.create(**ASK, stream=True)]

    recording = recorder.open(path)
    assert len(list(recording.streams())) == 3
    assert [problem.kind for problem in recording.problems] == ["torn"]


def test_two_taps_on_one_file_are_told_apart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "one.jsonl"
    with Upstream(hello) as upstream, recorder.Tap(path) as first:
        [*first.wrap(client(upstream)).messages.create(**ASK, stream=True)]
        first.flush()
        second = recorder.Tap(path)
        [*second.wrap(client(upstream)).messages.create(**ASK, stream=True)]
        second.close()

    assert "another writer has it open" in caplog.text
    check_hello(path)


@pytest.mark.parametrize("content", [b"hello\n", b"{}\n", b'{"kind":"event"}\n', b"\x00\x01"])
def test_a_file_that_is_no_recording_is_not_touched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.jsonl"
    path.write_bytes(content)

    with pytest.raises(recorder.RecordingError, match=r"notes\.jsonl:1: not a recording; nothing was written"):
        recorder.Tap(path)

    assert path.read_bytes() == content


def test_a_closed_tap_lets_streams_go_on(tmp_path: Path) -> None:
    with Upstream(hello) as upstream:
        tap = recorder.Tap(tmp_path)
        stream = tap.wrap(client(upstream)).messages.create(**ASK, stream=True)
        tap.close()
        assert len([*stream]) == 9
        assert len([*tap.wrap(client(upstream)).messages.create(**ASK, stream=True)]) == 9

    assert [stream.end for stream in recorded(tmp_path)] == [None]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_records_to_its_own_segment(tmp_path: Path) -> None:
    body = [b"data: 1\n\n"]
    tap = recorder.Tap(tmp_path)

    def ask() -> None:
        with httpx2.Client(transport=recorder.TapTransport(tap, ChunkTransport(body, None))) as http:
            http.get("http://x/")

    ask()
    if (child := os.fork()) == 0:
        try:
            ask()
            tap.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    ask()
    tap.close()

    segments = sorted(tmp_path.iterdir(), key=lambda path: f"-{child}-" in path.name)
    assert [len(recorded(segment)) for segment in segments] == [2, 1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize(
    ("method", "whose"), [("fork", "parent's"), ("fork", "own"), ("spawn", "own"), ("forkserver", "own")]
)
def test_a_child_of_multiprocessing_loses_nothing_at_its_end(tmp_path: Path, method: str, whose: str) -> None:
    context = multiprocessing.get_context(method)
    with recorder.Tap(tmp_path) as tap:
        target = _ask_in_child if whose == "parent's" else _ask_with_own_tap
        process = context.Process(target=target, args=(tap if whose == "parent's" else tmp_path,))
        process.start()
        process.join()

    assert process.exitcode == 0
    [stream] = recorded(tmp_path)
    assert stream.end is not None
    assert len(stream.events) == 500


def _ask_in_child(tap: recorder.Tap) -> None:
    body = [b"data: %d\n\n" % n for n in range(500)]
    with httpx2.Client(transport=recorder.TapTransport(tap, ChunkTransport(body, None))) as http:
        http.get("http://x/")


def _ask_with_own_tap(path: Path) -> None:
    _ask_in_child(recorder.Tap(path))


@pytest.mark.parametrize("durability", ["write", "fsync"])
def test_either_durability_records_the_same(tmp_path: Path, durability: Any) -> None:
    with Upstream(hello) as upstream, recorder.Tap(tmp_path, durability=durability) as tap:
        [*tap.wrap(client(upstream)).messages.create(**ASK, stream=True)]

    check_hello(tmp_path)


def test_an_unknown_durability_is_refused_when_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="durability is 'maybe'; it is 'write' or 'fsync'"):
        recorder.Tap(tmp_path, durability="maybe")  # type: ignore[arg-type]


async def test_many_streams_at_once_keep_apart(tmp_path: Path) -> None:
    def numbered(request: Received) -> Reply:
        number = request.json()["messages"][0]["content"]
        return Reply.sse(message_events(*(f"{number}." for _ in range(10))), gap=MS // 2)

    with Upstream(numbered) as upstream, recorder.Tap(tmp_path) as tap:
        async with async_client(upstream) as one:
            tapped = tap.wrap(one)

            async def ask(number: int) -> str:
                ask = {**ASK, "messages": [{"role": "user", "content": str(number)}]}
                async with tapped.messages.stream(**ask) as stream:
                    return await stream.get_final_text()

            texts = await asyncio.gather(*map(ask, range(60)))

    assert texts == [f"{n}." * 10 for n in range(60)]
    for stream in recorded(tmp_path):
        message = stream.message()
        assert message is not None
        assert message["content"][0]["text"] == f"{stream.request.body['messages'][0]['content']}." * 10
    assert tap.stats().events == 60 * 15
