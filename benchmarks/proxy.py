"""What the record proxy costs: time to the first token through it, and how many events a second it carries.

    python benchmarks/proxy.py [--streams 200] [--seconds 5] [--runs 3] [--rival] [--mitmdump PATH]

Upstream, proxy and load are three processes; the proxy is the command, and it records. In turns, in one run:
direct and proxied (with `--rival` also proxied without recording, and by a relay of aiohttp on both sides; with
`--mitmdump` by that program of mitmproxy, which streams and keeps nothing), at 2,600 events/s, at 6,100 and as
fast as it goes. A client asks again as soon as its stream has ended.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles

from live import upstream

import recorder

BODY = b'{"model":"claude-haiku-4-5","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"Hi"}]}'
REQUEST = (
    b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: none\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n" % len(BODY)
) + BODY
EVENTS = 26
FIRST = 2
"""Events before the first that has output."""


class Client(asyncio.Protocol):
    """One stream after the other on one connection, until the time is up."""

    def __init__(self, until: float, ttft: list[float], done: Callable[[], None]) -> None:
        self._until, self._ttft, self._done = until, ttft, done
        self.events = 0
        self._waiting = False
        self._warm = False
        """Its connections are there: the first stream of each is not measured, as direct it makes none."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ask()

    def _ask(self) -> None:
        self._asked, self._waiting = time.perf_counter(), True
        self._transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        if self._waiting and b"content_block_delta" in data:
            if self._warm:
                self._ttft.append(time.perf_counter() - self._asked)
            self._waiting, self._warm = False, True
        self.events += data.count(b"event: ")
        if data.endswith(b"\r\n0\r\n\r\n") or data == b"0\r\n\r\n":
            if time.perf_counter() < self._until:
                self._ask()
            else:
                self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            print(f"  a client failed: {exc}", file=sys.stderr)
        self._done()


async def _load(url: str, streams: int, seconds: float, gap_s: float) -> tuple[float, int, list[float]]:
    """Events a second, events, and seconds to the first token beyond what the upstream waits."""
    loop = asyncio.get_running_loop()
    ttft: list[float] = []
    left, all_done = streams, asyncio.Event()

    def done() -> None:
        nonlocal left
        left -= 1
        if not left:
            all_done.set()

    began = time.perf_counter()
    clients: list[Client] = []
    for _ in range(streams):
        client = Client(began + seconds, ttft, done)
        host, port = url.removeprefix("http://").split(":")
        await loop.create_connection(lambda client=client: client, host, int(port))
        clients.append(client)
        await asyncio.sleep(EVENTS * gap_s / streams)  # spread, as they are in life
    await all_done.wait()
    events = sum(client.events for client in clients)
    return events / (time.perf_counter() - began), events, [one - FIRST * gap_s for one in ttft]


