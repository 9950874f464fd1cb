"""Replay under the real SDK: the same bytes, chunks, events and exceptions, without a key or a network."""

from __future__ import annotations

import asyncio
import gzip
import inspect
import json
import re
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

import recorder
from recorder.core.attempt import Attempt
from recorder.core.lines import encode_line
from recorder.core.records import FORMAT, Header
from recorder.core.redact import Secrets
from recorder.replayer.options import ReplayOptions
from recorder.testing import Received, Reply, Upstream, encode_event, message_events
from tests.replayer.streams import ASK, Outcome, read, read_async

MS = 1_000_000
TEXTS = ("Hel", "lo ", "world")
EVENTS = message_events(*TEXTS)
ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
BROKEN: dict[str, Callable[[], Reply]] = {
    "whole": lambda: Reply.sse(EVENTS),
    "truncated": lambda: Reply.sse(EVENTS[:5]),
    "cut": lambda: Reply.sse(EVENTS[:5], end="cut"),
    "reset": lambda: Reply.sse(EVENTS[:5], end="reset", end_at=20 * MS),
    "stall": lambda: Reply.sse(EVENTS[:5], end="hang"),
    "error event": lambda: Reply.sse([*EVENTS[:5], ERROR]),
    "529": lambda: Reply.error(529, "overloaded_error", "Overloaded", headers={"retry-after": "9"}),
    "400": lambda: Reply.error(400, "invalid_request_error", "no"),
    "no answer": lambda: Reply.drop("cut"),
    "empty body": lambda: Reply.sse([]),
}


def ask(text: str = "hi", **more: Any) -> dict[str, Any]:
    return {**ASK, "messages": [{"role": "user", "content": text}], **more}


OPTIONS: dict[str, Any] = {"api_key": "k", "max_retries": 0, "timeout": httpx2.Timeout(5, read=0.4)}


def record(path: Path, reply: Reply, way: str) -> Outcome:
    with Upstream(lambda _: reply) as upstream, recorder.Tap(path) as tap:
        with anthropic.Anthropic(base_url=upstream.url, **OPTIONS) as client:
            return read(tap.wrap(client), way)


@pytest.mark.parametrize("way", ["create", "stream"])
@pytest.mark.parametrize("broken", BROKEN)
def test_sync_replays_as_it_was(tmp_path: Path, broken: str, way: str) -> None:
    live = record(tmp_path, BROKEN[broken](), way)

    with recorder.replay(tmp_path).client(max_retries=0) as client:
        assert read(client, way) == live


@pytest.mark.parametrize("way", ["create", "stream"])
@pytest.mark.parametrize("broken", BROKEN)
async def test_async_replays_as_it_was(tmp_path: Path, broken: str, way: str) -> None:
    with Upstream(lambda _: BROKEN[broken]()) as upstream, recorder.Tap(tmp_path) as tap:
        async with anthropic.AsyncAnthropic(base_url=upstream.url, **OPTIONS) as client:
            live = await read_async(tap.wrap(client), way)

    async with recorder.replay(tmp_path).async_client(max_retries=0) as client:
        assert await read_async(client, way) == live


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_recorded_of_a_replay_is_what_was_replayed(tmp_path: Path, broken: str) -> None:
    record(tmp_path / "live", BROKEN[broken](), "create")

    with recorder.Tap(tmp_path / "again") as tap:
        with recorder.replay(tmp_path / "live").client(max_retries=0) as client:
            read(tap.wrap(client), "create")

    [first] = recorder.open(tmp_path / "live").streams()
    [second] = recorder.open(tmp_path / "again").streams()
    assert second.body() == first.body()
    assert [chunk.data for chunk in second.chunks()] == [chunk.data for chunk in first.chunks()]
    assert first.end is not None
    assert second.end is not None
    assert (second.end.end, second.end.complete, second.end.error) == (
        first.end.end,
        first.end.complete,
        first.end.error,
    )


def test_every_client_of_the_process_is_answered_and_no_socket_is_opened(
    tmp_path: Path, no_sockets_after: Any
) -> None:
    live = record(tmp_path, BROKEN["whole"](), "create")
    with anthropic.Anthropic(api_key="k", max_retries=0) as made_before:
        no_sockets_after()
        with recorder.replay(tmp_path) as replay:
            assert read(made_before, "create") == live
            assert replay.unused == []
        with recorder.replay(tmp_path), anthropic.Anthropic(api_key="k", max_retries=0) as made_inside:
            assert read(made_inside, "create") == live


@pytest.fixture
def no_sockets_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a socket was opened"))

    return forbid


def test_a_thread_started_inside_is_answered(tmp_path: Path) -> None:
    live = record(tmp_path, BROKEN["whole"](), "create")
    answers: list[Outcome] = []

    def work() -> None:
        with anthropic.Anthropic(api_key="k", max_retries=0) as client:
            answers.append(read(client, "create"))

    with recorder.replay(tmp_path):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    assert answers == [live]


