"""`clock="virtual"`: recorded timing without waiting; what an application measures is what was recorded."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from time import perf_counter_ns as by_its_own_name
from typing import Any

import anthropic
import pytest
import trio
import trio.testing

import recorder
from recorder.replayer.errors import ClockError
from recorder.testing import ManualClock

from .written import MS, Call, ask, write

S = 1000 * MS
HEADERS, FIRST = 301_245_981, 412_345_678
LAST = FIRST + 7 * 123_456_789
CALL = Call(prompt="a", headers_at=HEADERS, at=[FIRST + k * 123_456_789 for k in range(8)])
RUNS = 20

IN_NS: dict[str, Callable[[], int]] = {
    "monotonic_ns": lambda: time.monotonic_ns(),
    "perf_counter_ns": lambda: time.perf_counter_ns(),
    "time_ns": lambda: time.time_ns(),
    "a name of its own": lambda: by_its_own_name(),
}
IN_S: dict[str, Callable[[], float]] = {
    "monotonic": lambda: time.monotonic(),
    "perf_counter": lambda: time.perf_counter(),
    "time": lambda: time.time(),
    "loop": lambda: asyncio.get_running_loop().time(),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "a.jsonl", [CALL])


def virtual(path: Path, **options: Any) -> recorder.Replay:
    return recorder.replay(path, **{"timing": "recorded", "clock": "virtual", **options})


def arrivals(client: anthropic.Anthropic, clock: Callable[[], Any], prompt: str = "a") -> list[Any]:
    began = clock()
    return [clock() - began for _ in client.messages.create(**ask(prompt), stream=True)]


async def arrivals_async(
    client: anthropic.AsyncAnthropic, clock: Callable[[], Any], prompt: str = "a"
) -> list[Any]:
    began = clock()
    return [clock() - began async for _ in await client.messages.create(**ask(prompt), stream=True)]


@pytest.mark.parametrize("clock", IN_NS)
def test_sync_reads_the_recorded_times_every_run(path: Path, clock: str) -> None:
    with anthropic.Anthropic(api_key="k") as client:
        for _ in range(RUNS):
            with virtual(path):
                assert arrivals(client, IN_NS[clock]) == list(CALL.at)


@pytest.mark.parametrize("clock", IN_NS)
async def test_asyncio_reads_the_recorded_times_every_run(path: Path, clock: str) -> None:
    async with anthropic.AsyncAnthropic(api_key="k") as client:
        for _ in range(RUNS):
            with virtual(path):
                assert await arrivals_async(client, IN_NS[clock]) == list(CALL.at)


@pytest.mark.parametrize("clock", IN_S)
def test_seconds_are_as_exact_as_a_float_of_them(path: Path, clock: str) -> None:
    client = anthropic.AsyncAnthropic(api_key="k")
    for _ in range(RUNS):
        with virtual(path):
            for read, due in zip(asyncio.run(arrivals_async(client, IN_S[clock])), CALL.at, strict=True):
                now = time.time() if clock == "time" else time.monotonic()
                assert abs(read - due / 1e9) <= 2 * math.ulp(now)


def test_the_response_comes_when_it_came(path: Path) -> None:
    with virtual(path) as replay, replay.client() as client:
        began = time.monotonic_ns()
        with client.messages.with_streaming_response.create(**ask("a"), stream=True):
            assert time.monotonic_ns() - began == HEADERS


@pytest.fixture
def retried(tmp_path: Path) -> Path:
    refused = Call(prompt="a", headers_at=50 * MS, status=529, at=[51 * MS], headers=(("retry-after", "20"),))
    return write(tmp_path / "r.jsonl", [refused, Call(prompt="a", attempt=1, sent=25 * S, at=CALL.at)])


def test_the_back_off_runs_in_virtual_time(retried: Path) -> None:
    with virtual(retried), anthropic.Anthropic(api_key="k") as client:
        [first, *_] = arrivals(client, time.monotonic_ns)

    assert first == 50 * MS + 20 * S + FIRST


async def test_the_back_off_runs_in_virtual_time_async(retried: Path) -> None:
    with virtual(retried):
        async with anthropic.AsyncAnthropic(api_key="k") as client:
            [first, *_] = await arrivals_async(client, time.monotonic_ns)

    assert first - (50 * MS + 20 * S + FIRST) in range(-1, 2)  # a timer of the loop is a float


def test_a_connection_that_failed_is_retried_without_waiting(tmp_path: Path) -> None:
    failed = Call(prompt="a", headers_at=None, error="ConnectError")
    path = write(tmp_path / "r.jsonl", [failed, Call(prompt="a", attempt=1, sent=S, at=range(7))])

    with virtual(path, timing="instant"), anthropic.Anthropic(api_key="k") as client:
        [first, *_] = arrivals(client, time.monotonic_ns)

    assert first >= 0.375 * S


async def test_timeouts_and_sleeps_of_asyncio_run_in_virtual_time(path: Path) -> None:
    with virtual(path):
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.sleep(3600)
        assert loop.time() - began == pytest.approx(3600, abs=1e-6)
        async with anthropic.AsyncAnthropic(api_key="k") as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(FIRST / 1e9 + 0.001):
                    await arrivals_async(client, time.monotonic_ns)
        assert loop.time() - began == pytest.approx(3600 + FIRST / 1e9 + 0.001, abs=1e-6)


async def test_streams_at_once_bring_what_they_bring_in_the_recorded_order_of_times(tmp_path: Path) -> None:
    calls = [Call(prompt=f"p{n}", headers_at=n, at=[n + k * 50 for k in range(1, 9)]) for n in range(30)]
    path = write(tmp_path / "a.jsonl", calls)
    seen: list[tuple[int, str]] = []

    async def one(client: anthropic.AsyncAnthropic, prompt: str, began: int) -> None:
        async for _ in await client.messages.create(**ask(prompt), stream=True):
            seen.append((time.monotonic_ns() - began, prompt))

    with virtual(path):
        async with anthropic.AsyncAnthropic(api_key="k") as client:
            began = time.monotonic_ns()
            await asyncio.gather(*(one(client, call.prompt, began) for call in calls))

    assert seen == sorted((at, call.prompt) for call in calls for at in call.at)


def test_threads_share_the_clock(tmp_path: Path) -> None:
    calls = [
        Call(prompt=f"p{n}", headers_at=n * MS, at=[(n + k * 50) * MS for k in range(1, 9)]) for n in range(5)
    ]
    path = write(tmp_path / "a.jsonl", calls)

    with virtual(path), anthropic.Anthropic(api_key="k") as client:
        began = time.monotonic_ns()
        with ThreadPoolExecutor(5) as pool:
            last = [*pool.map(lambda call: arrivals(client, time.monotonic_ns, call.prompt)[-1], calls)]
        assert time.monotonic_ns() - began == (4 + 8 * 50) * MS

    assert last == [call.at[-1] for call in calls]


def test_a_virtual_sleep_in_a_thread_of_an_event_loop(path: Path) -> None:
    async def main() -> tuple[float, float]:
        began = time.monotonic()
        await asyncio.gather(asyncio.to_thread(time.sleep, 5), asyncio.sleep(3))
        return began, time.monotonic()

    with virtual(path):
        began, ended = asyncio.run(main())

    assert ended - began == pytest.approx(5, abs=1e-6)


def test_other_threads_go_on_in_real_time(path: Path) -> None:
    go_on, read = threading.Event(), list[float]()
    real = time.monotonic

    def outside() -> None:
        go_on.wait()
        read.extend((real(), time.monotonic(), real()))

    thread = threading.Thread(target=outside)
    thread.start()
    with virtual(path):
        time.sleep(1000)
        go_on.set()
        thread.join()

    assert read == sorted(read)


def test_time_is_real_again_afterwards(path: Path) -> None:
    before = time.monotonic, time.sleep, time.time_ns, threading.Thread.start, asyncio.BaseEventLoop.run_forever

    with virtual(path), virtual(path):
        assert time.monotonic is not before[0]
        time.sleep(1000)

    assert before == (
        time.monotonic, time.sleep, time.time_ns, threading.Thread.start, asyncio.BaseEventLoop.run_forever
    )  # fmt: skip
    assert by_its_own_name is time.perf_counter_ns


async def test_the_time_of_a_loop_never_goes_back(path: Path) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(2):
        with virtual(path):
            await asyncio.sleep(100)
            inside = loop.time()
        assert inside <= loop.time() < inside + 10
        began = time.monotonic()
        await asyncio.sleep(0.02)
        assert time.monotonic() - began >= 0.019


@pytest.mark.parametrize("speed", [1, 4])
async def test_speed_and_idle_limit_hold(path: Path, speed: int) -> None:
    with virtual(path, speed=speed, idle_limit=0.01):
        async with anthropic.AsyncAnthropic(api_key="k") as client:
            times = await arrivals_async(client, time.monotonic_ns)

    assert all(abs(b - a - 10 * MS) <= 1 for a, b in pairwise(times))  # what is divided is cut off to a ns


def test_outside_its_block_it_says_so(path: Path) -> None:
    with virtual(path).client(max_retries=3) as client, pytest.raises(ClockError, match="`with` block"):
        arrivals(client, ManualClock())


def test_trio_with_its_own_mock_clock(path: Path) -> None:
    client = anthropic.AsyncAnthropic(api_key="k")

    async def main() -> list[int]:
        began = time.monotonic_ns()
        await trio.sleep(2)
        assert time.monotonic_ns() - began == 2 * S
        return await arrivals_async(client, time.monotonic_ns)

    for _ in range(RUNS):
        with virtual(path):
            assert trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0)) == list(CALL.at)


def test_trio_in_real_time_is_refused(path: Path) -> None:
    async def main() -> None:
        async with anthropic.AsyncAnthropic(api_key="k") as client:
            await arrivals_async(client, time.monotonic_ns)

    with virtual(path), pytest.raises(ClockError, match="MockClock"):
        trio.run(main)


def test_use_takes_it(path: Path) -> None:
    with recorder.use(path, timing="recorded", clock="virtual"), anthropic.Anthropic(api_key="k") as client:
        assert arrivals(client, time.monotonic_ns) == list(CALL.at)


@pytest.mark.parametrize("wrong", [-1, math.nan])
def test_a_sleep_of_no_length_is_refused_as_ever(path: Path, wrong: float) -> None:
    with virtual(path), pytest.raises(ValueError, match="non-negative"):
        time.sleep(wrong)