@contextmanager
def proxy(url: str, out: Path, *options: str) -> Generator[subprocess.Popen[str]]:
    """`recorder proxy` in front of `url`; its URL is in `.args[-1]`."""
    command = [sys.executable, "-c", "from recorder_cli.main import run; run()", "proxy", "--upstream", url]
    with subprocess.Popen([*command, "-o", str(out), *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.args = [*command, process.stdout.readline().strip()]
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _relay(listening: socket.socket, upstream_url: str) -> None:
    from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

    async def handle(request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        url = upstream_url + request.raw_path
        async with session.request(request.method, url, headers=headers, data=await request.read()) as answer:
            response = web.StreamResponse(status=answer.status)
            response.headers["content-type"] = answer.headers["content-type"]
            await response.prepare(request)
            async for data, _ in answer.content.iter_chunks():
                await response.write(data)
            await response.write_eof()
            return response

    async def run() -> None:
        nonlocal session
        session = ClientSession(
            connector=TCPConnector(limit=0), timeout=ClientTimeout(total=None), auto_decompress=False
        )
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.SockSite(runner, listening, backlog=1024).start()
        await asyncio.Event().wait()

    session: ClientSession
    asyncio.run(run())


@contextmanager
def rival(url: str) -> Generator[tuple[str, int]]:
    """Its URL and its process."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        process = multiprocessing.get_context("fork").Process(target=_relay, args=(listening, url))
        process.start()
        try:
            assert process.pid is not None
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", process.pid
        finally:
            process.terminate()
            process.join()


@contextmanager
def mitmdump(program: str, url: str) -> Generator[tuple[str, int]]:
    """Its URL and its process. Without the addon it would hand over each answer when it is whole."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.NamedTemporaryFile("w", suffix=".py") as addon:
        addon.write("def responseheaders(flow):\n    flow.response.stream = True\n")
        addon.flush()
        command = [program, "--quiet", "--mode", f"reverse:{url}", "--listen-host", "127.0.0.1"]
        with subprocess.Popen([*command, "--listen-port", str(port), "--scripts", addon.name]) as process:
            try:
                while not _listens(port):
                    if process.poll() is not None:
                        raise SystemExit(f"{program} ended with {process.returncode}")
                    time.sleep(0.1)
                yield f"http://127.0.0.1:{port}", process.pid
            finally:
                process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def others(options: argparse.Namespace, direct: str, out: Path) -> Generator[dict[str, tuple[str, int]]]:
    """What the proxy is compared with: URL and process of each."""
    with ExitStack() as stack:
        ways: dict[str, tuple[str, int]] = {}
        if options.rival:
            bare = stack.enter_context(proxy(direct, out / "none", "--sample", "0"))
            ways = {"bare": (bare.args[-1], bare.pid), "aiohttp": stack.enter_context(rival(direct))}
        if options.mitmdump:
            ways["mitmdump"] = stack.enter_context(mitmdump(options.mitmdump, direct))
        yield ways


def compare(options: argparse.Namespace, rate: float) -> None:
    """A line for each way, and what is in the files."""
    gap_s = options.streams / rate if rate else 0
    with ExitStack() as stack:
        direct = stack.enter_context(upstream(EVENTS, gap_s))
        out = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        process = stack.enter_context(proxy(direct, out))
        ways, pids = {"direct": direct, "proxied": process.args[-1]}, {"proxied": process.pid}
        for name, (url, pid) in stack.enter_context(others(options, direct, out)).items():
            ways[name], pids[name] = url, pid
        _, once, _ = asyncio.run(_load(ways["proxied"], 1, 0, 0))  # what is done but once
        cpu_s = {name: -_cpu_s(pid) for name, pid in pids.items()}
        rates, p50, p99 = ({name: list[float]() for name in ways} for _ in range(3))
        read = dict.fromkeys(ways, 0)
        for _ in range(options.runs):
            for name, url in ways.items():
                reached, events, ttft = asyncio.run(_load(url, options.streams, options.seconds, gap_s))
                cuts = quantiles(ttft or [0, 0], n=100, method="inclusive")
                for kept, value in ((rates, reached), (p50, cuts[49] * 1e3), (p99, cuts[98] * 1e3)):
                    kept[name].append(value)
                read[name] += events
        cpu_us = {name: (cpu_s[name] + _cpu_s(pid)) / read[name] * 1e6 for name, pid in pids.items()}
        peak = _peak_mib(process.pid)
        process.send_signal(signal.SIGTERM)
        process.wait()
        kept = sum(len(stream.events) for stream in recorder.open(out).streams())
    print(f"{options.streams} streams, {f'{rate:,.0f} events/s asked' if rate else 'as fast as it goes'}")
    for name in ways:
        added50 = median(one - plain for one, plain in zip(p50[name], p50["direct"], strict=True))
        added99 = median(one - plain for one, plain in zip(p99[name], p99["direct"], strict=True))
        print(
            f"  {name:<8}{median(rates[name]):>8,.0f} events/s   first token p50 {median(p50[name]):7.2f} ms "
            f"({added50:+.2f})   p99 {median(p99[name]):7.2f} ms ({added99:+.2f})",
            end=f"   CPU {cpu_us[name]:.0f} µs an event\n" if name in cpu_us else "\n",
        )
    print(f"  {read['proxied']:,} events read through the proxy, {kept - once:,} in its files", end="; ")
    print(f"its memory at most {peak:.0f} MiB")


def _peak_mib(pid: int) -> float:
    [line] = [one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def _cpu_s(pid: int) -> float:
    """Of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 20_000)), hard))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rates", type=float, nargs="*", default=[2600, 6100, 0])
    parser.add_argument("--rival", action="store_true", help="beside a relay of aiohttp")
    parser.add_argument("--mitmdump", metavar="PATH", help="beside that program of mitmproxy, streaming")
    options = parser.parse_args()
    allow_many_files()
    for rate in options.rates:
        compare(options, rate)


if __name__ == "__main__":
    main()
