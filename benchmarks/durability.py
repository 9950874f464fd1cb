"""What `durability="fsync"` costs over `"write"`, on the disk that `--directory` is on.

    python benchmarks/durability.py [--events 2000] [--runs 5] [--directory /var/tmp]

An event every 0.5 ms through the SDK, fed from memory, the two in turns. `app`: CPU of the application's thread
per event. `wall`: from the first event to the last; nothing may wait for the disk. `writer`: CPU of its thread.
`on disk`: from the last event until the writer has written, and synced, everything.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from statistics import median
from typing import Literal

import httpx2
from feed import chunks, client, drain

import recorder


class _Body(httpx2.SyncByteStream):
    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        began = time.perf_counter()
        for n, part in enumerate(self._parts):
            time.sleep(max(0, began + n * 0.0005 - time.perf_counter()))
            yield part


class _Server(httpx2.BaseTransport):
    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, stream=_Body(self._parts), request=request)


def measured(durability: Literal["write", "fsync"], directory: str, parts: list[bytes]) -> dict[str, float]:
    """One stream: µs per event, ms, as in the module's text."""
    with recorder.Tap(directory, durability=durability) as tap:
        one = tap.wrap(client(_Server(parts)))
        cpu, start = time.thread_time(), time.perf_counter()
        events = drain(one)
        cpu, took = time.thread_time() - cpu, time.perf_counter() - start
        tap.flush()
        on_disk = time.perf_counter() - start - took
        writer = tap.stats().writer_cpu_ns / 1e3
    return {
        "app µs": cpu / events * 1e6,
        "wall ms": took * 1e3,
        "writer µs": writer / events,
        "on disk ms": on_disk * 1e3,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--directory", help="where to record; default: the system's for temporary files")
    options = parser.parse_args()
    parts = chunks(options.events)
    rows: dict[str, list[dict[str, float]]] = {"write": [], "fsync": []}
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        for run in range(options.runs + 1):
            for durability in ("write", "fsync"):
                row = measured(durability, directory, parts)
                if run:  # the first warms up
                    rows[durability].append(row)
    print(f"{options.events} events, one every 0.5 ms, {options.runs} runs; median (spread)")
    for durability, each in rows.items():
        columns = {name: sorted(row[name] for row in each) for name in each[0]}
        line = "   ".join(f"{name} {median(of):.1f} ({of[0]:.1f}-{of[-1]:.1f})" for name, of in columns.items())
        print(f"{durability:<6} {line}")


if __name__ == "__main__":
    main()
