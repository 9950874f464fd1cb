"""What `kill -9` at random moments leaves out of the file: in events, and in ms before the kill.

    python benchmarks/killed.py [--kills 200] [--seed 1] [--keep DIRECTORY] [--json] [--writer process]

This process imports everything once and forks the victims, one after the other. Each makes a tap of its own
and streams through the SDK until it is killed; it notes the time of each event that it got in memory that
it shares with this process. Half of the victims append to one file, so each starts on what the one before
left; half write to one directory. An event is lost when it was handed to the application before the kill and
is not in the file; what is printed is how long before the kill the oldest lost event was handed over.

Four loads: `paced` (one thread, an event every 0.25 ms), `async` (16 tasks, an event every 4 ms each), `busy`
(as paced, beside a thread that computes and never waits) and `saturated` (the stream itself never waits). The
last two are the worst case: the writer competes for the GIL, which comes every 5 ms, at each system call.

A writer's process is not killed: what it was given before is waited for.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import mmap
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from statistics import quantiles
from typing import Any

import anthropic
import httpx2
from feed import ASK, add_writer, chunks

import recorder

TASKS = 16
EVENTS = 12_000
"""Of a stream; more than a saturated victim reads before it is killed."""
LONGEST_S = 0.1
PARTS = chunks(EVENTS)


class _Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s

    def __iter__(self) -> Iterator[bytes]:
        for part in PARTS:
            yield part
            if self._pause_s:
                time.sleep(self._pause_s)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in PARTS:
            yield part
            await asyncio.sleep(self._pause_s)


class _Transport(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, stream=_Body(self._pause_s), request=request)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return self.handle_request(request)


def _ask(victim: int, task: int) -> dict[str, Any]:
    return {**ASK, "messages": [{"role": "user", "content": f"{victim}.{task}"}]}


class Load:
    """A way to read streams. Made before the fork, and used once: a client takes longer than most victims live."""

    def __init__(self, name: str, pause_s: float, *, writer: Any, tasks: int = 1, busy: bool = False) -> None:
        self.name, self._writer, self._tasks, self._busy = name, writer, tasks, busy
        self._client: anthropic.Anthropic | anthropic.AsyncAnthropic
        if tasks == 1:
            http = anthropic.DefaultHttpxClient(transport=_Transport(pause_s))
            self._client = anthropic.Anthropic(api_key="none", http_client=http, max_retries=0)
        else:
            async_http = anthropic.DefaultAsyncHttpxClient(transport=_Transport(pause_s))
            self._client = anthropic.AsyncAnthropic(api_key="none", http_client=async_http, max_retries=0)

    def read(self, path: Path, victim: int, notes: memoryview, events: int) -> None:
        """Read the first `events` events of each stream through a tap, noting when each was handed over."""
        if self._busy:
            threading.Thread(target=_compute, daemon=True).start()
        with recorder.Tap(path, writer=self._writer) as tap:
            client = tap.wrap(self._client)
            if isinstance(client, anthropic.Anthropic):
                with client.messages.create(**_ask(victim, 0), stream=True) as stream:
                    for index, _ in zip(range(events), stream, strict=False):
                        notes[index] = time.perf_counter_ns()
            else:
                asyncio.run(self._read_all(client, victim, notes, events))

    async def _read_all(
        self, client: anthropic.AsyncAnthropic, victim: int, notes: memoryview, events: int
    ) -> None:
        async def one(task: int) -> None:
            async with await client.messages.create(**_ask(victim, task), stream=True) as stream:
                for index in range(events):
                    await anext(stream)
                    notes[task * EVENTS + index] = time.perf_counter_ns()

        await asyncio.gather(*map(one, range(self._tasks)))


def _compute() -> None:
    while True:
        sum(range(1000))


def kill(load: Load, path: Path, victim: int, life_s: float) -> tuple[int, list[list[int]]]:
    """Fork a victim and kill it after `life_s`; returns when, and at what times each task got its events."""
    shared = mmap.mmap(-1, 8 * EVENTS * TASKS)  # what the child wrote survives it
    notes = memoryview(shared).cast("q")
    if (child := os.fork()) == 0:
        try:
            load.read(path, victim, notes, EVENTS)
        finally:
            os._exit(1)
    time.sleep(life_s)
    killed = time.perf_counter_ns()
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        raise RuntimeError(f"victim {victim} had ended by itself: {status}")
    handed = [[at for at in notes[task * EVENTS : (task + 1) * EVENTS] if at] for task in range(TASKS)]
    notes.release()
    shared.close()
    return killed, [[at for at in times if at < killed] for times in handed]


def _adopt_orphans() -> None:
    """Be the parent of what victims leave behind. (Linux)"""
    if sys.platform == "linux":
        set_child_subreaper = 36
        ctypes.CDLL(None).prctl(set_child_subreaper, 1)


def _wait_for_orphans() -> None:
    with suppress(ChildProcessError):
        while True:
            os.wait()


def in_files(directory: Path) -> dict[str, int]:
    """Events of each stream, by what was asked. Raises ValueError where one is not what was sent."""
    found: dict[str, int] = {}
    for name in ("one.jsonl", "many"):
        if not (directory / name).exists():
            continue
        for stream in recorder.open(directory / name).streams():
            body = stream.body()
            if body != b"".join(PARTS[: len(stream.events)]):
                raise ValueError(f"stream {stream.id}: not the bytes that were sent")
            found[stream.request.body["messages"][0]["content"]] = len(stream.events)
    return found


def run(directory: Path, kills: int, seed: int, writer: str) -> list[dict[str, Any]]:
    """Kill `kills` victims; one row each: its load, how long it lived, what it got and what of that is lost."""
    moments = random.Random(seed)
    loads = [
        Load("paced", 0.00025, writer=writer),
        Load("async", 0.004, writer=writer, tasks=TASKS),
        Load("busy", 0.00025, writer=writer, busy=True),
        Load("saturated", 0, writer=writer),
    ]
    with tempfile.TemporaryDirectory() as warm:
        for load in loads:
            if load.name != "busy":  # its thread would live on, and no thread may when we fork
                load.read(Path(warm), 0, memoryview(bytearray(8 * EVENTS * TASKS)).cast("q"), 20)
    gc.collect()
    gc.freeze()
    _adopt_orphans()
    victims: list[tuple[dict[str, Any], int, list[list[int]]]] = []
    for victim in range(kills):
        load, life_s = loads[victim // 2 % len(loads)], moments.uniform(0, LONGEST_S)
        killed, handed = kill(load, directory / ("one.jsonl", "many")[victim % 2], victim, life_s)
        _wait_for_orphans()  # which would take the next victim's CPU
        victims.append(({"victim": victim, "load": load.name, "life_ms": life_s * 1e3}, killed, handed))
    found = in_files(directory)
    for row, killed, handed in victims:
        lost = [times[found.get(f"{row['victim']}.{task}", 0) :] for task, times in enumerate(handed)]
        row["handed"] = sum(map(len, handed))
        row["lost"] = sum(map(len, lost))
        row["lost_ms"] = max(((killed - times[0]) / 1e6 for times in lost if times), default=0.0)
    return [row for row, _, _ in victims]


def _line(name: str, rows: list[dict[str, Any]]) -> str:
    ms, events = ([row[what] for row in rows] for what in ("lost_ms", "lost"))
    times = "".join(f"{one:8.1f}" for one in (*_percentiles(ms), max(ms)))
    counts = "".join(f"{one:8.0f}" for one in (*_percentiles(events), max(events)))
    return f"{name:<10}{len(rows):>6} {times}{sum(one > 10 for one in ms):>8} {counts}"


def _percentiles(values: list[float]) -> tuple[float, float, float]:
    cuts = quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[89], cuts[98]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="write there, and leave the recordings")
    parser.add_argument("--json", action="store_true", help="a line of JSON a victim")
    add_writer(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        rows = run(options.keep or Path(directory), options.kills, options.seed, options.writer)
    if options.json:
        print(*map(json.dumps, rows), sep="\n")
        return
    streaming = [row for row in rows if row["handed"]]
    print(f"{options.kills} processes killed, seed {options.seed}; {len(streaming)} had got events")
    print(f"{'':17}{'oldest lost event, ms before the kill':<40} events lost")
    names = ("p50", "p90", "p99", "max")
    print(f"{'load':<10}{'kills':>6} {''.join(f'{n:>8}' for n in (*names, 'over 10', *names))}")
    for name in dict.fromkeys(row["load"] for row in rows):
        print(_line(name, [row for row in streaming if row["load"] == name]))
    print(_line("all", streaming))


if __name__ == "__main__":
    main()
