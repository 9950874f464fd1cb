"""How much later the application gets each chunk, tapped, with one busy Python thread in the process.

    python benchmarks/delay.py [--chunks 400] [--runs 9] [--idle]

Another process sends an event every 0.5 ms over a socket. The time is from the return of `recv`, with the GIL,
to the chunk in the application's hands: httpx2's iteration, and the tap's if there is one. Plain and tapped
run in turns. `--idle` leaves the busy thread out.
"""

from __future__ import annotations

import argparse
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from statistics import quantiles

import httpx2
from feed import chunks

import recorder


class _Body(httpx2.SyncByteStream):
    came = 0

    def __init__(self, sock: socket.socket, count: int) -> None:
        self._sock, self._count = sock, count

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self._count):
            part = self._sock.recv(1 << 16)
            self.came = time.perf_counter_ns()
            yield part


class _Server(httpx2.BaseTransport):
    def __init__(self, body: _Body) -> None:
        self._body = body

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, stream=self._body, request=request)


def _sender() -> tuple[int, socket.socket]:
    """A process that sends events for ever, each as a packet; a full socket makes it wait."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # little in stock, so that reading waits
    if (child := os.fork()) == 0:
        ours.close()
        part = chunks(1)[2]
        while theirs.send(part):
            time.sleep(0.0005)
    theirs.close()
    return child, ours


def delays(sock: socket.socket, count: int, tap: recorder.Tap | None) -> list[float]:
    """µs per chunk of one stream."""
    body = _Body(sock, count)
    transport = recorder.TapTransport(tap, _Server(body)) if tap else _Server(body)
    with httpx2.Client(transport=transport) as http, http.stream("POST", "http://x/") as response:
        return [(time.perf_counter_ns() - body.came) / 1e3 for _ in response.iter_raw()]


def _compute() -> None:
    while True:
        sum(range(1000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=400)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--idle", action="store_true")
    options = parser.parse_args()
    child, sock = _sender()
    late: dict[str, list[float]] = {"plain": [], "tapped": []}
    if not options.idle:
        threading.Thread(target=_compute, daemon=True).start()
    with tempfile.TemporaryDirectory() as directory, recorder.Tap(directory) as tap:
        for run in range(options.runs + 1):
            for name, which in (("plain", None), ("tapped", tap)):
                times = delays(sock, options.chunks, which)
                if run:  # the first warms up
                    late[name] += times
    os.kill(child, 9)
    os.waitpid(child, 0)
    print(f"{len(late['plain'])} chunks each way, {'no' if options.idle else 'one'} busy thread; µs per chunk")
    print(f"{'':8}{'p50':>9}{'p90':>9}{'p99':>9}{'max':>9}")
    cuts = {
        name: [*(quantiles(times, n=100)[at] for at in (49, 89, 98)), max(times)] for name, times in late.items()
    }
    for name, values in cuts.items():
        print(f"{name:8}" + "".join(f"{value:9.1f}" for value in values))
    print(f"{'added':8}" + "".join(f"{b - a:+9.1f}" for a, b in zip(cuts["plain"], cuts["tapped"], strict=True)))


if __name__ == "__main__":
    main()
