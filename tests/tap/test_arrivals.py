"""An arrival is true or marked, never silently wrong: an application that takes its time, against the server's.

Server and tap read one clock. What a machine can be late by, `NOISE`, is less than what the application
sleeps and the server pauses: a tap that took the application's time for the server's would be off by more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Literal

import httpx2
import pytest

import recorder
from recorder.core.arrivals import Arrival
from recorder.core.arrivals import Stream as Arrivals
from recorder.core.records import Event
from recorder.core.timing import Timing
from tests.tap.wire import Server, Stamps, streaming

MS = 1_000_000
NOISE = 30 * MS
TRIES = 20
GAPS_MS = [60, 60, 0, 60, 60]
"""The third event follows the second at once: often both are in one read of the socket."""
SLEEPS_MS = [0, 20, 100, 250]


def read(url: str, tap: recorder.Tap, sleep_ms: int) -> int:
    with httpx2.Client(transport=recorder.TapTransport(tap)) as http, http.stream("GET", url) as response:
        count = 0
        for _ in response.iter_raw():
            count += 1
            time.sleep(sleep_ms / 1e3)
        return count


async def read_async(url: str, tap: recorder.Tap, sleep_ms: int) -> int:
    async with httpx2.AsyncClient(transport=recorder.TapTransport(tap)) as http:
        async with http.stream("GET", url) as response:
            count = 0
            async for _ in response.aiter_raw():
                count += 1
                await asyncio.sleep(sleep_ms / 1e3)
            return count


def measure(
    path: Path, sleep_ms: int, arrival: Literal["pull", "eager"], is_async: bool
) -> tuple[list[tuple[int, Arrival]], Timing]:
    """(when it was sent, arrival) of each event, in ns since the stream's 0; and the stream's metrics."""
    stamps = Stamps()
    with Server(streaming(stamps, GAPS_MS)) as server, recorder.Tap(path, arrival=arrival) as tap:
        url = f"http://127.0.0.1:{server.port}"
        count = asyncio.run(read_async(url, tap, sleep_ms)) if is_async else read(url, tap, sleep_ms)
    assert count == len(GAPS_MS)
    [stream] = recorder.open(path).streams()
    arrivals = [one for one in Arrivals(stream.records).arrivals if isinstance(one.record, Event)]
    sent = [when - stream.request.mono for when in stamps["sent"]]
    assert (stream.response.arrival if stream.response else None) == (None if arrival == "pull" else "eager")
    return list(zip(sent, arrivals, strict=True)), stream.timing()


def on_a_machine_that_is_in_time(check: Callable[[Path], None], path: Path) -> None:
    """A busy machine may be late by more than NOISE, or take 0.5 ms to read what is there: then once more. What
    a tap gets wrong, it gets wrong each time."""
    for attempt in range(TRIES - 1):
        with suppress(AssertionError):
            return check(path / str(attempt))
    return check(path / "last")


@pytest.mark.slow
@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("sleep_ms", SLEEPS_MS)
def test_an_arrival_is_true_or_marked_with_the_truth_inside(tmp_path: Path, sleep_ms: int, is_async: bool) -> None:
    def check(path: Path) -> None:
        pairs, timing = measure(path, sleep_ms, "pull", is_async)
        for sent, arrival in pairs:
            assert arrival.earliest - NOISE <= sent <= arrival.at
            assert arrival.censored or arrival.at - sent < NOISE
        assert median(arrival.at - sent for sent, arrival in pairs if not arrival.censored) < MS
        assert timing.censored == sum(arrival.censored for _, arrival in pairs)
        if sleep_ms == 0:
            assert timing.censored <= 1  # the third, where reading the second took long
        if sleep_ms > max(GAPS_MS):
            assert timing.censored == len(GAPS_MS) - 1
            assert max(arrival.at - sent for sent, arrival in pairs) > 2 * NOISE  # hence the mark
            assert timing.consumer_bound

    on_a_machine_that_is_in_time(check, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("sleep_ms", SLEEPS_MS)
def test_an_eager_reader_knows_every_arrival(tmp_path: Path, sleep_ms: int, is_async: bool) -> None:
    def check(path: Path) -> None:
        pairs, timing = measure(path, sleep_ms, "eager", is_async)
        late = [arrival.at - sent for sent, arrival in pairs]
        assert all(0 <= ns < NOISE for ns in late)
        assert median(late) < MS
        assert timing.censored == 0
        # The end tells the application's side: what it slept is hold, and the rest of the time it waited.
        slept = len(GAPS_MS) * sleep_ms / 1e3
        assert slept * 0.98 <= timing.hold_s < slept + 0.1
        assert timing.consumer_bound == (sleep_ms > 0)
        if sleep_ms == 0:
            assert timing.wait_s > sum(GAPS_MS) / 1e3 * 0.7
        if sleep_ms > max(GAPS_MS):
            assert timing.wait_s < GAPS_MS[0] / 1e3 + 0.1
            assert timing.duration_s is not None
            assert timing.duration_s < slept  # the server's time, not the application's

    on_a_machine_that_is_in_time(check, tmp_path)
