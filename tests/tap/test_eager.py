"""Reading ahead: the application sees the same, and the arrivals are true."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import anthropic
import httpx2
import pytest

import recorder
from recorder.tap.eager import READ_AHEAD
from recorder.testing import Received, Reply, Step, Upstream, message_events
from tests.tap.ahead import ASK, HANGS, MS, READ, REPLIES, a_client, ended, one_stream, readers, tapping, until
from tests.tap.wire import Certificate, Server, Stamps, multiplexing

pytestmark = pytest.mark.usefixtures("no_reader_is_left")


def test_the_option_has_two_values(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^arrival is 'early'; it is 'pull' or 'eager'$"):
        recorder.Tap(tmp_path, arrival="early")  # type: ignore[arg-type]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("name", REPLIES)
def test_an_application_sees_the_same_chunks_and_the_same_exception(
    tmp_path: Path, name: str, is_async: bool
) -> None:
    def read(tap: recorder.Tap, url: str) -> tuple[list[bytes], str]:
        seen: list[bytes] = []
        timeout = httpx2.Timeout(30, read=0.4)
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