async def test_two_tasks_with_two_recordings_do_not_see_each_other(tmp_path: Path) -> None:
    names = ("one", "two")
    for name in names:
        record(tmp_path / name, Reply.sse(message_events(name)), "create")
    both = asyncio.Barrier(2)

    async def test(name: str) -> str:
        with recorder.replay(tmp_path / name):
            await both.wait()
            async with anthropic.AsyncAnthropic(api_key="k") as client, client.messages.stream(**ask()) as stream:
                return await stream.get_final_text()

    assert await asyncio.gather(*map(test, names)) == ["one", "two"]


def test_requests_that_are_not_for_claude_pass(tmp_path: Path) -> None:
    record(tmp_path, BROKEN["whole"](), "create")

    with Upstream([Reply.json(200, {"mine": True})]) as own, recorder.replay(tmp_path):
        assert httpx2.get(f"{own.url}/health").json() == {"mine": True}


def test_what_stood_in_steps_down(tmp_path: Path) -> None:
    record(tmp_path, BROKEN["whole"](), "create")
    before = httpx2.HTTPTransport.handle_request, httpx2.AsyncHTTPTransport.handle_async_request

    with recorder.replay(tmp_path), recorder.replay(tmp_path):
        assert httpx2.HTTPTransport.handle_request is not before[0]

    assert (httpx2.HTTPTransport.handle_request, httpx2.AsyncHTTPTransport.handle_async_request) == before


@pytest.fixture
def two_attempts(tmp_path: Path) -> Path:
    replies = [Reply.error(529, "overloaded_error", "no", headers={"retry-after-ms": "30"}), Reply.sse(EVENTS)]
    with Upstream(replies) as upstream, recorder.Tap(tmp_path) as tap:
        with anthropic.Anthropic(base_url=upstream.url, api_key="k", max_retries=1) as client:
            [*tap.wrap(client).messages.create(**ask(), stream=True)]
    return tmp_path


def test_a_client_that_does_not_retry_sees_the_first_attempt(two_attempts: Path) -> None:
    with (
        recorder.replay(two_attempts).client(max_retries=0) as client,
        pytest.raises(anthropic.APIStatusError, match="529"),
    ):
        client.messages.create(**ask(), stream=True)


