"""Recordings played by the upstream: what a client records of that is what had been recorded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

import recorder
from recorder.testing import (
    Received,
    Reply,
    Step,
    Upstream,
    answer_from,
    encode_event,
    gzip_steps,
    message_events,
    reply_of,
)

MS = 1_000_000
EVENTS = message_events("Hel", "lo", "!")
ASK: dict[str, Any] = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}
OVERLOADED = encode_event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})


def gzipped() -> Reply:
    steps = gzip_steps([Step(at=10 * MS * n, data=encode_event(event)) for n, event in enumerate(EVENTS)])
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    return Reply(headers=headers, steps=steps)


REPLIES: dict[str, Callable[[], Reply]] = {
    "whole": lambda: Reply.sse(EVENTS, headers_at=20 * MS, first=30 * MS, gap=10 * MS),
    "odd bytes": lambda: Reply.sse(
        [b"\xef\xbb\xbf: hi\r\n\r\n", *EVENTS, b"data: \xff"], first=5 * MS, gap=5 * MS
    ),
    "gzip": gzipped,
    "truncated": lambda: Reply.sse(EVENTS[:4], gap=5 * MS),
    "error event": lambda: Reply.sse([*EVENTS[:4], OVERLOADED], gap=5 * MS, end="hang"),
    "cut": lambda: Reply.sse(EVENTS[:4], gap=5 * MS, end="cut", end_at=40 * MS),
    "cut before the declared length": lambda: Reply(
        headers={"content-type": "application/json", "content-length": "100"},
        steps=(Step(at=0, data=b'{"type":'),),
        end="cut",
        end_at=20 * MS,
    ),
    "reset": lambda: Reply.sse(EVENTS[:4], gap=5 * MS, end="reset", end_at=40 * MS),
    "hang": lambda: Reply.sse(EVENTS[:4], gap=5 * MS, end="hang"),
    "no response: cut": lambda: Reply.drop("cut", at=10 * MS),
    "no response: reset": lambda: Reply.drop("reset", at=10 * MS),
    "no response: hang": lambda: Reply.drop("hang"),
    "refused": lambda: Reply.error(529, "overloaded_error", "Overloaded", at=10 * MS),
    "no content": lambda: Reply(status=204, headers=()),
}


def record(path: Path, answer: Callable[[Received], Reply], *, close_after: int | None = None) -> recorder.Stream:
    """One raw request, recorded below the SDK, read to its end or closed after some chunks."""
    timeout = httpx2.Timeout(5, read=0.3)
    with Upstream(answer) as upstream, recorder.Tap(path) as tap:
        with httpx2.Client(transport=recorder.TapTransport(tap), timeout=timeout) as client:
            try:
                with client.stream(
                    "POST", f"{upstream.url}/v1/messages", json={**ASK, "stream": True}
                ) as response:
                    for n, _ in enumerate(response.iter_raw(), 1):
                        if n == close_after:
                            break
            except httpx2.TransportError:
                pass
    (stream,) = recorder.open(path).streams()
    return stream


def told(stream: recorder.Stream) -> dict[str, Any]:
    """All of a stream but its times and what HTTP adds."""
    end, response = stream.end, stream.response
    assert end is not None
    headers = dict(response.headers) if response else {}
    travelling = ("content-encoding", "content-length", "transfer-encoding", "date")
    return {
        "status": response and response.status,
        "headers": {name: value for name, value in headers.items() if name not in travelling},
        "chunks": [chunk.data for chunk in stream.chunks() if chunk.data],
        "end": end.end,
        "complete": end.complete,
        "error": end.error and end.error.type,
    }


@pytest.mark.parametrize("case", REPLIES)
def test_the_recording_of_a_played_recording_is_that_recording(tmp_path: Path, case: str) -> None:
    first = record(tmp_path / "first.jsonl", lambda _: REPLIES[case]())

    again = record(tmp_path / "again.jsonl", answer_from(tmp_path / "first.jsonl"))

    assert told(again) == told(first)


@pytest.mark.parametrize("case", REPLIES)
def test_nothing_comes_before_its_recorded_time(tmp_path: Path, case: str) -> None:
    stream = record(tmp_path / "first.jsonl", lambda _: REPLIES[case]())

    reply = reply_of(stream)

    assert reply.headers_at == (stream.response.at if stream.response else None)
    assert [step.at for step in reply.steps] == [chunk.at for chunk in stream.chunks() if chunk.data]
    assert stream.end is not None
    assert reply.end_at == stream.end.at


def test_a_body_recorded_decoded_is_sent_without_an_encoding(tmp_path: Path) -> None:
    stream = record(tmp_path / "first.jsonl", lambda _: gzipped())

    reply = reply_of(stream)

    assert "content-encoding" not in dict(reply.headers)
    assert b"".join(step.data for step in reply.steps) == b"".join(map(encode_event, EVENTS))


def test_a_stream_that_its_client_closed_is_cut_there_unless_told_otherwise(tmp_path: Path) -> None:
    reply = Reply.sse(EVENTS, gap=5 * MS)
    stream = record(tmp_path / "first.jsonl", lambda _: reply, close_after=3)

    assert (reply_of(stream).end, len(reply_of(stream).steps)) == ("cut", 3)
    assert reply_of(stream, unknown_end="hang").end == "hang"
    assert reply_of(stream, unknown_end="read").end == "read"


def test_a_stream_that_its_client_closed_when_all_was_said_ends_cleanly(tmp_path: Path) -> None:
    for name, events in (("stop", EVENTS), ("error", [*EVENTS[:3], OVERLOADED])):
        reply = Reply.sse(events, gap=5 * MS, end="hang")
        stream = record(tmp_path / f"{name}.jsonl", lambda _, reply=reply: reply, close_after=len(events))
        assert stream.end is not None
        assert (stream.end.end, reply_of(stream).end) == ("closed", "read")


def test_a_stream_that_was_lost_with_its_process_is_cut_where_it_was_lost(tmp_path: Path) -> None:
    path = tmp_path / "first.jsonl"
    record(path, lambda _: Reply.sse(EVENTS, gap=5 * MS))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-3]))  # without the end and two events
    (stream,) = recorder.open(path).streams()

    assert (reply_of(stream).end, reply_of(stream).end_at) == ("cut", None)


def test_an_error_that_the_sdk_did_not_read_ends_cleanly(tmp_path: Path) -> None:
    replies = [
        Reply.error(529, "overloaded_error", "Overloaded", headers={"retry-after-ms": "1"}),
        Reply.sse(EVENTS),
    ]
    with Upstream(replies) as upstream, recorder.Tap(tmp_path / "first.jsonl") as tap:
        with anthropic.Anthropic(base_url=upstream.url, api_key="none") as client:
            list(tap.wrap(client).messages.create(**ASK, stream=True))

    with (
        Upstream(answer_from(tmp_path)) as upstream,
        anthropic.Anthropic(base_url=upstream.url, api_key="none") as client,
    ):
        for _ in range(3):
            assert [event.type for event in client.messages.create(**ASK, stream=True)] == [
                e["type"] for e in EVENTS
            ]
        retries = [dict(one.headers)["x-stainless-retry-count"] for one in upstream.received]

    assert retries == ["0", "1"] * 3


def test_without_repeat_each_stream_is_served_once(tmp_path: Path) -> None:
    record(tmp_path / "first.jsonl", lambda _: Reply.sse(EVENTS))
    with pytest.raises(recorder.NoMatch, match="served as often already"):
        with Upstream(answer_from(tmp_path, repeat=False)) as upstream:
            for expected in (200, 500):
                answer = httpx2.post(f"{upstream.url}/v1/messages", json={**ASK, "stream": True}, trust_env=False)
                assert answer.status_code == expected


def test_a_request_that_was_not_recorded_is_refused_and_told_by_the_upstream(tmp_path: Path) -> None:
    record(tmp_path / "first.jsonl", lambda _: Reply.sse(EVENTS))
    with pytest.raises(recorder.NoMatch, match="max_tokens: 10 recorded, 11 asked"):
        with Upstream(answer_from(tmp_path)) as upstream:
            asked = {**ASK, "max_tokens": 11, "stream": True}
            answer = httpx2.post(f"{upstream.url}/v1/messages", json=asked, trust_env=False)
            assert answer.status_code == 500


def test_what_cannot_be_read_of_a_recording_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "first.jsonl"
    record(path, lambda _: Reply.sse(EVENTS))
    with path.open("ab") as file:
        file.write(b'{"kind":"req')
    with pytest.warns(UserWarning, match=r"first\.jsonl"):
        answer_from(path)


def test_a_body_that_could_not_be_decoded_has_no_script(tmp_path: Path) -> None:
    broken = gzipped()
    broken = Reply(headers=broken.headers, steps=(*broken.steps[:3], Step(at=30 * MS, data=b"\xff" * 20)))
    stream = record(tmp_path / "first.jsonl", lambda _: broken)

    with pytest.raises(ValueError, match="could not be decoded"):
        reply_of(stream)


def test_only_these_two_need_the_library_and_the_sdk() -> None:
    program = (
        "import sys, recorder.testing as t; t.Upstream; "
        "print('anthropic' in sys.modules); t.answer_from; print('anthropic' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]
