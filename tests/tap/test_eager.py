"""Reading ahead changes nothing but the times: same chunks, same exceptions, and nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
import trio

import recorder
from recorder.log.streams import Stream
from recorder.tap.eager import READ_AHEAD
from recorder.testing import Received, Reply, Step, Upstream, message_events
from tests.tap.wire import Certificate, Server, Stamps, multiplexing, streaming

MS = 1_000_000
SOON_S = 4.0
"""Within which what is prompt has happened, on a busy machine too; the read timeout is far longer."""
ASK: dict[str, Any] = {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
HANGS = Reply.sse(message_events("a", "b")[:4], end="hang")
READ = 4
"""Events of it."""


@pytest.fixture(autouse=True)
def _no_reader_is_left() -> Iterator[None]:
    yield
    until(lambda: not readers(), "a reader's thread is left")


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "recorder-reader"]


def until(condition: Callable[[], object], otherwise: str) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.005)


def tapping(path: Path) -> recorder.Tap:
    return recorder.Tap(path, arrival="eager")


def a_client(tap: recorder.Tap, transport: httpx2.BaseTransport | None = None, **options: Any) -> httpx2.Client:
    return httpx2.Client(transport=recorder.TapTransport(tap, transport), **options)


def one_stream(path: Path) -> Stream:
    [stream] = recorder.open(path).streams()
    return stream


def ended(path: Path) -> tuple[str, bool, int]:
    end = one_stream(path).end
    assert end is not None
    return end.end, end.complete, end.events


def test_the_option_has_two_values(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^arrival is 'early'; it is 'pull' or 'eager'$"):
        recorder.Tap(tmp_path, arrival="early")  # type: ignore[arg-type]


REPLIES = {
    "read": Reply.sse(message_events("a", "b", "c"), gap=2 * MS),
    "cut": Reply.sse(message_events("a", "b", "c")[:4], gap=2 * MS, end="cut"),
    "reset": Reply.sse(message_events("a", "b", "c")[:4], gap=2 * MS, end="reset", end_at=60 * MS),
    "timeout": Reply.sse(message_events("a", "b", "c")[:4], gap=2 * MS, end="hang"),
    "truncated": Reply.sse(message_events("a", "b", "c")[:-1]),
    "empty": Reply.sse([]),
}


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("name", REPLIES)
def test_an_application_sees_the_same_chunks_and_the_same_exception(
    tmp_path: Path, name: str, is_async: bool
) -> None:
    def read(tap: recorder.Tap, url: str) -> tuple[list[bytes], str]:
        seen: list[bytes] = []
        timeout = httpx2.Timeout(30, read=0.15)
        try:
            if is_async:
                asyncio.run(read_async(tap, url, seen, timeout))
            else:
                with a_client(tap, timeout=timeout) as http, http.stream("GET", url) as response:
                    seen.extend(response.iter_raw())
        except httpx2.HTTPError as error:
            return seen, f"{error!r} of {error.request.url.host}"
        return seen, ""

    async def read_async(tap: recorder.Tap, url: str, seen: list[bytes], limit: httpx2.Timeout) -> None:
        async with httpx2.AsyncClient(transport=recorder.TapTransport(tap), timeout=limit) as http:
            async with http.stream("GET", url) as response:
                async for chunk in response.aiter_raw():
                    seen.append(chunk)

    with Upstream([REPLIES[name]] * 2) as upstream:
        with recorder.Tap(tmp_path / "pull") as tap:
            pulled = read(tap, upstream.url)
        with tapping(tmp_path / "eager") as tap:
            eager = read(tap, upstream.url)

    assert eager == pulled
    pull, ahead = one_stream(tmp_path / "pull"), one_stream(tmp_path / "eager")
    assert [chunk.data for chunk in ahead.chunks()] == [chunk.data for chunk in pull.chunks()] == pulled[0]
    assert ahead.end is not None
    assert pull.end is not None
    assert (ahead.end.end, ahead.end.error) == (pull.end.end, pull.end.error)
    assert ahead.timing().outcome == pull.timing().outcome


def test_through_the_sdk_the_connection_is_used_again(tmp_path: Path) -> None:
    with Upstream([REPLIES["read"]] * 3) as upstream, tapping(tmp_path) as tap:
        with anthropic.Anthropic(base_url=upstream.url, api_key="k") as client:
            for _ in range(3):
                with tap.wrap(client).messages.stream(**ASK) as stream:
                    assert stream.get_final_text() == "abc"

    assert [received.connection for received in upstream.received] == [0, 0, 0]
    streams = list(recorder.open(tmp_path).streams())
    assert [(s.response.arrival, s.end.end, s.end.complete) for s in streams if s.response and s.end] == [
        ("eager", "read", True)
    ] * 3


class Raises(httpx2.BaseTransport):
    """A real connection whose body raises an exception of the transport's own after one chunk."""

    def __init__(self, error: BaseException) -> None:
        self.inner = httpx2.HTTPTransport()
        self.error = error

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self.inner.handle_request(request)
        body, error = response.stream, self.error

        class Body(httpx2.SyncByteStream):
            def __iter__(self) -> Iterator[bytes]:
                assert isinstance(body, httpx2.SyncByteStream)
                yield next(iter(body))
                raise error

            def close(self) -> None:
                assert isinstance(body, httpx2.SyncByteStream)
                body.close()

        response.stream = Body()
        return response

    def close(self) -> None:
        self.inner.close()