class Numbered:
    """Answers with the number in the prompt, or with how many came before."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, request: Received) -> Reply:
        self.count += 1
        text = request.json()["messages"][0]["content"]
        return Reply.sse(message_events(str(self.count) if text == "same" else text))


@pytest.mark.parametrize("prompts", [["same"] * 50, [f"prompt {n}" for n in range(50)]], ids=["same", "different"])
async def test_prompts_in_flight_at_once_never_swap(tmp_path: Path, prompts: list[str]) -> None:
    async def ask_all(client: anthropic.AsyncAnthropic) -> list[str]:
        async def one(prompt: str) -> str:
            async with client.messages.stream(**ask(prompt)) as stream:
                return await stream.get_final_text()

        return await asyncio.gather(*map(one, prompts))

    with Upstream(Numbered()) as upstream, recorder.Tap(tmp_path) as tap:
        async with anthropic.AsyncAnthropic(base_url=upstream.url, api_key="k") as client:
            live = await ask_all(tap.wrap(client))

    replay = recorder.replay(tmp_path)
    async with replay.async_client() as client:
        replayed = await ask_all(client)

    if prompts[0] == "same":  # whichever task is first to send gets the answer to what was sent first
        assert [stream.id for stream in replay.served] == [stream.id for stream in replay.streams]
        assert sorted(replayed) == sorted(live)
    else:
        assert replayed == live == prompts
    sent = [stream.request.mono for stream in replay.streams]
    assert sent == sorted(sent)


def test_recorded_timing_is_the_recorded_timing(tmp_path: Path) -> None:
    with Upstream([Reply.sse(EVENTS, first=60 * MS, gap=40 * MS)]) as upstream, recorder.Tap(tmp_path) as tap:
        with anthropic.Anthropic(base_url=upstream.url, api_key="k") as client:
            [*tap.wrap(client).messages.create(**ask(), stream=True)]

    def arrivals(**options: Any) -> list[float]:
        with recorder.replay(tmp_path, **options).client() as client:
            start = time.perf_counter()
            return [time.perf_counter() - start for _ in client.messages.create(**ask(), stream=True)]

    recorded = [event.at / 1e9 for event in next(recorder.open(tmp_path).streams()).events]
    real, double = arrivals(timing="recorded"), arrivals(timing="recorded", speed=2)
    assert all(late >= due for late, due in zip(real, recorded, strict=True))
    assert all(late >= due / 2 for late, due in zip(double, recorded, strict=True))
    assert double[-1] < recorded[-1]
    assert arrivals(timing="recorded", idle_limit=0.001)[-1] < recorded[-1] / 2
    assert arrivals()[-1] < recorded[-1] / 2


class TestNoMatch:
    @pytest.fixture
    def recording(self, tmp_path: Path) -> Path:
        record(tmp_path, BROKEN["whole"](), "create")
        return tmp_path

    def test_it_says_what_differs_and_comes_at_once(self, recording: Path) -> None:
        with recorder.replay(recording).client(max_retries=5) as client:
            with pytest.raises(recorder.NoMatch) as caught:
                client.messages.create(**ask("hello", stop_sequences=["x"]), stream=True)

        assert caught.value.kind == "differs"
        assert caught.value.differences == (
            '$.messages[0].content: "hi" recorded, "hello" asked',
            '$.stop_sequences: ["x"] asked, absent in the recording',
        )
        assert str(recording) in str(caught.value)

    def test_what_was_served_is_not_served_again(self, recording: Path) -> None:
        with recorder.replay(recording).client() as client:
            read(client, "create")
            with pytest.raises(
                recorder.NoMatch, match=r"recorded 1 time\(s\), and served as often already"
            ) as caught:
                client.messages.create(**ask(), stream=True)

        assert caught.value.kind == "served"

    async def test_it_reaches_an_async_test_unwrapped(self, recording: Path) -> None:
        async with recorder.replay(recording).async_client() as client:
            with pytest.raises(recorder.NoMatch):
                await client.messages.create(**ask("x"))

    def test_volatile_fields_do_not_count(self, recording: Path) -> None:
        with recorder.replay(recording).client() as client:
            assert [*client.messages.create(**ask(metadata={"user_id": "u7"}), stream=True)]

    def test_another_base_url_does_not_count(self, recording: Path) -> None:
        with recorder.replay(recording).client(base_url="https://gateway.example/anthropic") as client:
            assert [*client.messages.create(**ask(), stream=True)]


def test_reading_on_where_the_recorded_client_stopped_is_an_error(tmp_path: Path) -> None:
    with Upstream([Reply.sse(EVENTS, gap=5 * MS)]) as upstream, recorder.Tap(tmp_path) as tap:
        with anthropic.Anthropic(base_url=upstream.url, api_key="k") as client:
            with tap.wrap(client).messages.create(**ask(), stream=True) as stream:
                next(iter(stream))

    with (
        recorder.replay(tmp_path).client() as client,
        pytest.raises(recorder.EndOfRecording, match="closed it here"),
    ):
        [*client.messages.create(**ask(), stream=True)]


def test_an_encoded_body_replays_decoded_and_a_broken_one_breaks(tmp_path: Path) -> None:
    attempt = Attempt(stream="s", call="c", attempt=0, secrets=Secrets())
    packed = gzip.compress(b"".join(map(encode_event, EVENTS)))
    headers = [("content-type", "text/event-stream"), ("content-encoding", "gzip")]
    body = json.dumps({**ask(), "stream": True}).encode()
    records = [
        Header(format=FORMAT, v=1, segment="x", wall=0, mono=0, recorder="0"),
        attempt.request(wall=0, mono=0, method="POST", url="/v1/messages", headers=[], body=body),
        attempt.response(at=1, status=200, headers=headers),
        *attempt.chunk(2, 0, packed[:30]),
        *attempt.chunk(3, 0, b"\xff" * 20),
        *attempt.end(4, 0, "closed"),
    ]
    (tmp_path / "s.jsonl").write_bytes(b"".join(map(encode_line, records)))

    with recorder.replay(tmp_path).client() as client, pytest.raises(httpx2.DecodingError):
        [*client.messages.create(**ask(), stream=True)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timing": "slow"}, "timing is 'slow'; it is 'instant' or 'ordered' or 'recorded'"),
        ({"clock": None}, "clock is None; it is 'real' or 'virtual'"),
        ({"speed": 0}, "speed is 0"),
        ({"speed": -1}, "speed is -1"),
        ({"sped": 2}, "unexpected option 'sped'; a replay has timing, speed, idle_limit, "),
        ({"hint": "?"}, "unexpected option 'hint'"),
    ],
)
@pytest.mark.parametrize("made", [recorder.replay, recorder.use])
def test_wrong_options_are_refused_when_made(
    tmp_path: Path, made: Any, options: dict[str, Any], message: str
) -> None:
    record(tmp_path, BROKEN["whole"](), "create")

    with pytest.raises(TypeError if "unexpected" in message else ValueError, match=f"^{message}"):
        made(tmp_path, **options)


def test_every_option_stands_in_the_help() -> None:
    told = re.findall(r"(\w+)=", inspect.getdoc(recorder.replay) or "")

    assert told == [*ReplayOptions.__annotations__]
