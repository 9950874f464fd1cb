"""`ordered`: concurrent streams bring what they bring in the order in which it was recorded, without waiting."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from pathlib import Path
from random import Random
from typing import Any

import anthropic
import pytest
import trio

import recorder
from recorder.testing import Received, Reply, Upstream, message_events

from .written import MS, Call, ask, write

Seen = list[tuple[str, str]]
"""Prompt of the stream, and what came: `open`, the type of an event, `end`, or the name of an exception."""


async def read(client: anthropic.AsyncAnthropic, prompt: str, seen: Seen) -> None:
    try:
        stream = await client.messages.create(**ask(prompt), stream=True)
        seen.append((prompt, "open"))
        async for event in stream:
            seen.append((prompt, event.type))
        seen.append((prompt, "end"))
    except Exception as error:
        seen.append((prompt, type(error).__name__))


def read_sync(client: anthropic.Anthropic, prompt: str, seen: Seen) -> None:
    stream = client.messages.create(**ask(prompt), stream=True)
    seen.append((prompt, "open"))
    for event in stream:
        seen.append((prompt, event.type))
    seen.append((prompt, "end"))


def order_in(path: Path) -> list[str]:
    """The prompt of each event, in the recorded order."""
    return [
        prompt
        for _, prompt in sorted(
            (stream.sent + event.at, stream.request.body["messages"][0]["content"])
            for stream in recorder.open(path).streams()
            for event in stream.events
        )
    ]


def prompts_of(seen: Seen) -> list[str]:
    return [prompt for prompt, what in seen if what.startswith(("message", "content"))]


def interleaved(count: int, *, random: Random, events: int = 9) -> list[Call]:
    """Concurrent calls, no two things of which came at the same time."""
    times = random.sample(range(count, 10_000_000), count * (events + 1))
    calls: list[Call] = []
    for number in range(count):
        headers_at, *at = sorted(times[number * (events + 1) : (number + 1) * (events + 1)])
        calls.append(
            Call(prompt=f"p{number}", sent=number, headers_at=headers_at - number, at=[one - number for one in at])
        )
    return calls


async def read_all(path: Path, prompts: list[str], **options: Any) -> Seen:
    seen: Seen = []
    async with recorder.replay(path, timing="ordered", **options).async_client() as client:
        await asyncio.gather(*(read(client, prompt, seen) for prompt in prompts))
    return seen


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has to be waited for out of patience, is waited for without end: such a test hangs and fails."""
    monkeypatch.setattr("recorder.replayer.order.Order.nudge", lambda *_: None)


@pytest.mark.parametrize("runs", [5, pytest.param(100, marks=pytest.mark.slow)])
async def test_the_application_sees_the_recorded_interleaving(
    tmp_path: Path, runs: int, no_patience: None
) -> None:
    prompts = [str(number) for number in range(50)]

    def reply(request: Received) -> Reply:
        prompt = request.json()["messages"][0]["content"]
        random = Random(prompt)
        first, gap = random.randrange(40, 60) * MS, random.randrange(2, 9) * MS
        return Reply.sse(message_events(prompt, "x", "y"), first=first, gap=gap)

    live: Seen = []
    with Upstream(reply) as upstream, recorder.Tap(tmp_path / "a.jsonl") as tap:
        async with anthropic.AsyncAnthropic(base_url=upstream.url, api_key="k") as client:
            await asyncio.gather(*(read(tap.wrap(client), prompt, live) for prompt in prompts))

    recorded = order_in(tmp_path)
    for _ in range(runs):
        assert prompts_of(await read_all(tmp_path / "a.jsonl", prompts)) == recorded


async def test_whatever_the_order_of_the_tasks(tmp_path: Path, no_patience: None) -> None:
    random = Random(7)
    path = write(tmp_path / "a.jsonl", interleaved(20, random=random))
    prompts = [f"p{number}" for number in range(20)]

    first = await read_all(path, prompts)
    random.shuffle(prompts)

    assert prompts_of(first) == order_in(path)
    assert await read_all(path, prompts) == first


