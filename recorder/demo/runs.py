"""All calls at once, sync ones in threads and async ones in a loop: first live, then answered by the recording."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anthropic
import httpx2
from msgspec import Struct

from recorder.log.reader import Problem, RecordingError, find_segments
from recorder.log.streams import Stream, read_streams
from recorder.replayer.session import Replay
from recorder.tap.middleware import Tap
from recorder.testing import Received, Reply, Upstream, answer_from

from .calls import HEADER, Answer, Call, Progress, ask, ask_async, calls_of

Attempt = tuple[str, int]
"""The name of a call, and 0 or which retry."""


class Run(Struct, kw_only=True):
    """What came of all calls. `recording`: the directory with what the tap wrote."""

    recording: Path
    answers: list[Answer]
    seconds: float
    sent: dict[Attempt, bytes]
    """The body that the upstream sent in answer to each request; nothing when there was no upstream."""

    def streams(self) -> dict[Attempt, Stream]:
        """What was recorded, by call and attempt. Raises RecordingError."""
        streams = read_streams(find_segments(self.recording), report=_refuse)
        return {(_name(stream), stream.request.attempt): stream for stream in streams}


def fixtures() -> Path:
    """The packaged recordings: inside the package where it is installed, beside it in a checkout.

    Raises RecordingError where neither is.
    """
    package = Path(__file__).parents[1]
    places = (package / "fixtures", package.parent / "fixtures")
    found = next((place for place in places if any(place.glob("*.jsonl"))), None)
    if found is None:
        raise RecordingError(places[0], "the packaged recordings are missing", "install sse-recorder again")
    return found


def record(directory: Path, *, speed: float = 1.0, progress: Progress = lambda _: None) -> Run:
    """Answer every call from the packaged recordings, over HTTP and in recorded timing, with the tap on.

    `speed` divides the times. Raises RecordingError when the packaged recordings cannot be read, and what went
    wrong in the upstream.
    """
    source = fixtures()
    answer = answer_from(source)
    sent: dict[Attempt, bytes] = {}

    def note_and_answer(received: Received) -> Reply:
        reply = answer(received)
        headers = dict(received.headers)
        attempt = int(headers.get("x-stainless-retry-count", "0"))
        sent[headers[HEADER], attempt] = b"".join(step.data for step in reply.steps)
        return reply

    with Upstream(note_and_answer, speed=speed) as upstream, Tap(directory, source="synthetic") as tap:
        # Without a transport of their own they take the environment's proxies, whatever `trust_env` says.
        sync_http = anthropic.DefaultHttpxClient(transport=httpx2.HTTPTransport(), trust_env=False)
        async_http = anthropic.DefaultAsyncHttpxClient(transport=httpx2.AsyncHTTPTransport(), trust_env=False)
        began = time.perf_counter()
        answers = _ask_all(
            calls_of(source),
            tap.wrap(anthropic.Anthropic(**_options(upstream.url), http_client=sync_http)),
            tap.wrap(anthropic.AsyncAnthropic(**_options(upstream.url), http_client=async_http)),
            progress,
        )
        seconds = time.perf_counter() - began
    return Run(recording=directory, answers=answers, seconds=seconds, sent=sent)


def replay(live: Run, directory: Path, *, progress: Progress = lambda _: None) -> Run:
    """The calls of `live` once more, answered at once by its recording; they are recorded as well.

    Raises RecordingError when that recording cannot be read.
    """
    player = Replay(live.recording)
    url = "http://offline.invalid"
    with Tap(directory, source="synthetic") as tap:
        began = time.perf_counter()
        answers = _ask_all(
            [answer.call for answer in live.answers],
            tap.wrap(player.client(**_options(url))),
            tap.wrap(player.async_client(**_options(url))),
            progress,
        )
        seconds = time.perf_counter() - began
    return Run(recording=directory, answers=answers, seconds=seconds, sent={})


def _options(url: str) -> dict[str, Any]:
    """Said outright, so that nothing in the environment (a key, a base URL, a proxy) has a say."""
    return {"base_url": url, "api_key": "demo-no-key-needed", "timeout": 60.0}


def _ask_all(
    calls: Sequence[Call], client: anthropic.Anthropic, async_client: anthropic.AsyncAnthropic, progress: Progress
) -> list[Answer]:
    """Each sync call in a thread of its own, all async ones in one loop; answers in the order of `calls`.

    The threads are daemons: a process that is interrupted does not wait for them.
    """
    answers: dict[str, Answer] = {}

    def one(call: Call) -> None:
        answers[call.name] = ask(client, call, progress)

    async def many(asynchronous: Sequence[Call]) -> None:
        async with async_client:
            for answer in await asyncio.gather(
                *(ask_async(async_client, call, progress) for call in asynchronous)
            ):
                answers[answer.call.name] = answer

    def loop() -> None:
        asyncio.run(many([call for call in calls if call.client == "async"]))

    threads = [threading.Thread(target=one, args=(call,), daemon=True) for call in calls if call.client == "sync"]
    threads.append(threading.Thread(target=loop, daemon=True))
    with client:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return [answers[call.name] for call in calls]


def _name(stream: Stream) -> str:
    tags = stream.request.tags or {}
    return f"{tags.get('scenario')}, {tags.get('call')}"


def _refuse(problem: Problem) -> None:
    raise RecordingError(problem.path, problem.reason, line=problem.line)
