"""Recordings that are not whole, and requests that are told apart by more than their body."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

import recorder
from recorder.core.attempt import Attempt
from recorder.core.lines import encode_line
from recorder.core.records import FORMAT, Header, Record
from recorder.core.redact import Secrets
from recorder.replayer.schedule import Pace
from recorder.testing import Reply, Upstream, encode_event, message_events

ASK: dict[str, Any] = {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
HEADER = Header(format=FORMAT, v=1, segment="x", wall=0, mono=0, recorder="0")
EVENTS = [encode_event(event) for event in message_events("a", "b", "c")]


def attempt(name: str = "s") -> tuple[Attempt, list[Record]]:
    one = Attempt(stream=name, call=name, attempt=0, secrets=Secrets())
    body = b'{"model":"claude-test","max_tokens":10,"messages":[{"role":"user","content":"hi"}],"stream":true}'
    return one, [
        one.request(wall=0, mono=0, method="POST", url="/v1/messages", headers=[], body=body),
        one.response(at=1, status=200, headers=[("content-type", "text/event-stream")]),
    ]


def write(path: Path, records: list[Record]) -> Path:
    path.write_bytes(b"".join(map(encode_line, [HEADER, *records])))
    return path


def read(path: Path) -> list[str]:
    seen: list[str] = []
    with recorder.replay(path).client() as client:
        for event in client.messages.create(**ASK, stream=True):
            seen.append(event.type)
    return seen


def test_a_gap_ends_the_replay(tmp_path: Path) -> None:
    one, records = attempt()
    records += one.chunk(2, 0, EVENTS[0]) + one.gap(3, 7, 99, "queue full") + one.chunk(4, 0, EVENTS[-1])
    path = write(tmp_path / "r.jsonl", records + one.end(5, 0, "read"))

    with pytest.raises(recorder.EndOfRecording, match="7 chunks were not recorded from here on"):
        read(path)


def test_a_missing_record_ends_the_replay(tmp_path: Path) -> None:
    one, records = attempt()
    for n, event in enumerate(EVENTS):
        records += one.chunk(n, 0, event)
    records += one.end(99, 0, "read")
    del records[4:6]

    with pytest.raises(recorder.EndOfRecording, match="records 4 to 5 were not recorded from here on"):
        read(write(tmp_path / "r.jsonl", records))


def test_a_client_that_stopped_at_message_stop_missed_nothing(tmp_path: Path) -> None:
    one, records = attempt()
    for n, event in enumerate(EVENTS):
        records += one.chunk(n, 0, event)
    path = write(tmp_path / "r.jsonl", records + one.end(99, 0, "closed"))

    assert read(path)[-1] == "message_stop"


def test_a_torn_line_before_a_restart_is_a_torn_line(tmp_path: Path) -> None:
    (_, first), (two, second) = attempt("a"), attempt("b")
    body = [two.chunk(n, 0, event) for n, event in enumerate(EVENTS)]
    whole = b"".join(
        map(encode_line, [HEADER, *second, *(r for part in body for r in part), *two.end(9, 0, "read")])
    )
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"".join(map(encode_line, [HEADER, *first])) + b'{"kind":"ev\n' + whole)

    recording = recorder.open(path)

    assert [stream.id for stream in recording.streams()] == ["b", "a"]
    assert [(problem.kind, problem.line) for problem in recording.problems] == [("torn", 4)]


def test_idle_limit_looks_at_chunks_and_never_goes_back(tmp_path: Path) -> None:
    one, records = attempt()
    for n, byte in enumerate(EVENTS[0]):
        records += one.chunk((n + 1) * 10**9, 0, bytes([byte]))
    records += one.chunk(10**12, 0, EVENTS[1]) + one.end(10**12, 0, "closed")
    [stream] = recorder.open(write(tmp_path / "r.jsonl", records)).streams()

    pace = Pace(stream, "recorded", 1.0, 2.0)

    assert [pace.due(chunk.at) for chunk in stream.chunks()[:-1]] == [chunk.at for chunk in stream.chunks()[:-1]]
    assert pace.due(10**12) == stream.chunks()[-2].at + 2 * 10**9
    with pytest.raises(ValueError, match="idle_limit is -1"):
        recorder.replay(tmp_path, idle_limit=-1)


def test_query_parameters_tell_requests_apart(tmp_path: Path) -> None:
    def models(request: Any) -> Reply:
        return Reply.json(200, {"data": [], "has_more": False, "first_id": request.target, "last_id": None})

    def ask(client: anthropic.Anthropic) -> list[Any]:
        return [client.models.list().first_id, client.models.list(limit=5).first_id]

    with Upstream(models) as upstream, recorder.Tap(tmp_path) as tap:
        with anthropic.Anthropic(base_url=upstream.url, api_key="k") as client:
            live = ask(tap.wrap(client))

    with recorder.replay(tmp_path).client() as client:
        assert ask(client) == live
    with recorder.replay(tmp_path).client() as client:
        assert ask(client)[::-1] == live[::-1]


def test_an_upload_replays_though_its_boundary_differs(tmp_path: Path) -> None:
    answer = {"id": "file_1", "type": "file", "filename": "a.txt", "mime_type": "text/plain", "size_bytes": 1, "created_at": "2026-01-01T00:00:00Z"}  # fmt: skip

    def upload(client: anthropic.Anthropic) -> str:
        return client.beta.files.upload(file=("a.txt", b"x", "text/plain")).id

    with Upstream([Reply.json(200, answer)]) as upstream, recorder.Tap(tmp_path) as tap:
        with anthropic.Anthropic(base_url=upstream.url, api_key="k") as client:
            assert upload(tap.wrap(client)) == "file_1"

    with recorder.replay(tmp_path).client() as client:
        assert upload(client) == "file_1"


def test_a_prompt_with_half_a_pair_does_not_spoil_the_others(tmp_path: Path) -> None:
    with Upstream([Reply.sse(message_events("a"))]) as upstream, recorder.Tap(tmp_path) as tap:
        with anthropic.Anthropic(base_url=upstream.url, api_key="k") as client:
            with pytest.raises(UnicodeEncodeError):
                tap.wrap(client).messages.create(**{**ASK, "messages": [{"role": "user", "content": "\ud83d"}]})
            [*tap.wrap(client).messages.create(**ASK, stream=True)]

    assert read(tmp_path)[-1] == "message_stop"


def test_the_value_of_the_key_in_use_matches_in_a_body(tmp_path: Path) -> None:
    ask = {**ASK, "messages": [{"role": "user", "content": "is an-unusual-key mine?"}]}
    with Upstream([Reply.sse(message_events("a"))]) as upstream, recorder.Tap(tmp_path) as tap:
        with anthropic.Anthropic(base_url=upstream.url, api_key="an-unusual-key") as client:
            [*tap.wrap(client).messages.create(**ask, stream=True)]

    with recorder.replay(tmp_path).client(api_key="an-unusual-key") as client:
        assert [*client.messages.create(**ask, stream=True)]


def test_the_clock_of_the_wall_does_not_order_equal_requests(tmp_path: Path) -> None:
    lines = [HEADER]
    for n, wall in enumerate((2_000, 1_000)):  # the wall clock was set back in between
        one = Attempt(stream=f"s{n}", call="c", attempt=0, secrets=Secrets())
        body = b'{"model":"claude-test","max_tokens":10,"messages":[{"role":"user","content":"hi"}],"stream":true}'
        lines += [
            one.request(wall=wall, mono=n, method="POST", url="/v1/messages", headers=[], body=body),
            one.response(at=1, status=200, headers=[("content-type", "text/event-stream")]),
            *one.end(2, 0, "read"),
        ]
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"".join(map(encode_line, lines)))

    assert [stream.id for stream in recorder.replay(path).streams] == ["s0", "s1"]


async def test_it_may_be_left_in_another_context_than_it_was_entered_in(tmp_path: Path) -> None:
    one, records = attempt()
    path = write(tmp_path / "r.jsonl", records + one.end(5, 0, "read"))
    replay = recorder.replay(path)

    await asyncio.create_task(replay.__aenter__())
    await asyncio.create_task(replay.__aexit__(None, None, None))

    with pytest.raises(anthropic.APIConnectionError):
        async with anthropic.AsyncAnthropic(base_url="http://127.0.0.1:9", api_key="k", max_retries=0) as client:
            await client.messages.create(**ASK)


def test_a_thread_may_talk_to_its_own_server_while_two_replays_are_active(tmp_path: Path) -> None:
    one, records = attempt()
    path = write(tmp_path / "r.jsonl", records + one.end(5, 0, "read"))
    with Upstream([Reply.json(200, {"mine": True})]) as own:
        with recorder.replay(path), recorder.replay(path):
            answers: list[Any] = []
            thread = threading.Thread(target=lambda: answers.append(httpx2.get(f"{own.url}/health").json()))
            thread.start()
            thread.join()
    assert answers == [{"mine": True}]
