"""Many streams at once through `recorder proxy`, for long: is anything lost, does its memory grow?

    python benchmarks/soak.py [--streams 500] [--minutes 10] [--rate 2000]

Upstream, proxy and clients are three processes; the proxy is the command, and it records. Each client asks again
as soon as its stream has ended, and says in the request which one it is. At the end each recorded body is compared
with the bytes that its client got. Exits with 1 when one differs, is missing or is there twice. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import NamedTuple

import h11
from live import upstream
from proxy import EVENTS, allow_many_files, proxy

import recorder

EVERY_S = 5.0
"""Between two looks at the memory."""
SETTLED_S = 30.0
"""Until then caches and pools fill: the memory at the start is what there is afterwards."""


class Got(NamedTuple):
    """What a client got of one stream."""

    events: int
    sha256: str


class Client(asyncio.Protocol):
    """One stream after the other on one connection, until the time is up."""

    def __init__(self, name: str, until: float, got: dict[str, Got]) -> None:
        self._name, self._until, self._got = name, until, got
        self._http = h11.Connection(h11.CLIENT)
        self._asked = 0
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._asked += 1
        self._body = bytearray()
        request = {"model": "m", "stream": True, "messages": f"{self._name}.{self._asked}"}
        body = json.dumps(request).encode()
        headers = [("host", "127.0.0.1"), ("x-api-key", "none"), ("content-length", str(len(body)))]
        head = h11.Request(method="POST", target="/v1/messages", headers=headers)
        sent = [self._http.send(one) or b"" for one in (head, h11.Data(data=body), h11.EndOfMessage())]
        self._transport.write(b"".join(sent))

    def data_received(self, data: bytes) -> None:
        self._http.receive_data(data)
        while (event := self._http.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Data):
                self._body += event.data
            elif isinstance(event, h11.EndOfMessage):
                events = len(re.findall(rb"^event: ", self._body, re.MULTILINE))
                self._got[f"{self._name}.{self._asked}"] = Got(events, sha256(self._body).hexdigest())
                if time.monotonic() > self._until:
                    self._transport.close()
                    return
                self._http.start_next_cycle()
                self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            print(f"  {self._name}.{self._asked}: broken off: {exc}", file=sys.stderr)
        self.over.set_result(None)


async def _load(
    url: str, streams: int, seconds: float, gap_s: float, pid: int
) -> tuple[dict[str, Got], list[float]]:
    """What the clients got, and the memory of the proxy all the while, in MiB."""
    loop = asyncio.get_running_loop()
    host, port = url.removeprefix("http://").split(":")
    got: dict[str, Got] = {}
    memory: list[float] = []
    until = time.monotonic() + seconds
    clients: list[Client] = []
    for n in range(streams):
        client = Client(str(n), until, got)
        await loop.create_connection(lambda client=client: client, host, int(port))
        clients.append(client)
        await asyncio.sleep(EVENTS * gap_s / streams)  # spread, as they are in life
    over = asyncio.gather(*(client.over for client in clients))
    while not over.done():
        memory.append(_resident_mib(pid))
        await asyncio.wait([over], timeout=EVERY_S)
    return got, memory


def _resident_mib(pid: int) -> float:
    [line] = [one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def _differences(path: Path, got: dict[str, Got]) -> list[str]:
    """What the recording has otherwise than the clients, a line for each stream."""
    times: Counter[str] = Counter()
    lines: list[str] = []
    for stream in recorder.open(path).streams():
        name = stream.request.body["messages"]
        times[name] += 1
        kept = Got(len(stream.events), sha256(stream.body()).hexdigest())
        if kept != got.get(name):
            lines.append(f"{name}: {kept} recorded, {got.get(name)} got")
    return lines + [f"{name}: recorded {times[name]} times" for name in got if times[name] != 1]


def soak(options: argparse.Namespace) -> int:
    gap_s = options.streams / options.rate
    with (
        tempfile.TemporaryDirectory() as out,
        upstream(EVENTS, gap_s) as direct,
        proxy(direct, Path(out)) as process,
    ):
        began = time.monotonic()
        seconds = options.minutes * 60
        got, memory = asyncio.run(_load(process.args[-1], options.streams, seconds, gap_s, process.pid))
        took = time.monotonic() - began
        process.send_signal(signal.SIGTERM)
        process.wait()
        wrong = _differences(Path(out), got)
    events = sum(one.events for one in got.values())
    settled = memory[int(SETTLED_S / EVERY_S) :] or memory
    start, middle, end = settled[0], settled[len(settled) // 2], settled[-1]
    print(
        f"{options.streams} streams at once for {took / 60:.1f} minutes: {len(got):,} in all, {events:,} events, "
        f"{events / took:,.0f} a second; {len(wrong)} recorded otherwise than they came\n"
        f"memory of the proxy, MiB: {start:.1f} at the start, {middle:.1f} in the middle, {end:.1f} at the end; "
        f"median {median(settled):.1f}, at most {max(settled):.1f}"
    )
    for line in wrong[:20]:
        print(f"  {line}")
    return 1 if wrong or not got else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=2000, help="events a second, all streams together")
    allow_many_files()
    sys.exit(soak(parser.parse_args()))


if __name__ == "__main__":
    main()