@pytest.mark.parametrize("error", [ZeroDivisionError("odd"), KeyboardInterrupt()])
def test_the_very_exception_is_raised(tmp_path: Path, error: BaseException) -> None:
    seen: list[bytes] = []
    with Upstream([HANGS]) as upstream, tapping(tmp_path) as tap:
        with a_client(tap, Raises(error)) as http, http.stream("GET", upstream.url) as response:
            with pytest.raises(type(error)) as raised:
                seen.extend(response.iter_raw())

    assert raised.value is error
    assert len(seen) == 1


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


def test_an_application_that_slept_and_stopped_read_less_than_came(tmp_path: Path) -> None:
    with Upstream([HANGS]) as upstream, tapping(tmp_path) as tap:
        with a_client(tap) as http, http.stream("GET", upstream.url) as response:
            body = response.iter_raw()
            next(body)
            until(lambda: tap.stats().events == READ, "it is not read ahead")
        upstream.settle()
        assert len(upstream.closed_by_client) == 1

    assert ended(tmp_path) == ("closed", False, READ)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_reader_stops_when_the_application_is_too_far_behind(tmp_path: Path, is_async: bool) -> None:
    chunk, chunks = b"data: " + b"x" * 65_000 + b"\n\n", 400
    reply = Reply.sse([chunk] * chunks)

    def settled(tap: recorder.Tap) -> int:
        """Events when no more come."""
        seen = -1
        while seen != tap.stats().events:
            seen = tap.stats().events
            time.sleep(0.2)
        return seen

    async def read(url: str, tap: recorder.Tap) -> tuple[int, int]:
        async with httpx2.AsyncClient(transport=recorder.TapTransport(tap)) as http:
            async with http.stream("GET", url) as response:
                ahead = await asyncio.to_thread(settled, tap)
                return ahead, len(b"".join([part async for part in response.aiter_raw()]))

    with Upstream([reply]) as upstream, tapping(tmp_path) as tap:
        if is_async:
            ahead, size = asyncio.run(read(upstream.url, tap))
        else:
            with a_client(tap) as http, http.stream("GET", upstream.url) as response:
                ahead = settled(tap)
                size = len(b"".join(response.iter_raw()))

    assert READ_AHEAD / len(chunk) - 1 <= ahead <= READ_AHEAD / len(chunk) + 2
    assert size == chunks * len(chunk)
    timing = one_stream(tmp_path).timing()
    assert timing.events == chunks
    assert timing.censored > 0  # what waited for the tap to read on


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


