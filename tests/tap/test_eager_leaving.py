"""Reading ahead: an application that goes, is cancelled, forks or exits leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio

import recorder
from recorder.testing import Reply, Upstream, message_events
from tests.tap.ahead import HANGS, MS, READ, REPLIES, SOON_S, a_client, ended, one_stream, readers, tapping, until
from tests.tap.wire import Certificate, Server, Stamps, streaming

pytestmark = pytest.mark.usefixtures("no_reader_is_left")


WAYS = ("break", "close", "unread", "dropped", "dropped unread", "other thread")


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_an_application_that_goes_closes_the_connection_while_the_reader_is_blocked(
    tmp_path: Path, way: str, tls: bool
) -> None:
    certificate, gone = Certificate(), threading.Event()
    stamps = Stamps()
    serve = streaming(stamps, [0, 0, 30_000])

    def watched(one: Any) -> None:
        one = certificate.server.wrap_socket(one, server_side=True) if tls else one

        def send() -> None:
            with suppress(OSError):  # the client may go before it has all
                serve(one)

        with one:
            sending = threading.Thread(target=send, daemon=True)
            sending.start()
            while sending.is_alive() and not stamps.get("sent", [])[1:]:
                time.sleep(0.001)
            with suppress(OSError):
                one.recv(1)  # returns when the client has hung up
            gone.set()

    with Server(watched) as server, tapping(tmp_path) as tap:
        transport = httpx2.HTTPTransport(verify=certificate.client)
        with a_client(tap, transport, timeout=600) as http:
            url = f"{'https' if tls else 'http'}://localhost:{server.port}"
            response = http.send(http.build_request("GET", url), stream=True)
            leave(response, way)
            del response
            gc.collect()
            assert gone.wait(SOON_S)
            until(lambda: not readers(), "the reader goes on")

    assert ended(tmp_path)[:2] == ("closed", False)


def leave(response: httpx2.Response, way: str) -> None:
    if "unread" not in way:
        body = response.iter_raw()
        next(body), next(body)
    if way == "other thread":
        reading = threading.Thread(target=pytest.raises, args=(httpx2.StreamClosed, next, body))
        reading.start()
        time.sleep(0.05)  # it is blocked by now, most likely; if not, it is refused all the same
        response.close()
        reading.join(SOON_S)
        assert not reading.is_alive()
    elif way == "break":
        body.close()
    elif not way.startswith("dropped"):
        response.close()
        assert not readers()  # close() returns when all is closed


async def hang(tap: recorder.Tap, url: str, seen: Any) -> None:
    async with httpx2.AsyncClient(transport=recorder.TapTransport(tap), timeout=600) as http:
        async with http.stream("GET", url) as response:
            count = 0
            async for _ in response.aiter_raw():
                count += 1
                if count == READ:
                    seen.set()


async def test_a_cancelled_task_of_asyncio_leaves_no_task(tmp_path: Path) -> None:
    with Upstream([HANGS]) as upstream, tapping(tmp_path) as tap:
        before, seen = asyncio.all_tasks(), asyncio.Event()
        task = asyncio.create_task(hang(tap, upstream.url, seen))
        await seen.wait()
        assert len(asyncio.all_tasks() - before) == 2
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == before
        await asyncio.to_thread(upstream.settle)
        assert len(upstream.closed_by_client) == 1

    assert ended(tmp_path) == ("closed", False, READ)
    end = one_stream(tmp_path).end
    assert end is not None
    assert end.error is not None
    assert end.error.type.endswith("CancelledError")


@pytest.mark.parametrize("way", ["cancelled", "timeout", "read"])
def test_trio(tmp_path: Path, way: str) -> None:
    async def run(url: str, tap: recorder.Tap) -> None:
        seen = trio.Event()
        if way == "read":
            return await hang(tap, url, seen)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hang, tap, url, seen)
            await seen.wait()
            if way == "cancelled":
                nursery.cancel_scope.cancel()
            else:
                nursery.cancel_scope.deadline = trio.current_time() + 0.05
        return None

    reply = REPLIES["read"] if way == "read" else HANGS
    with Upstream([reply]) as upstream, tapping(tmp_path) as tap:
        with_time_limit: Callable[..., Any] = trio.run
        with_time_limit(run, upstream.url, tap)
        upstream.settle()
        assert len(upstream.closed_by_client) == (way != "read")

    assert ended(tmp_path)[:2] == (("read", True) if way == "read" else ("closed", False))
    response = one_stream(tmp_path).response
    assert response is not None
    assert response.arrival == "eager"


async def test_an_async_response_that_is_dropped_is_closed(tmp_path: Path) -> None:
    with Upstream([HANGS]) as upstream, tapping(tmp_path) as tap:
        before = asyncio.all_tasks()
        async with httpx2.AsyncClient(transport=recorder.TapTransport(tap), timeout=600) as http:
            response = await http.send(http.build_request("GET", upstream.url), stream=True)
            body = response.aiter_raw()
            await body.__anext__()
            del body, response
            gc.collect()
            await asyncio.to_thread(upstream.settle)
            assert len(upstream.closed_by_client) == 1
            await asyncio.gather(*(asyncio.all_tasks() - before))  # ends by itself, if it has not yet

    assert ended(tmp_path)[:2] == ("closed", False)


def test_an_event_loop_that_ends_takes_the_reader_with_it(tmp_path: Path) -> None:
    kept: list[object] = []

    async def run(url: str, tap: recorder.Tap) -> None:
        http = httpx2.AsyncClient(transport=recorder.TapTransport(tap), timeout=600)
        response = await http.send(http.build_request("GET", url), stream=True)
        await response.aiter_raw().__anext__()
        kept.extend((http, response))

    with Upstream([HANGS]) as upstream, tapping(tmp_path) as tap:
        asyncio.run(run(upstream.url, tap))
        upstream.settle()
        assert len(upstream.closed_by_client) == 1
        kept.clear()
        gc.collect()

    assert ended(tmp_path)[:2] == ("closed", False)


PROGRAM = """
import sys, httpx2, recorder
tap = recorder.Tap(sys.argv[2], arrival="eager")
http = httpx2.Client(transport=recorder.TapTransport(tap), timeout=600)
response = http.send(http.build_request("GET", sys.argv[1]), stream=True)
body = response.iter_raw()
print(len(next(body)) > 0)
"""


@pytest.mark.slow
def test_an_interpreter_exits_in_mid_stream(tmp_path: Path) -> None:
    with Upstream([HANGS]) as upstream:
        command = [sys.executable, "-c", PROGRAM, upstream.url, os.fspath(tmp_path)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert (run.returncode, run.stdout, run.stderr) == (0, "True\n", "")
    assert len(one_stream(tmp_path).events) == READ


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_child_of_a_fork_leaves_the_parents_stream_alone(tmp_path: Path) -> None:
    reply = Reply.sse(message_events("a", "b"), first=0, gap=60 * MS)
    with Upstream([reply]) as upstream, tapping(tmp_path / "log") as tap, a_client(tap) as http:
        with http.stream("GET", upstream.url) as response:
            body = response.iter_raw()
            seen = [next(body)]
            if (child := os.fork()) == 0:
                response.close()
                del response, body
                gc.collect()
                os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
            seen.extend(body)

    assert b"".join(seen) == one_stream(tmp_path / "log").body()
    assert ended(tmp_path / "log")[:2] == ("read", True)