def test_threads(tmp_path: Path, no_patience: None) -> None:
    path = write(tmp_path / "a.jsonl", interleaved(12, random=Random(1)))
    seen: Seen = []

    with recorder.replay(path, timing="ordered").client() as client:
        threads = [threading.Thread(target=read_sync, args=(client, f"p{n}", seen)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert prompts_of(seen) == order_in(path)


def test_trio(tmp_path: Path, no_patience: None) -> None:
    path = write(tmp_path / "a.jsonl", interleaved(12, random=Random(2)))
    seen: Seen = []

    async def main() -> None:
        async with (
            recorder.replay(path, timing="ordered").async_client() as client,
            trio.open_nursery() as nursery,
        ):
            for number in range(12):
                nursery.start_soon(read, client, f"p{number}", seen)

    trio.run(main)

    assert prompts_of(seen) == order_in(path)


def two(tmp_path: Path) -> Path:
    """`a` and `b`, event by event in turn, `a` first."""
    a = Call(prompt="a", sent=0, headers_at=10, at=range(100, 800, 100))
    b = Call(prompt="b", sent=1, headers_at=10, at=range(150, 850, 100))
    return write(tmp_path / "a.jsonl", [a, b])


async def test_a_stream_that_is_closed_early_holds_up_nobody(tmp_path: Path, no_patience: None) -> None:
    seen: Seen = []

    async def read_two_events(client: anthropic.AsyncAnthropic) -> None:
        async with await client.messages.create(**ask("a"), stream=True) as stream:
            async for event in stream:
                seen.append(("a", event.type))
                if len([one for one in seen if one[0] == "a"]) == 2:
                    return

    async with recorder.replay(two(tmp_path), timing="ordered").async_client() as client:
        await asyncio.gather(read_two_events(client), read(client, "b", seen))

    assert [prompt for prompt, what in seen if what != "open"] == [*"abab", *"bbbbb", "b"]


async def test_a_task_that_is_cancelled_holds_up_nobody(tmp_path: Path, no_patience: None) -> None:
    seen: Seen = []

    async with recorder.replay(two(tmp_path), timing="ordered").async_client() as client:
        first = asyncio.create_task(read(client, "a", seen))  # its first chunk waits for the response to `b`
        await asyncio.sleep(0.01)
        first.cancel()
        await read(client, "b", seen)

    assert prompts_of(seen) == ["b"] * 7


async def test_a_stream_that_is_dropped_holds_up_nobody(tmp_path: Path) -> None:
    async with recorder.replay(two(tmp_path), timing="ordered").async_client() as client:
        stream: Any = await client.messages.create(**ask("a"), stream=True)
        seen: Seen = []
        reading = asyncio.create_task(read(client, "b", seen))
        await asyncio.sleep(0)
        del stream
        gc.collect()
        await reading

    assert prompts_of(seen) == ["b"] * 7


async def test_a_reader_that_waits_for_the_other_stream_is_passed_over(tmp_path: Path) -> None:
    """Its second event is before the end of the other one, for which it waits without reading on."""
    other_is_done = asyncio.Event()

    async def waits(client: anthropic.AsyncAnthropic) -> int:
        count = 0
        async for _ in await client.messages.create(**ask("a"), stream=True):
            count += 1
            await other_is_done.wait()
        return count

    async def tells(client: anthropic.AsyncAnthropic) -> None:
        await read(client, "b", [])
        other_is_done.set()

    async with recorder.replay(two(tmp_path), timing="ordered").async_client() as client:
        count, _ = await asyncio.gather(waits(client), tells(client))

    assert count == 7


def test_one_thread_may_read_two_streams_in_an_order_of_its_own(tmp_path: Path, no_patience: None) -> None:
    with recorder.replay(two(tmp_path), timing="ordered").client() as client:
        first = client.messages.create(**ask("a"), stream=True)
        second = client.messages.create(**ask("b"), stream=True)
        seen = [(a.type, b.type) for b, a in zip([*second], [*first], strict=True)]

    assert len(seen) == 7


async def test_one_task_may_open_streams_that_others_read(tmp_path: Path, no_patience: None) -> None:
    path = two(tmp_path)
    seen: list[str] = []

    async def consume(name: str, stream: Any) -> None:
        async for _ in stream:
            seen.append(name)

    async with recorder.replay(path, timing="ordered").async_client() as client:
        opened = [await client.messages.create(**ask(prompt), stream=True) for prompt in "ab"]
        await asyncio.gather(*map(consume, "ab", opened))

    assert seen == order_in(path)


async def test_a_stream_that_nothing_asks_for_is_passed_over_and_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = two(tmp_path)
    with recorder.replay(path, timing="ordered", clock="virtual"):
        async with anthropic.AsyncAnthropic(api_key="k") as client:
            seen: Seen = []
            await read(client, "b", seen)

    assert prompts_of(seen) == ["b"] * 7
    [said] = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert "nothing asks for stream s0," in said


async def test_what_was_over_before_is_not_missed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A test that asks for the second of two calls, one after the other."""
    calls = [Call(prompt=prompt, sent=sent, at=range(7)) for prompt, sent in (("a", 0), ("b", 1000))]
    with recorder.replay(write(tmp_path / "a.jsonl", calls), timing="ordered", clock="virtual"):
        async with anthropic.AsyncAnthropic(api_key="k") as client:
            seen: Seen = []
            await read(client, "b", seen)
            await read(client, "a", seen)  # and the first one afterwards

    assert prompts_of(seen) == ["b"] * 7 + ["a"] * 7
    assert not caplog.records


async def test_what_is_sent_because_of_an_event_is_not_waited_for_before_it(
    tmp_path: Path, no_patience: None
) -> None:
    a = Call(prompt="a", sent=0, headers_at=10, at=range(100, 800, 100))
    b = Call(prompt="b", sent=250, headers_at=10, at=range(51, 751, 100))
    path = write(tmp_path / "a.jsonl", [a, b])
    seen: list[str] = []

    async def follow(client: anthropic.AsyncAnthropic) -> None:
        async for _ in await client.messages.create(**ask("b"), stream=True):
            seen.append("b")

    async with recorder.replay(path, timing="ordered").async_client() as client, asyncio.TaskGroup() as tasks:
        async for _ in await client.messages.create(**ask("a"), stream=True):
            seen.append("a")
            if len(seen) == 2:
                tasks.create_task(follow(client))

    assert "".join(seen) == "".join(order_in(path)) == "aa" + "ab" * 5 + "bb"


RETRIED = {
    "529": Call(prompt="a", sent=0, headers_at=50, status=529, at=[60]),
    "529 with retry-after": Call(
        prompt="a", sent=0, headers_at=50, status=529, at=[60], headers=(("retry-after", "20"),)
    ),
    "no response": Call(prompt="a", sent=0, headers_at=None, error="ConnectError"),
}


@pytest.mark.parametrize("first", RETRIED)
async def test_retries_are_waited_for(tmp_path: Path, first: str) -> None:
    again = Call(prompt="a", attempt=1, sent=300, headers_at=10, at=range(100, 800, 100))
    other = Call(prompt="b", sent=1, headers_at=10, at=range(450, 1150, 100))
    path = write(tmp_path / "a.jsonl", [RETRIED[first], again, other])

    with recorder.replay(path, timing="ordered", clock="virtual"):
        async with anthropic.AsyncAnthropic(api_key="k") as client:
            seen: Seen = []
            await asyncio.gather(read(client, "b", seen), read(client, "a", seen))

    assert prompts_of(seen) == order_in(path)


async def test_a_stream_that_breaks_holds_up_nobody(tmp_path: Path, no_patience: None) -> None:
    broken = Call(prompt="a", sent=0, headers_at=10, at=range(100, 700, 100), error="ReadError")
    whole = Call(prompt="b", sent=1, headers_at=10, at=range(150, 850, 100))
    path = write(tmp_path / "a.jsonl", [broken, whole])

    seen = await read_all(path, ["b", "a"])

    assert prompts_of(seen) == order_in(path)
    assert ("a", "ReadError") in seen


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("cut_dirty(at=2)", "abab" + "bbbbb"),
        ("stall(at=2, seconds=30)", "abab" + "bbbbb" + "aaaaa"),
        ("merge()", "b" * 6 + "a" * 7 + "b"),
    ],
)
async def test_faults_change_the_order_as_they_change_the_times(
    tmp_path: Path, fault: str, expected: str, no_patience: None
) -> None:
    seen = await read_all(two(tmp_path), ["b", "a"], faults=lambda stream, _: fault if stream.id == "s0" else None)

    assert "".join(prompts_of(seen)) == expected


async def test_a_stream_that_a_fault_makes_to_be_served_again(tmp_path: Path) -> None:
    path = two(tmp_path)
    with recorder.replay(
        path,
        timing="ordered",
        faults=lambda stream, times: "status(code=529)" if stream.id == "s0" and not times else None,
    ):
        async with anthropic.AsyncAnthropic(api_key="k") as client:
            seen: Seen = []
            await asyncio.gather(read(client, "b", seen), read(client, "a", seen))

    assert sorted(prompts_of(seen)) == ["a"] * 7 + ["b"] * 7


@pytest.mark.slow
async def test_a_slow_reader_delays_others_by_moments_only(tmp_path: Path) -> None:
    seen: Seen = []

    async def slow(client: anthropic.AsyncAnthropic) -> None:
        async for event in await client.messages.create(**ask("a"), stream=True):
            seen.append(("a", event.type))
            await asyncio.sleep(0.3)

    async with recorder.replay(two(tmp_path), timing="ordered").async_client() as client:
        reading = asyncio.create_task(slow(client))
        began = time.perf_counter()
        await read(client, "b", seen)
        assert time.perf_counter() - began < 0.3 * 5
        await reading

    assert sorted(prompts_of(seen)) == ["a"] * 7 + ["b"] * 7