def test_only_event_streams_are_read_ahead(tmp_path: Path) -> None:
    with Upstream([Reply.json(200, {"a": 1})]) as upstream, tapping(tmp_path) as tap, a_client(tap) as http:
        with http.stream("GET", upstream.url) as response:
            assert readers() == []
            assert response.read() == b'{"a":1}'

    response = one_stream(tmp_path).response  # type: ignore[assignment]
    assert response.arrival is None  # type: ignore[attr-defined]


def test_many_streams_at_once_are_each_whole(tmp_path: Path) -> None:
    def answer(request: Received) -> Reply:
        return Reply.sse(message_events(*(f"{request.target} {n}" for n in range(20))), gap=MS)

    def read(http: httpx2.Client, url: str) -> None:
        with http.stream("GET", url) as response:
            bodies[url] = b"".join(response.iter_raw())

    bodies: dict[str, bytes] = {}
    with Upstream(answer) as upstream, tapping(tmp_path) as tap, a_client(tap, httpx2.HTTPTransport()) as http:
        urls = [f"{upstream.url}/{n}" for n in range(20)]
        threads = [threading.Thread(target=read, args=(http, url)) for url in urls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert {stream.request.url: stream.body() for stream in recorder.open(tmp_path).streams()} == bodies
    assert len(bodies) == 20


def test_a_step_may_be_larger_than_all_that_is_read_ahead(tmp_path: Path) -> None:
    data = b"data: " + b"x" * (2 * READ_AHEAD) + b"\n\n"
    reply = Reply(steps=(Step(at=0, data=data), Step(at=0, data=data)))
    with Upstream([reply]) as upstream, tapping(tmp_path) as tap, a_client(tap) as http:
        assert http.get(upstream.url).content == data * 2


async def test_a_stream_of_http2_ends_alone(tmp_path: Path) -> None:
    certificate = Certificate("h2")
    with Server(multiplexing(Stamps(), certificate.server, 1)) as server, tapping(tmp_path) as tap:
        transport = httpx2.AsyncHTTPTransport(verify=certificate.client, http2=True)
        url = f"https://localhost:{server.port}"
        async with httpx2.AsyncClient(transport=recorder.TapTransport(tap, transport), timeout=20) as http:
            async with http.stream("GET", f"{url}/hang") as hanging:
                assert hanging.http_version == "HTTP/2"
                await hanging.aiter_raw().__anext__()
                assert (await http.get(f"{url}/a")).text == "data: 0\n\ndata: 1\n\ndata: 2\n\n"
            assert (await http.get(f"{url}/b")).text == "data: 0\n\ndata: 1\n\ndata: 2\n\n"
        assert server.connections == 1

    streams = sorted(recorder.open(tmp_path).streams(), key=lambda stream: stream.request.mono)
    assert [stream.response.arrival for stream in streams if stream.response] == ["eager"] * 3
    assert [stream.end.end for stream in streams if stream.end] == ["closed", "read", "read"]
    assert [stream.response.reused for stream in streams if stream.response] == [False, True, True]


def test_a_shared_connection_is_not_read_ahead_by_a_thread_and_says_so(tmp_path: Path) -> None:
    certificate = Certificate("h2")
    with Server(multiplexing(Stamps(), certificate.server, 1)) as server, tapping(tmp_path) as tap:
        transport = httpx2.HTTPTransport(verify=certificate.client, http2=True)
        with (
            a_client(tap, transport) as http,
            http.stream("GET", f"https://localhost:{server.port}/a") as response,
        ):
            assert response.http_version == "HTTP/2"
            assert readers() == []
            assert response.read() == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"

    response = one_stream(tmp_path).response  # type: ignore[assignment]
    assert response.arrival is None  # type: ignore[attr-defined]
    assert response.phases.tls is not None  # type: ignore[attr-defined]
