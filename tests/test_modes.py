"""One recording in use: what each mode sends, answers, keeps and refuses."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import anthropic
import pytest

import recorder
from recorder.taking import MODES, Mode
from recorder.testing import Reply, Upstream, message_events

HI = message_events("Hel", "lo")
BYE = message_events("Good", "bye")


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("RECORDER_MODE", raising=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "there" / "talk.jsonl"


def ask(upstream: Upstream, text: str = "hi") -> str:
    with anthropic.Anthropic(api_key="live", base_url=upstream.url, max_retries=0) as client:
        with client.messages.stream(**question(text)) as stream:
            return stream.get_final_text()


def question(text: str) -> dict[str, Any]:
    return {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": text}]}


def prompts(path: Path) -> list[str]:
    return [stream.request.body["messages"][0]["content"] for stream in recorder.open(path).streams()]


def files(path: Path) -> list[str]:
    return sorted(one.name for one in path.parent.iterdir())


def record(path: Path, *texts: str) -> None:
    with Upstream([Reply.sse(HI)] * len(texts)) as upstream, recorder.use(path, "record"):
        for text in texts:
            ask(upstream, text)


def test_once_records_the_first_time_and_replays_ever_after(path: Path) -> None:
    with Upstream([Reply.sse(HI)]) as upstream:
        with recorder.use(path, "once") as first:
            assert ask(upstream) == "Hello"
        with recorder.use(path, "once") as second:
            assert ask(upstream) == "Hello"
        assert len(upstream.received) == 1
    assert (first.mode, second.mode) == ("rewrite", "replay")
    assert files(path) == ["talk.jsonl"]
    assert path.stat().st_mode & 0o777 == 0o600
    [stream] = recorder.open(path).streams()
    assert stream.end is not None
    assert stream.end.complete
    assert stream.timing().ttft_s is not None


def test_async_clients_are_recorded_and_replayed_alike(path: Path) -> None:
    async def ask_async(upstream: Upstream) -> str:
        async with recorder.use(path, "once"):
            async with anthropic.AsyncAnthropic(api_key="live", base_url=upstream.url) as client:
                async with client.messages.stream(**question("hi")) as stream:
                    return await stream.get_final_text()

    with Upstream([Reply.sse(HI)]) as upstream:
        assert asyncio.run(ask_async(upstream)) == asyncio.run(ask_async(upstream)) == "Hello"
        assert len(upstream.received) == 1


def test_append_answers_what_it_has_and_adds_what_it_has_not(path: Path) -> None:
    record(path, "hi")
    with Upstream([Reply.sse(BYE)]) as upstream, recorder.use(path, "append"):
        assert ask(upstream, "hi") == "Hello"
        assert ask(upstream, "bye") == "Goodbye"
    assert prompts(path) == ["hi", "bye"]
    assert files(path) == ["talk.jsonl"]


def test_append_after_a_killed_process_does_not_glue(path: Path) -> None:
    record(path, "hi")
    with path.open("ab") as file:
        file.write(b'{"kind":"request","stre')
    with Upstream([Reply.sse(BYE)]) as upstream, recorder.use(path, "append"):
        ask(upstream, "bye")
    recording = recorder.open(path)
    assert [stream.request.body["messages"][0]["content"] for stream in recording.streams()] == ["hi", "bye"]
    assert [problem.kind for problem in recording.problems] == ["torn"]


def test_rewrite_takes_effect_only_when_the_test_passed(path: Path) -> None:
    record(path, "old")
    before = path.read_bytes()
    with Upstream([Reply.sse(HI), Reply.sse(HI)]) as upstream:
        with pytest.raises(AssertionError, match="my own"):
            with recorder.use(path, "rewrite"):
                ask(upstream, "new")
                raise AssertionError("my own")
        assert path.read_bytes() == before
        assert files(path) == ["talk.jsonl", "talk.jsonl.failed"]
        assert prompts(path.with_name("talk.jsonl.failed")) == ["new"]
        with recorder.use(path, "rewrite"):
            ask(upstream, "new")
    assert prompts(path) == ["new"]


def test_a_first_run_that_fails_leaves_no_recording_to_replay(path: Path) -> None:
    with Upstream([Reply.sse(HI)]) as upstream, pytest.raises(ZeroDivisionError), recorder.use(path, "once"):
        ask(upstream)
        _ = 1 / 0
    assert files(path) == ["talk.jsonl.failed"]


@pytest.mark.parametrize("mode", ["once", "append", "rewrite", "record", "replay", "verify"])
def test_a_file_that_cannot_be_read_is_never_overwritten(path: Path, mode: Mode) -> None:
    path.parent.mkdir()
    path.write_bytes(b"my diary\n")
    with Upstream([Reply.sse(HI)]) as upstream, pytest.raises(recorder.RecordingError, match="not a recording"):
        with recorder.use(path, mode) as used:
            ask(upstream)
            assert used.mode == "record"
            assert used._tap is not None
            assert used._tap.stats().errors == 1
            recorder.open(path).stream("")
    assert path.read_bytes() == b"my diary\n"


def test_record_adds_whatever_the_outcome(path: Path) -> None:
    record(path, "hi")
    with Upstream([Reply.sse(HI)]) as upstream, pytest.raises(ZeroDivisionError), recorder.use(path, "record"):
        ask(upstream, "hi")
        _ = 1 / 0
    assert prompts(path) == ["hi", "hi"]


def test_passthrough_records_nothing(path: Path) -> None:
    with Upstream([Reply.sse(HI)]) as upstream, recorder.use(path, "passthrough"):
        assert ask(upstream) == "Hello"
    assert not path.exists()


def test_replay_needs_the_recording_and_says_how_to_get_it(path: Path) -> None:
    with pytest.raises(recorder.RecordingError, match="no such recording; record it: RECORDER_MODE=append"):
        recorder.use(path).__enter__()


def test_replay_asks_nobody(path: Path) -> None:
    record(path, "hi")
    with Upstream([Reply.sse(HI)]) as upstream:
        with (
            recorder.use(path),
            pytest.raises(recorder.NoMatch, match="RECORDER_MODE=append adds what is missing"),
        ):
            ask(upstream, "something else")
        assert not upstream.received


def test_retries_are_attempts_of_one_call(path: Path) -> None:
    with Upstream([Reply.error(529, "overloaded_error", "no"), Reply.sse(HI)]) as upstream:
        with recorder.use(path, "once"):
            with anthropic.Anthropic(api_key="live", base_url=upstream.url, max_retries=1) as client:
                assert len(list(client.messages.create(**question("hi"), stream=True))) == len(HI)
    streams = sorted(recorder.open(path).streams(), key=lambda stream: stream.request.attempt)
    assert [stream.request.attempt for stream in streams] == [0, 1]
    assert len({stream.call for stream in streams}) == 1


def test_verify_says_what_is_new_and_what_is_gone(path: Path) -> None:
    record(path, "hi", "bye")
    changed = [*message_events("Other ", "words ", "altogether")]
    changed[0]["message"]["container"] = None
    del changed[-2]["delta"]["stop_sequence"]
    changed.insert(-1, {"type": "model_mood", "mood": "fine"})
    with Upstream([Reply.sse(HI), Reply.sse(changed)]) as upstream:
        with pytest.raises(recorder.Drift) as caught:
            with recorder.use(path, "verify"):
                ask(upstream, "hi")
                ask(upstream, "bye")
    told = [line.partition(": ")[2] for line in caught.value.differences]
    assert told == [
        "order: message_delta -> message_stop: recorded, not live",
        "order: message_delta -> model_mood: live, not recorded",
        "order: model_mood -> message_stop: live, not recorded",
        "field: message_delta $.delta.stop_sequence: recorded, not live",
        "field: message_start $.message.container: live, not recorded",
        "field: model_mood $.mood: live, not recorded",
        "field: model_mood $.type: live, not recorded",
    ]
    assert prompts(path) == ["hi", "bye"]


def test_verify_passes_when_only_the_words_differ(path: Path) -> None:
    record(path, "hi")
    with Upstream([Reply.sse(message_events("Quite ", "other ", "words"))]) as upstream:
        with recorder.use(path, "verify"):
            assert ask(upstream) == "Quite other words"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "once"),
        ({"CI": "true"}, "replay"),
        ({"CI": "false"}, "once"),
        ({"CI": "1", "RECORDER_MODE": "append"}, "append"),
    ],
)
def test_the_environment_has_the_last_word(
    path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert recorder.use(path, "once").mode == expected


def test_what_cannot_be_meant_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="mode is 'all'; it is one of replay, once"):
        recorder.use(path, "all")  # type: ignore[arg-type]
    for mode in set(MODES) - {"replay", "passthrough"}:
        with pytest.raises(ValueError, match=r"writes one file: name one that ends in \.jsonl"):
            recorder.use(path.parent, mode)
    monkeypatch.setenv("RECORDER_MODE", "new")
    with pytest.raises(ValueError, match="mode is 'new'"):
        recorder.use(path)


@pytest.mark.parametrize("mode", ["replay", "append", "rewrite"])
def test_a_recording_that_nothing_came_through_is_an_alarm(path: Path, mode: Mode) -> None:
    record(path, "hi")
    with pytest.raises(recorder.NothingIntercepted, match="1 client"), recorder.use(path, mode):
        anthropic.Anthropic(api_key="none")
    with recorder.use(path, mode):
        pass  # nobody made a client: nobody meant to ask
    assert prompts(path) == ["hi"]


def test_a_client_made_by_the_replay_in_use_raises_no_alarm(path: Path) -> None:
    record(path, "hi")
    with recorder.use(path) as use:
        assert use.replay is not None
        with use.replay.client() as client:
            with client.messages.stream(**question("hi")) as stream:
                assert stream.get_final_text() == "Hello"


def test_the_alarm_does_not_hide_the_error_of_the_test(path: Path) -> None:
    record(path, "hi")
    with pytest.raises(ZeroDivisionError), recorder.replay(path):
        anthropic.Anthropic(api_key="none")
        _ = 1 / 0
    with pytest.raises(recorder.NothingIntercepted), recorder.replay(path):
        anthropic.AsyncAnthropic(api_key="none")


def test_nothing_is_left_in_the_temporary_directory(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", os.fspath(tmp_path))
    with Upstream([Reply.sse(HI)]) as upstream, recorder.use(path, "once"):
        ask(upstream)
    assert [one.name for one in tmp_path.iterdir()] == ["there"]


def test_claude_on_a_platform_is_recorded_too(path: Path) -> None:
    def ask_vertex(upstream: Upstream) -> str:
        vertex = anthropic.AnthropicVertex(
            region="us-east5", project_id="p1", access_token="live", base_url=f"{upstream.url}/v1", max_retries=0
        )
        with vertex.messages.stream(**question("hi")) as stream:
            return stream.get_final_text()

    with Upstream([Reply.sse(HI)]) as upstream:
        for mode in ("rewrite", "replay"):
            with recorder.use(path, mode):
                assert ask_vertex(upstream) == "Hello"
        assert len(upstream.received) == 1
