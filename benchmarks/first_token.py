"""Time to the first token on a live socket, tapped against plain: pairs in turns, the median of the differences.

    python benchmarks/first_token.py [--pairs 500] [--first 0.05]

The server takes `--first` seconds for its first byte, as no real one does it in less. With 0 the answer comes
while the writer's thread is at its work on the request, and the two share the GIL.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from statistics import median, quantiles

import anthropic
from feed import ASK
from live import upstream

import recorder


def first_token(client: anthropic.Anthropic) -> float:
    """µs from the call to the first text."""
    start = time.perf_counter_ns()
    at = 0
    for event in client.messages.create(**ASK, stream=True):
        if not at and event.type == "content_block_delta":
            at = time.perf_counter_ns()
    return (at - start) / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--first", type=float, default=0.05)
    options = parser.parse_args()
    with (
        upstream(6, 0.0005, first_s=options.first) as url,
        tempfile.TemporaryDirectory() as directory,
        recorder.Tap(directory) as tap,
    ):
        plain = anthropic.Anthropic(base_url=url, api_key="none", max_retries=0)
        tapped = tap.wrap(plain)
        for one in (plain, tapped) * 20:  # warms up
            first_token(one)
        pairs: list[tuple[float, float]] = []
        for n in range(options.pairs):
            if n % 2:  # either may profit from having been second
                pairs.append((first_token(plain), first_token(tapped)))
            else:
                pairs.append((first_token(tapped), first_token(plain))[::-1])
    cuts = quantiles([ours - alone for alone, ours in pairs], n=4)
    print(f"{options.pairs} pairs; time to the first token, µs")
    print(f"plain   median {median(alone for alone, _ in pairs):8.0f}")
    print(f"tapped  median {median(ours for _, ours in pairs):8.0f}")
    print(f"paired difference: median {cuts[1]:+.0f}, quartiles {cuts[0]:+.0f} to {cuts[2]:+.0f}")


if __name__ == "__main__":
    main()
