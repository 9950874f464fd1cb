"""What the tap costs per event, on top of the SDK's own raw iteration (`create(stream=True)`).

    python benchmarks/tap.py [--events 20000] [--runs 9] [--writer thread|process]

Plain and tapped run in turns. CPU of the application's thread is its own (`thread_time`); CPU of the writer
is what the process used beyond that, and its own process if it has one. Wall time is of a saturated core: the
stream comes from memory, so what the writer does in this process shares the GIL with an application that never
waits.
"""

from __future__ import annotations

import tempfile
import time
from statistics import median

from feed import ListTransport, chunks, client, drain, options_of, ratios

import recorder
from recorder.log.items import Stats


def main() -> None:
    options = options_of(__doc__, writer=True)
    parts = chunks(options.events)
    thread: dict[str, list[float]] = {"plain": [], "tapped": []}
    wall: dict[str, list[float]] = {"plain": [], "tapped": []}
    writer: list[float] = []
    with tempfile.TemporaryDirectory() as directory, recorder.Tap(directory, writer=options.writer) as tap:
        plain = client(ListTransport(parts))
        clients = {"plain": plain, "tapped": tap.wrap(plain)}
        before = Stats()
        for run in range(options.runs + 1):
            if run == 1:
                before = tap.stats()
            for name, one in clients.items():
                cpu, own, start = time.process_time(), time.thread_time(), time.perf_counter()
                events = drain(one)
                own, took = time.thread_time() - own, time.perf_counter() - start
                tap.flush()
                cpu = time.process_time() - cpu
                if run:  # the first warms up
                    thread[name].append(own / events * 1e6)
                    wall[name].append(took / events * 1e6)
                    if name == "tapped":
                        writer.append((cpu - own) / events * 1e6)
        stats = tap.stats()
    print(f"{options.events} events a stream, {options.runs} runs; medians, per event")
    alone = median(thread["plain"])
    print(f"SDK alone                         {alone:6.2f} µs CPU, {median(wall['plain']):6.2f} µs wall")
    added = median(thread["tapped"]) - alone
    print(f"added on the application's thread {added:6.2f} µs CPU  {ratios(thread['tapped'], thread['plain'])}")
    print(f"added wall time, core saturated   {'':15}{ratios(wall['tapped'], wall['plain'])}")
    print(f"CPU of the writer in this process {median(writer):6.2f} µs")
    everywhere = (stats.writer_cpu_ns - before.writer_cpu_ns) / (stats.events - before.events) / 1e3
    print(f"CPU of the writer everywhere      {everywhere:6.2f} µs")
    print(f"recorded {stats.events} events, dropped {stats.dropped_chunks} chunks")


if __name__ == "__main__":
    main()
