"""The checks of the contract find what is wrong, and say it. (What is right, our own tests give them.)"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

import recorder
from recorder.testing.contract import (
    FRAMING,
    SCENARIOS,
    Dispatched,
    Saw,
    check_calls,
    check_framing,
    check_lossless,
    check_record_of_replay,
    check_transparent,
)
from recorder.testing.contract.colours import each
from recorder.testing.contract.transparent import ASK

FIXTURES = Path(__file__).parents[2] / "fixtures"


def wrapped(handle: Callable[[anthropic.APIRequest, Any], Any]) -> Callable[[Any], Any]:
    """A tap of somebody else's, for sync clients."""

    class Middleware(anthropic.Middleware):
        def handle(self, request: anthropic.APIRequest, call_next: Any) -> Any:
            return handle(request, call_next)

    return lambda client: client.with_middleware(Middleware())


class Cut(httpx2.SyncByteStream):
    """A body of which the last chunk is lost, or that joins its chunks."""

    def __init__(self, body: httpx2.SyncByteStream, *, join: bool) -> None:
        self.body, self.join = body, join

    def __getattr__(self, name: str) -> Any:
        return getattr(self.body, name)

    def __iter__(self) -> Any:
        chunks = [*self.body]
        yield from [b"".join(chunks)] if self.join else chunks[:-1]

    def close(self) -> None:
        self.body.close()


def spoiling(*, join: bool) -> Callable[[Any], Any]:
    def handle(request: anthropic.APIRequest, call_next: Any) -> Any:
        response = call_next(request)
        response.http_response.stream = Cut(response.http_response.stream, join=join)
        return response

    return wrapped(handle)


@pytest.mark.slow
def test_a_tap_that_changes_nothing_is_transparent() -> None:
    names = ["normal", "error event", "cut", "429 then 200", "400"]
    assert (
        check_transparent(
            wrapped(lambda request, call_next: call_next(request)), scenarios=names, colours=["sync"]
        )
        == 25
    )


def test_a_loop_at_rest_in_this_thread_keeps_no_stream_open(tmp_path: Path) -> None:
    """As a browser leaves one between the tests that use it."""

    async def left_open(client: Any, saw: Saw) -> None:
        async for event in each(client.messages.create(**ASK, stream=True)):
            saw["items"].append(event.to_dict())
            break

    loop = asyncio.new_event_loop()
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(loop._asyncgen_firstiter_hook, loop._asyncgen_finalizer_hook)  # type: ignore[attr-defined]
    try:
        with recorder.Tap(tmp_path) as tap:
            check_calls(tap.wrap, "sync", [(SCENARIOS["silence"], left_open)])
    finally:
        sys.set_asyncgen_hooks(*hooks)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    assert [stream.end is None for stream in recorder.open(tmp_path).streams()] == [False, False]


def test_a_tap_that_reads_ahead_or_loses_a_chunk_is_found() -> None:
    with pytest.raises(AssertionError) as joined:
        check_transparent(spoiling(join=True), scenarios=["normal"], colours=["sync"])
    assert str(joined.value).startswith(
        "normal: sync, call 2 (chunks): what is seen is not what a plain client sees:"
    )

    with pytest.raises(AssertionError) as lost:
        check_transparent(spoiling(join=False), scenarios=["normal"], colours=["sync"])
    assert str(lost.value).startswith("normal: sync, call 0 (events): ")
    assert "message_stop" in str(lost.value)


def test_a_tap_that_asks_twice_is_found() -> None:
    def twice(request: anthropic.APIRequest, call_next: Any) -> Any:
        call_next(request).http_response.close()
        return call_next(request)

    with pytest.raises(AssertionError, match="normal: "):
        check_transparent(wrapped(twice), scenarios=["normal"], colours=["sync"])


def test_the_checks_notice_when_there_is_nothing_to_check(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes((FIXTURES / "text.jsonl").read_bytes().splitlines(keepends=True)[0])
    checks: list[Callable[[], object]] = [
        lambda: check_transparent(lambda client: client, scenarios=[]),
        lambda: check_framing(lambda chunks: [], {}),
        lambda: check_lossless(lambda chunks: chunks, {}),
        lambda: check_record_of_replay(tmp_path),
    ]
    for check in checks:
        with pytest.raises(AssertionError, match="nothing was checked"):
            check()


def test_a_parser_that_forgets_what_a_chunk_left_over_is_found() -> None:
    def chunk_by_chunk(chunks: list[bytes]) -> list[Dispatched]:
        found = [re.findall(rb"event: (.*)\ndata: (.*)\n\n", chunk) for chunk in chunks]
        return [(name.decode(), data.decode(), "") for one in found for name, data in one]

    with pytest.raises(AssertionError, match=r"^a message, cut byte by byte:\n  bytes    b'event: message_start"):
        check_framing(chunk_by_chunk)


def test_a_recorder_that_joins_chunks_or_loses_bytes_is_found() -> None:
    with pytest.raises(
        AssertionError, match=r"chunk 0 of \d+ was b'e' and came back as .*; the bytes are all there"
    ):
        check_lossless(lambda chunks: [b"".join(chunks)])
    with pytest.raises(AssertionError, match=r"came back as None; the bytes are others"):
        check_lossless(lambda chunks: chunks[:-1])


def test_every_body_that_is_checked_comes_back_through_the_tap(tmp_path: Path) -> None:
    bodies: dict[str, list[bytes]] = {}

    class Chunks(httpx2.SyncByteStream):
        def __init__(self, chunks: list[bytes]) -> None:
            self.chunks = chunks

        def __iter__(self) -> Any:
            yield from self.chunks

    def answer(request: httpx2.Request) -> httpx2.Response:
        chunks = bodies[request.url.path]
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Chunks(chunks))

    def note(chunks: list[bytes]) -> list[bytes]:
        bodies[f"/{len(bodies)}"] = chunks
        return chunks

    check_lossless(note)
    with recorder.Tap(tmp_path) as tap:
        transport = recorder.TapTransport(tap, httpx2.MockTransport(answer))
        with httpx2.Client(transport=transport, base_url="http://127.0.0.1") as http:
            for path in bodies:
                http.get(path)
    back = {stream.url: [chunk.data for chunk in stream.chunks()] for stream in recorder.open(tmp_path).streams()}
    assert len(bodies) > 5 * len(FRAMING)
    assert {url.removeprefix("http://127.0.0.1"): chunks for url, chunks in back.items()} == bodies


def test_a_recording_that_does_not_say_what_it_replays_is_found(tmp_path: Path) -> None:
    """As another implementation might write it: the characters counted wrongly."""
    text = (FIXTURES / "text.jsonl").read_text("utf-8")
    wrong = re.sub(r'("delta":"text_delta","chars":)(\d+)', r"\g<1>1\2", text, count=1)
    assert wrong != text
    (tmp_path / "wrong.jsonl").write_text(wrong, "utf-8")

    with pytest.raises(
        AssertionError, match=r"wrong\.jsonl: stream \w+: record \d+ \(event\): chars 1\d+ came again as"
    ):
        check_record_of_replay(tmp_path / "wrong.jsonl")
