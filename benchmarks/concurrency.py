"""Hundreds of concurrent async streams on real sockets: is all of it recorded, and what does the loop feel?

    python benchmarks/concurrency.py [--streams 500] [--rate 5000] [--seconds 4] [--runs 5] [--gc] [--writer ...]

The upstream is another process. First at `--rate` events/s over all streams, plain and tapped in turns: the lag
of the event loop, which is how late a task wakes that sleeps for 1 ms, again and again, while all streams are
open and flow. (They begin and end together here, which is 500 calls at once.) Then with an upstream that does not
wait: the events/s that the SDK reaches. Python's cyclic garbage collector is off: with the objects of the SDK's
500 streams its pauses are 20 ms, twice a second, and 250 ms, beside which nothing is seen. `--gc` leaves it on.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
import time
from statistics import median, quantiles

import anthropic
from feed import ASK, add_writer
from live import upstream

import recorder


async def _lag(late: list[float], done: asyncio.Event) -> None:
    while not done.is_set():
        start = time.perf_counter()
        await asyncio.sleep(0.001)
        late.append((time.perf_counter() - start) * 1e3 - 1)


async def _read(client: anthropic.AsyncAnthropic, streams: int, late: list[float]) -> tuple[int, float]:
    """All streams are open before the first event comes, and the loop is looked at until the first ends."""
    few = asyncio.Semaphore(20)

    async def opened() -> anthropic.AsyncStream[anthropic.types.RawMessageStreamEvent]:
        async with few:
            return await client.messages.create(**ASK, stream=True)

    async def count(stream: anthropic.AsyncStream[anthropic.types.RawMessageStreamEvent]) -> int:
        read = 0
        async for event in stream:
            flowing.set()
            read += 1
            if event.type == "message_delta":
                done.set()
        return read

    ready = await asyncio.gather(*(opened() for _ in range(streams)))
    flowing, done = asyncio.Event(), asyncio.Event()
    reading = asyncio.gather(*map(count, ready))
    await flowing.wait()
    start = time.perf_counter()
    await _lag(late, done)
    events = sum(await reading)
    return events, time.perf_counter() - start


async def _run(url: str, streams: int, tap: recorder.Tap | None) -> tuple[int, float, list[float]]:
    late: list[float] = []
    async with anthropic.AsyncAnthropic(base_url=url, api_key="none", max_retries=0, timeout=120) as client:
        events, took = await _read(tap.wrap(client) if tap else client, streams, late)
    return events, took, late


def compare(url: str, options: argparse.Namespace) -> None:
    """Plain and tapped in turns; a line of medians for each, and what is in the files."""
    rates: dict[str, list[float]] = {"plain": [], "tapped": []}
    lags: dict[str, list[list[float]]] = {"plain": [], "tapped": []}
    with tempfile.TemporaryDirectory() as directory:
        read = 0
        with recorder.Tap(directory, writer=options.writer) as tap:
            for _ in range(options.runs):
                for name, which in (("plain", None), ("tapped", tap)):
                    gc.collect()
                    events, took, late = asyncio.run(_run(url, options.streams, which))
                    rates[name].append(events / took)
                    lags[name].append([quantiles(late * 2, n=100, method="inclusive")[at] for at in (49, 89, 98)])
                    read += events if which else 0
        stats = tap.stats()
        kept = sum(len(stream.events) for stream in recorder.open(directory).streams())
    for name in rates:
        p50, p90, p99 = (median(each) for each in zip(*lags[name], strict=True))
        lag = f"loop lag p50 {p50:6.2f}  p90 {p90:6.2f}  p99 {p99:6.2f} ms"
        print(f"  {name:<8}{median(rates[name]):>8.0f} events/s   {lag}")
    pairs = list(zip(lags["tapped"], lags["plain"], strict=True))
    added = sorted(ours[2] - plain[2] for ours, plain in pairs)
    print(f"  added p99 lag {median(added):+.2f} ms (runs: {added[0]:+.2f} to {added[-1]:+.2f})", end="; ")
    print(f"{read} events read, {kept} in the files, {stats.dropped_chunks} chunks dropped", end="; ")
    print(f"writer {stats.writer_cpu_ns / max(1, stats.events) / 1e3:.1f} µs an event")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--rate", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--gc", action="store_true", help="leave the garbage collector on")
    add_writer(parser)
    options = parser.parse_args()
    if not options.gc:
        gc.disable()
    events = int(options.rate * options.seconds / options.streams)
    print(f"{options.streams} streams, {options.rate} events/s in all, {options.seconds:g} s, {options.runs} runs")
    with upstream(events, options.streams / options.rate, together=options.streams) as url:
        compare(url, options)
    print("the same, as fast as it goes")
    with upstream(events, 0, together=options.streams) as url:
        compare(url, options)


if __name__ == "__main__":
    main()
