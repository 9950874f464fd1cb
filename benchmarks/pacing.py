"""How late `timing="recorded"` hands over each event, against the recorded time, and whether that grows.

    python benchmarks/pacing.py [--events 10000] [--gap 1.0]

One stream with an event every `--gap` ms (half to one and a half times that), through the SDK: replayed in the
process, sync and asyncio, and over HTTP by `recorder serve`, a process of its own. Beside them the plain thing,
the same events from a list with one sleep per gap. Errors are of the time since the request was sent, over HTTP
on a connection that is there; the drift is how much later the last tenth is than the first, in the median.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import median, quantiles

import anthropic
import httpx2
from feed import ASK, chunks

import recorder
from recorder.core.attempt import Attempt
from recorder.core.lines import encode_line
from recorder.core.records import FORMAT, Header, Record
from recorder.core.redact import Secrets


def write(path: Path, *streams: tuple[list[bytes], list[int]]) -> None:
    """A recording of streams, one after the other: each part at its time, in ns since the send."""
    header = Header(format=FORMAT, v=1, segment="x", wall=0, mono=0, recorder="0", source="synthetic")
    records = [header, *(record for n, stream in enumerate(streams) for record in records_of(n, *stream))]
    path.write_bytes(b"".join(map(encode_line, records)))


def records_of(number: int, parts: list[bytes], times: list[int]) -> list[Record]:
    attempt = Attempt(stream=f"s{number}", call=f"c{number}", attempt=0, secrets=Secrets())
    body = json.dumps({**ASK, "stream": True}).encode()
    headers = [("content-type", "text/event-stream")]
    url = "https://api.anthropic.com/v1/messages"
    return [
        attempt.request(wall=number, mono=number, method="POST", url=url, headers=[], body=body),
        attempt.response(at=times[0], status=200, headers=headers),
        *(record for at, part in zip(times, parts, strict=True) for record in attempt.chunk(at, 0, part)),
        *attempt.end(times[-1], 0, "read"),
    ]


@contextmanager
def served(path: Path) -> Generator[str]:
    """The URL of `recorder serve`."""
    command = [sys.executable, "-c", "from recorder_cli.main import run; run()", "serve", str(path), "--once"]
    with subprocess.Popen(
        [*command, "--timing", "recorded"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


class Sleepy(httpx2.BaseTransport, httpx2.AsyncBaseTransport, httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """The plain thing: parts from a list, and one sleep for each gap."""

    def __init__(self, parts: list[bytes], times: list[int]) -> None:
        self._parts = parts
        self._gaps = [times[0], *(b - a for a, b in pairwise(times))]

    def __iter__(self) -> Iterator[bytes]:
        for part, gap in zip(self._parts, self._gaps, strict=True):
            time.sleep(gap / 1e9)
            yield part

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part, gap in zip(self._parts, self._gaps, strict=True):
            await asyncio.sleep(gap / 1e9)
            yield part

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, stream=self, request=request)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return self.handle_request(request)


class Sent:
    """When a request is on its way, as its recorded times count."""

    def __init__(self) -> None:
        self.at = 0

    def __call__(self, _: httpx2.Request) -> None:
        self.at = time.perf_counter_ns()

    async def tell(self, _: httpx2.Request) -> None:
        self.at = time.perf_counter_ns()


def arrivals(transport: httpx2.BaseTransport | None, url: str | None = None) -> list[int]:
    """ns from the send to each event that the SDK gives."""
    sent = Sent()
    http = anthropic.DefaultHttpxClient(transport=transport, event_hooks={"request": [sent]})
    with anthropic.Anthropic(api_key="none", base_url=url, http_client=http) as client:
        if url:
            list(client.messages.create(**ASK, stream=True))
        return [time.perf_counter_ns() - sent.at for _ in client.messages.create(**ASK, stream=True)]


def arrivals_async(transport: httpx2.AsyncBaseTransport | None, url: str | None = None) -> list[int]:
    async def read() -> list[int]:
        sent = Sent()
        http = anthropic.DefaultAsyncHttpxClient(transport=transport, event_hooks={"request": [sent.tell]})
        async with anthropic.AsyncAnthropic(api_key="none", base_url=url, http_client=http) as client:
            if url:
                [_ async for _ in await client.messages.create(**ASK, stream=True)]
            stream = await client.messages.create(**ASK, stream=True)
            return [time.perf_counter_ns() - sent.at async for _ in stream]

    return asyncio.run(read())


def show(name: str, came: list[int], times: list[int]) -> None:
    late = [(at - due) / 1e6 for at, due in zip(came, times, strict=True)]
    cuts, tenth = quantiles(late, n=100), len(late) // 10
    drift = median(late[-tenth:]) - median(late[:tenth])
    print(f"{name:22}{cuts[49]:9.3f}{cuts[98]:9.3f}{max(late):9.3f}{drift:+11.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--gap", type=float, default=1.0)
    options = parser.parse_args()
    random, parts = Random(1), chunks(options.events)
    times = [100_000_000]
    for _ in parts[1:]:
        times.append(times[-1] + int(options.gap * 1e6 * random.uniform(0.5, 1.5)))
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "a.jsonl"
        write(path, (parts, times))
        sleepy = Sleepy(parts, times)
        print(f"{len(times)} events in {times[-1] / 1e9:.1f} s; ms late")
        print(f"{'':22}{'p50':>9}{'p99':>9}{'max':>9}{'drift':>11}")
        show("sync", arrivals(recorder.replay(path, timing="recorded").transport), times)
        show("sync, plain", arrivals(sleepy), times)
        show("asyncio", arrivals_async(recorder.replay(path, timing="recorded").transport), times)
        show("asyncio, plain", arrivals_async(sleepy), times)
        write(path, (chunks(10), times[: len(chunks(10))]), (parts, times))
        with served(path) as url:
            show("over HTTP", arrivals(None, url), times)
        with served(path) as url:
            show("over HTTP, asyncio", arrivals_async(None, url), times)


if __name__ == "__main__":
    main()
