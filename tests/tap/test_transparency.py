"""What an application can observe is the same with the tap and without: one trace of each, compared."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

import recorder
from recorder.log.verify import verify
from recorder.testing import (
    Received,
    Reply,
    Step,
    Upstream,
    bedrock_exception,
    encode_event,
    gzip_steps,
    message_events,
)

from .colours import COLOURS, all_of, each, got, new_client, run, within

ASK: dict[str, Any] = {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
EVENTS = message_events("Hel", "lo ", "wör", "ld")
HELLO = Reply.sse(EVENTS)
OVERLOADED = Reply.error(529, "overloaded_error", "Overloaded", headers={"retry-after-ms": "1"})
ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
STEPS = tuple(Step(at=0, data=encode_event(event)) for event in EVENTS)
ZIPPED = Reply(headers={"content-type": "text/event-stream", "content-encoding": "gzip"}, steps=gzip_steps(STEPS))
BAD_ZIP = Reply(headers=ZIPPED.headers, steps=(Step(at=0, data=ZIPPED.steps[0].data + b"\0 no gzip"),))
SCENARIOS: dict[str, list[Reply]] = {
    "normal": [HELLO],
    "error event": [Reply.sse([*EVENTS[:3], ERROR])],
    "cut": [Reply.sse(EVENTS[:4], end="cut")],
    "reset": [Reply.sse(EVENTS[:4], end="reset", end_at=20_000_000)],
    "silence": [Reply.sse(EVENTS[:4], end="hang")],
    "truncated": [Reply.sse(EVENTS[:4])],
    "no event at all": [Reply.sse([])],
    "gzip": [ZIPPED],
    "broken gzip": [BAD_ZIP],
    "bad utf-8": [Reply.sse([*map(encode_event, EVENTS[:2]), b"event: x\ndata: \xff\n\n"])],
    "binary frames": [Reply.sse([bedrock_exception("x", "y")])],
    "429 then 200": [Reply.error(429, "rate_limit_error", "Slow", headers={"retry-after-ms": "1"}), HELLO],
    "529 to the end": [OVERLOADED, OVERLOADED],
    "400": [Reply.error(400, "invalid_request_error", "No")],
    "cut before the headers": [Reply.drop("cut"), HELLO],
    "html": [Reply(status=502, headers={"content-type": "text/html", "retry-after-ms": "1"}, steps=(Step(at=0, data=b"<h1>bad"),)), HELLO],
}  # fmt: skip
Saw = dict[str, Any]


def links(error: BaseException | None) -> list[Any]:
    """The exception and what led to it."""
    if error is None:
        return []
    said = [re.sub(r"scope [0-9a-f]+", "scope", str(part)) for part in (error, *error.args)]
    here = (type(error).__module__, type(error).__qualname__, said)
    return [here, links(error.__cause__), links(error.__context__), error.__suppress_context__]


async def events(one: Any, saw: Saw) -> None:
    stream = await got(one.messages.create(**ASK, stream=True))
    await note_response(stream.response, saw)
    async for event in each(stream):
        saw["items"].append(event.to_dict())


async def accumulated(one: Any, saw: Saw) -> None:
    async with within(one.messages.stream(**ASK)) as stream:
        await note_response(stream.response, saw)
        async for event in each(stream):
            saw["items"].append(event.type)
        saw["items"].append((await got(stream.get_final_message())).to_dict())


async def chunks(one: Any, saw: Saw) -> None:
    async with within(one.messages.with_streaming_response.create(**ASK, stream=True)) as response:
        await note_response(response.http_response, saw)
        async for chunk in each(response.iter_bytes()):
            saw["items"].append(chunk)


async def wire(one: Any, saw: Saw) -> None:
    async with within(one.messages.with_streaming_response.create(**ASK, stream=True)) as response:
        http = response.http_response
        async for chunk in each(http.aiter_raw() if hasattr(http.stream, "aclose") else http.iter_raw()):
            saw["items"].append(chunk)
        await note_response(http, saw)


async def whole(one: Any, saw: Saw) -> None:
    saw["items"].append((await got(one.messages.create(**ASK))).to_dict())


async def note_response(response: Any, saw: Saw) -> None:
    saw["response"] = (response.status_code, response.http_version, sorted(response.headers))
    saw["observer"] = response.stream.stream_observer if hasattr(response.stream, "stream_observer") else None


Way = Callable[[Any, Saw], Awaitable[None]]
Call = tuple[list[Reply], Way]
WAYS: tuple[Way, ...] = (events, accumulated, chunks, wire, whole)


def trace(colour: str, calls: list[Call], tap: recorder.Tap | None, **options: Any) -> list[Saw]:
    """What can be seen of each call on one client, and of an ordinary one after it."""
    script: list[Reply] = []

    def answer(received: Received) -> Reply:
        return script.pop(0)

    async def call(one: Any, replies: list[Reply], way: Way) -> Saw:
        saw: Saw = {"items": [], "error": None}
        script[:] = [*replies, HELLO]
        try:
            await way(one, saw)
        except BaseException as error:
            saw["error"] = links(error)
        script[:] = [HELLO]
        stream = await got(one.with_options(timeout=20).messages.create(**ASK, stream=True))
        saw["after"] = [event.type for event in await all_of(stream)]
        saw["elapsed"] = stream.response.elapsed.total_seconds() > 0
        return saw

    async def main() -> list[Saw]:
        async with within(
            new_client(colour, upstream.url, **{"timeout": 20, "max_retries": 1, **options})
        ) as client:
            one = tap.wrap(client) if tap else client
            return [await call(one, replies, way) for replies, way in calls]

    with Upstream(answer) as upstream:
        saws = run(colour, main)
        upstream.settle()
        requests = [(one.method, one.target, one.connection, one.body) for one in upstream.received]
        left = len(upstream.closed_by_client)
    return [*saws, {"requests": requests, "left": left}]


def check(tmp_path: Path, colour: str, calls: list[Call], **options: Any) -> list[Saw]:
    plain = trace(colour, calls, None, **options)
    with recorder.Tap(tmp_path) as tap:
        tapped = trace(colour, calls, tap, **options)
        gc.collect()  # what an older SDK drops in a cycle ends before the tap does

    assert tapped == plain
    assert [problem for one in verify([*tmp_path.iterdir()]) for problem in one.problems] == []
    streams = [*recorder.open(tmp_path).streams()]
    assert len(streams) == len(plain[-1]["requests"])
    assert all(stream.end is not None for stream in streams)
    return plain


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("scenario", SCENARIOS)
# The SDK's own generators, left to the garbage collector on trio, with or without us.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_server_decides_what_is_seen(tmp_path: Path, scenario: str, colour: str) -> None:
    timeout = 0.3 if scenario == "silence" else 20
    ways = (
        WAYS[:1] if scenario == "cut before the headers" else WAYS
    )  # the SDK waits half a second before its retry
    check(tmp_path, colour, [(SCENARIOS[scenario], way) for way in ways], timeout=timeout)


async def first_of(one: Any, saw: Saw) -> Any:
    stream = await got(one.messages.create(**ASK, stream=True))
    items = stream.__aiter__() if hasattr(stream, "__aiter__") else stream.__iter__()
    item = await items.__anext__() if hasattr(items, "__anext__") else next(items)
    saw["items"].append(item.to_dict())
    return stream, items


async def by_break(one: Any, saw: Saw) -> None:
    stream = await got(one.messages.create(**ASK, stream=True))
    async for event in each(stream):
        saw["items"].append(event.to_dict())
        break
    await got(stream.close())


async def by_close(one: Any, saw: Saw) -> None:
    stream, items = await first_of(one, saw)
    await got(stream.close())
    saw["items"] += [event.to_dict() for event in await all_of(items)]


async def by_leaving(one: Any, saw: Saw) -> None:
    async with within(one.messages.stream(**ASK)) as stream:
        async for event in each(stream):
            saw["items"].append(event.type)
            raise ZeroDivisionError("the application's own")


async def unread(one: Any, saw: Saw) -> None:
    response = await got(one.messages.with_raw_response.create(**ASK, stream=True))
    saw["items"].append(response.headers["content-type"])
    await got(
        response.http_response.aclose()
        if hasattr(response.http_response.stream, "aclose")
        else response.http_response.close()
    )


async def by_closing_a_generator(one: Any, saw: Saw) -> None:
    async def inner() -> Any:
        async for event in each(one.messages.create(**ASK, stream=True)):
            yield event

    async def outer() -> Any:
        generator = inner()
        try:
            async for event in generator:
                yield event
        finally:
            await generator.aclose()

    generator = outer()
    async for event in generator:
        saw["items"].append(event.to_dict())
        break
    await generator.aclose()


LEAVING: tuple[Way, ...] = (by_break, by_close, by_leaving, unread, by_closing_a_generator)
ENDLESS = [Reply.sse(EVENTS[:3], end="hang")]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_application_leaves_early(tmp_path: Path, colour: str) -> None:
    seen = check(tmp_path, colour, [(ENDLESS, way) for way in LEAVING])

    assert seen[-1]["left"] == len(LEAVING)


def test_the_garbage_collector_leaves(tmp_path: Path) -> None:
    async def dropped(one: Any, saw: Saw) -> None:
        await first_of(one, saw)
        gc.collect()

    check(tmp_path, "sync", [(ENDLESS, dropped)])


async def by_scope(one: Any, saw: Saw) -> None:
    with anyio.CancelScope() as scope:
        async for event in await one.messages.create(**ASK, stream=True):
            saw["items"].append(event.to_dict())
            if event.type == "content_block_delta":
                scope.cancel()
    saw["items"].append(scope.cancelled_caught)


async def by_group(one: Any, saw: Saw) -> None:
    async def read() -> None:
        async with one.messages.stream(**ASK) as stream:
            async for event in stream:
                if not seen.is_set():  # how many more come before the other task has its turn, nobody promises
                    saw["items"].append(event.type)
                seen.set()

    seen = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await seen.wait()
        group.cancel_scope.cancel()


async def by_deadline(one: Any, saw: Saw) -> None:
    with anyio.fail_after(20) as scope:
        async for event in await one.messages.create(**ASK, stream=True):
            saw["items"].append(event.to_dict())
            if event.type == "content_block_delta":
                scope.deadline = anyio.current_time()


async def by_timeout(one: Any, saw: Saw) -> None:
    async with asyncio.timeout(20) as timeout:
        async for event in await one.messages.create(**ASK, stream=True):
            saw["items"].append(event.to_dict())
            if event.type == "content_block_delta":
                timeout.reschedule(asyncio.get_running_loop().time())


async def by_cancel(one: Any, saw: Saw) -> None:
    class Items(list[Any]):
        def append(self, item: Any) -> None:
            super().append(item)
            if len(self) == 3:
                asyncio.get_running_loop().call_soon(task.cancel)

    saw["items"] = Items()
    task = asyncio.create_task(events(one, saw))
    await task


async def before_headers(one: Any, saw: Saw) -> None:
    with anyio.move_on_after(0.5) as scope:
        await events(one, saw)
    saw["items"].append(scope.cancelled_caught)


CANCELLING: tuple[Way, ...] = (by_scope, by_group, by_deadline)
CANCELLING_ASYNCIO: tuple[Way, ...] = (by_timeout, by_cancel)


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_cancelled_read(tmp_path: Path, colour: str) -> None:
    ways = [*CANCELLING, *(CANCELLING_ASYNCIO if colour == "asyncio" else ())]
    seen = check(tmp_path, colour, [(ENDLESS, way) for way in ways])

    assert seen[-1]["left"] == len(ways)
    ended = recorder.open(tmp_path).sql("SELECT ended FROM streams ORDER BY mono_ns").fetchall()
    assert ended == [("closed",), ("read",)] * len(ways)


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancelled_wait_for_the_headers(tmp_path: Path, colour: str) -> None:
    check(tmp_path, colour, [([Reply.drop("hang")], before_headers)])


TRACED = ("normal", "error event", "cut", "truncated", "gzip", "429 then 200", "529 to the end", "400")
OF_ONE_RUN = {"server.port", "url.full", "gen_ai.response.time_to_first_chunk"}
"""Attributes that no two runs share: the upstream's port, and times."""


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("content", ["metadata_only", "content"])
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_sdks_own_spans_are_the_same(tmp_path: Path, content: str, colour: str) -> None:
    pytest.importorskip("opentelemetry.sdk.trace", reason="needs opentelemetry-sdk")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    def spans(tap: recorder.Tap | None) -> list[Any]:
        exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        options = {"tracer_provider": provider, "propagation": False, "traces": {"content_mode": content}}
        calls = [(SCENARIOS[name], way) for name in TRACED for way in (events, accumulated, whole)]
        trace(colour, [*calls, (ENDLESS, by_close)], tap, open_telemetry=options)
        return [
            (
                span.name, span.kind, span.status.status_code, span.status.description,
                {name: value for name, value in dict(span.attributes or {}).items() if name not in OF_ONE_RUN},
                [(event.name, dict(event.attributes or {})) for event in span.events],
            )
            for span in exporter.get_finished_spans()
        ]  # fmt: skip

    plain = spans(None)
    with recorder.Tap(tmp_path) as tap:
        tapped = spans(tap)

    assert len(plain) == 2 * (3 * len(TRACED) + 1)
    for one, other in zip(tapped, plain, strict=True):
        assert one == other
