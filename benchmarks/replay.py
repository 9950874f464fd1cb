"""What instant replay costs per event, over the SDK fed with the same chunks from a list in memory.

python benchmarks/replay.py [--events 20000] [--runs 9]
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

from feed import ListTransport, chunks, client, drain, options_of, ratios

import recorder


def main() -> None:
    options = options_of(__doc__)
    parts = chunks(options.events)
    plain = client(ListTransport(parts))
    cost: dict[str, list[float]] = {"list": [], "replay": []}
    opened: list[float] = []
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "long.jsonl"
        with recorder.Tap(path) as tap:
            drain(tap.wrap(plain))
        for run in range(options.runs + 1):
            start = time.perf_counter()
            replayed = recorder.replay(path).client()
            opening = time.perf_counter() - start
            for name, one in (("list", plain), ("replay", replayed)):
                start = time.process_time()
                events = drain(one)
                if run:  # the first warms up
                    cost[name].append((time.process_time() - start) / events * 1e6)
            if run:
                opened.append(opening / path.stat().st_size * 1e6)
    print(f"{options.events} events a stream, {options.runs} runs; medians, CPU per event")
    print(f"SDK fed from a list {median(cost['list']):6.2f} µs")
    print(f"instant replay      {median(cost['replay']):6.2f} µs  {ratios(cost['replay'], cost['list'])}")
    print(f"opening a recording {1 / median(opened):6.1f} MB/s")


if __name__ == "__main__":
    main()
