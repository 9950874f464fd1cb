"""Memory of a process that records: does it grow with what goes through it?

    python benchmarks/memory.py [--events 1000000] [--streams 10000] [--mib 200] [--json] [case ...]

Each case runs in a process of its own and prints the resident memory (MiB): after a warm-up, and the most
there was afterwards, looked at every 100 chunks, 500 streams or 20,000 events of the SDK. Linux only (/proc).

    plain    `--events` events through the SDK, unrecorded, in streams of 20,000
    events   the same, recorded
    streams  `--streams` streams of 16 events each through the SDK, recorded
    body     one body of `--mib` MiB in chunks of 64 KiB, an event each
    line     the same as one line that never ends: no event at all
    blocked  `--events` chunks, and a disk that takes nothing: the queue (16 MiB) fills, the rest is dropped
    blocked-large  `--mib` MiB in chunks of 64 KiB, and such a disk
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx2
from feed import ListTransport, chunks, client, drain

import recorder

QUEUE = 16 << 20
LARGE = b"data: " + b"x" * ((64 << 10) - 8) + b"\n\n"


def rss_mib() -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    assert found is not None
    return int(found[1]) / 1024


class _Body(httpx2.SyncByteStream):
    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        yield from self._parts


class _Server(httpx2.BaseTransport):
    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = parts

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, stream=_Body(self._parts), request=request)


class Watched:
    """The least and the most memory since the warm-up."""

    def __init__(self) -> None:
        self.first = self.most = 0.0

    def look(self, *, warm: bool = True) -> None:
        now = rss_mib()
        if not warm or not self.first:
            self.first = now
        self.most = max(self.most, now)


def _through_sdk(tap: recorder.Tap | None, parts: list[bytes], times: int, every: int) -> Watched:
    one, watched = client(ListTransport(parts)), Watched()
    tapped = tap.wrap(one) if tap else one
    for n in range(times):
        drain(tapped)
        if n % every == 0:
            if tap:
                tap.flush(60)
            watched.look(warm=n >= 4 * every)
    return watched


def _through_body(tap: recorder.Tap, parts: Iterable[bytes]) -> Watched:
    """Without the SDK, whose own buffers are not what is looked for."""
    watched = Watched()
    with httpx2.Client(transport=recorder.TapTransport(tap, _Server([b"data: 1\n\n"] * 100))) as http:
        http.get("http://x/")
    watched.look()
    http = httpx2.Client(transport=recorder.TapTransport(tap, _Server(parts)))
    with http, http.stream("POST", "http://x/") as response:
        for n, _ in enumerate(response.iter_raw()):
            if n % 100 == 0:
                watched.look()
    watched.look()
    return watched


def _repeated(part: bytes, times: int) -> Iterator[bytes]:
    return (bytes(bytearray(part)) for _ in range(times))  # each its own, as from a socket


def run(case: str, options: argparse.Namespace) -> dict[str, Any]:
    """One case, here and now."""
    large = options.mib << 4
    if case == "plain":
        watched, stats = _through_sdk(None, chunks(20_000), options.events // 20_000, 1), None
    else:
        with (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory,
            _disk(Path(directory), case) as path,
        ):
            tap = recorder.Tap(path, queue_bytes=QUEUE)
            match case:
                case "events":
                    watched = _through_sdk(tap, chunks(20_000), options.events // 20_000, 1)
                case "streams":
                    watched = _through_sdk(tap, chunks(10), options.streams, 100)
                case "body":
                    watched = _through_body(tap, _repeated(LARGE, large))
                case "line":
                    watched = _through_body(tap, _repeated(b"x" * len(LARGE), large))
                case "blocked":
                    watched = _through_body(tap, _repeated(b"data: %s\n\n" % (b"x" * 128), options.events))
                case _:
                    watched = _through_body(tap, _repeated(LARGE, large))
            stats = repr(tap.stats())
    return {"case": case, "first_mib": watched.first, "most_mib": watched.most, "stats": stats}


def _disk(directory: Path, case: str) -> Any:
    """A path to record to; for the blocked ones a FIFO that is open for reading and is never read."""
    if not case.startswith("blocked"):
        return nullcontext(directory / "r.jsonl")
    path = directory / "r.jsonl"
    os.mkfifo(path)
    os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    return nullcontext(path)


CASES = ("plain", "events", "streams", "body", "line", "blocked", "blocked-large")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--mib", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="run the one case named, and print it as JSON")
    parser.add_argument("case", nargs="*", default=CASES)
    options = parser.parse_args()
    if options.json:
        print(json.dumps(run(options.case[0], options)), flush=True)
        os._exit(0)  # a blocked disk would be waited for
    print(f"{'case':<15}{'at first':>9}{'at most':>9}{'grown':>8}  MiB")
    sizes = [f"--{name}={getattr(options, name)}" for name in ("events", "streams", "mib")]
    for case in options.case:
        command = [sys.executable, __file__, "--json", *sizes, case]
        row = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        first, most = row["first_mib"], row["most_mib"]
        print(f"{case:<15}{first:>9.1f}{most:>9.1f}{most - first:>8.1f}  {row['stats'] or ''}", flush=True)


if __name__ == "__main__":
    main()
