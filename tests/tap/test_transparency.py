"""What an application can observe is the same with the tap and without: one trace of each, compared."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import anyio
import pytest

import recorder
from recorder.log.verify import verify
from recorder.testing import Reply
from recorder.testing.contract import COLOURS, SCENARIOS, Call, Saw, Way, check_calls, check_scenario, trace
from recorder.testing.contract.colours import all_of, each, got, within
from recorder.testing.contract.transparent import ASK, EVENTS, accumulated, events, whole


def check(tmp_path: Path, colour: str, calls: list[Call], **options: Any) -> list[Saw]:
    with recorder.Tap(tmp_path) as tap:
        plain = check_calls(tap.wrap, colour, calls, **options)
    check_recorded(tmp_path, len(plain[-1]["requests"]))
    return plain


def check_recorded(path: Path, requests: int) -> None:
    assert [problem for one in verify([*path.iterdir()]) for problem in one.problems] == []
    streams = sorted(recorder.open(path).streams(), key=lambda stream: stream.request.mono)
    assert len(streams) == requests
    assert [(n, stream.records) for n, stream in enumerate(streams) if stream.end is None] == []


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("scenario", SCENARIOS)
# The SDK's own generators, left to the garbage collector on trio, with or without us.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_server_decides_what_is_seen(tmp_path: Path, scenario: str, colour: str) -> None:
    with recorder.Tap(tmp_path) as tap:
        plain = check_scenario(tap.wrap, scenario, colour)
    check_recorded(tmp_path, len(plain[-1]["requests"]))


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
        trace(tap and tap.wrap, colour, [*calls, (ENDLESS, by_close)], open_telemetry=options)
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
