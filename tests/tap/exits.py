"""How a process may end in mid-stream: each ending in a fork of one process that has everything imported.

`python tests/tap/exits.py DIRECTORY WRITER` forks a child for each name in ENDINGS; it records to DIRECTORY/name.jsonl
and ends as the name says, through the interpreter's own exit. Printed as one JSON object: the exit status of
each, and how many events the application had been handed by then.
"""

from __future__ import annotations

import asyncio
import gc
import json
import mmap
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2

from recorder import Tap, TapTransport

CHUNKS = 400
HALF = 200
handed = memoryview(mmap.mmap(-1, 8)).cast("q")


class Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """An event every 0.2 ms; its reader is at its end after 80 ms or more."""

    def __iter__(self) -> Iterator[bytes]:
        for n in range(CHUNKS):
            yield b"data: %d\n\n" % n
            time.sleep(0.0002)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for n in range(CHUNKS):
            yield b"data: %d\n\n" % n
            await asyncio.sleep(0.0002)


class Server(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return self.handle_request(request)


def read(tap: Tap, half_way: Callable[[], object]) -> None:
    with httpx2.Client(transport=TapTransport(tap, Server())) as http:
        with http.stream("POST", "http://x/", json={"ask": 1}) as response:
            for n, _ in enumerate(response.iter_raw()):
                handed[0] += 1
                if n == HALF:
                    half_way()


def exit_now() -> None:
    sys.exit(0)


def settle_and(signal_number: int) -> Callable[[], None]:
    """Long enough for the writer to have looked."""

    def end() -> None:
        time.sleep(0.2)
        os.kill(os.getpid(), signal_number)
        time.sleep(5)

    return end


def sigterm_to_exit(tap: Tap) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    read(tap, lambda: os.kill(os.getpid(), signal.SIGTERM))


def exception(tap: Tap) -> None:
    def fail() -> None:
        raise RuntimeError("the application's own")

    read(tap, fail)


def in_thread(tap: Tap, *, daemon: bool) -> None:
    """The main thread ends; one that is no daemon is waited for by the interpreter, a daemon is not."""
    half_way = threading.Event()
    threading.Thread(target=read, args=(tap, half_way.set), daemon=daemon).start()
    half_way.wait()


def in_pool(tap: Tap) -> None:
    half_way = threading.Event()
    ThreadPoolExecutor().submit(read, tap, half_way.set)
    half_way.wait()


def in_tasks(tap: Tap) -> None:
    """`sys.exit` in one task; `asyncio.run` cancels the other, which reads."""

    async def ask(half_way: asyncio.Event) -> None:
        async with httpx2.AsyncClient(transport=TapTransport(tap, Server())) as http:
            async with http.stream("POST", "http://x/", json={"ask": 1}) as response:
                async for _ in response.aiter_raw():
                    handed[0] += 1
                    if handed[0] == HALF:
                        half_way.set()

    async def main() -> None:
        half_way = asyncio.Event()
        asking = asyncio.create_task(ask(half_way))
        await half_way.wait()
        assert not asking.done()
        sys.exit(0)

    asyncio.run(main())


ENDINGS: dict[str, Callable[[Tap], object]] = {
    "SIGKILL": lambda tap: read(tap, settle_and(signal.SIGKILL)),
    "SIGTERM": lambda tap: read(tap, settle_and(signal.SIGTERM)),
    "os._exit": lambda tap: read(tap, lambda: (time.sleep(0.2), os._exit(3))),
    "SIGTERM to sys.exit": sigterm_to_exit,
    "SIGINT": lambda tap: read(tap, lambda: os.kill(os.getpid(), signal.SIGINT)),
    "sys.exit": lambda tap: read(tap, exit_now),
    "exception": exception,
    "thread": lambda tap: in_thread(tap, daemon=False),
    "daemon thread": lambda tap: in_thread(tap, daemon=True),
    "pool": in_pool,
    "tasks": in_tasks,
}


def main(directory: Path, writer: Any) -> None:
    gc.freeze()  # else each child collects a copy of all modules at its exit
    results: dict[str, dict[str, int]] = {}
    for name, ending in ENDINGS.items():
        handed[0] = 0
        if (child := os.fork()) == 0:
            sys.excepthook = lambda kind, error, _: traceback.print_exception(error, limit=-1)
            ending(Tap(directory / f"{name}.jsonl", writer=writer))
            return  # and so on to the interpreter's exit
        _, status = os.waitpid(child, 0)
        results[name] = {"status": os.waitstatus_to_exitcode(status), "handed": handed[0]}
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
