"""What a request is compared by, and how a replay is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest

import recorder
from recorder.replayer.asked import Asked
from recorder.testing import Reply, Upstream, message_events

EVENTS = message_events("Hel", "lo ", "world")


def ask(text: str = "hi", **more: Any) -> dict[str, Any]:
    return {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": text}], **more}


def test_as_a_decorator_each_call_begins_anew(tmp_path: Path) -> None:
    with Upstream([Reply.sse(EVENTS)]) as upstream, recorder.Tap(path := tmp_path / "r.jsonl") as tap:
        with anthropic.Anthropic(api_key="live", base_url=upstream.url) as client:
            list(tap.wrap(client).messages.create(**ask(), stream=True))

    @recorder.replay(path)
    def ask_it(prompt: str) -> str:
        with anthropic.Anthropic(api_key="none").messages.stream(**ask(prompt)) as stream:
            return stream.get_final_text()

    @recorder.replay(path)
    async def ask_it_async() -> str:
        async with anthropic.AsyncAnthropic(api_key="none").messages.stream(**ask()) as stream:
            return await stream.get_final_text()

    assert ask_it("hi") == ask_it(prompt="hi") == asyncio.run(ask_it_async()) == "Hello world"


def test_fields_can_be_left_out_of_the_comparison(tmp_path: Path) -> None:
    with Upstream([Reply.sse(EVENTS)]) as upstream, recorder.Tap(path := tmp_path / "r.jsonl") as tap:
        with anthropic.Anthropic(api_key="live", base_url=upstream.url) as client:
            list(tap.wrap(client).messages.create(**ask(), stream=True))

    other = {**ask(), "messages": [{"role": "user", "content": "now it is 12:31"}]}
    with recorder.replay(path) as strict, pytest.raises(recorder.NoMatch) as caught:
        list(strict.client().messages.create(**other, stream=True))
    error = caught.value
    assert error.differences == ('$.messages[0].content: "hi" recorded, "now it is 12:31" asked',)
    assert (error.nearest, error.sdk) == (strict.streams[0].id, anthropic.__version__)
    assert error.age_s is not None
    assert 0 < error.age_s < 3600
    assert error.fix == "Record it again if the change is meant."
    assert str(error).endswith(f"{error.differences[0]}\n{error.fix}")

    replay = recorder.replay(path, ignore=["messages.content"])
    assert len(list(replay.client().messages.create(**other, stream=True))) == len(EVENTS)
    with pytest.raises(recorder.NoMatch, match="served as often already"):
        list(replay.client().messages.create(**other, stream=True))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A recording of two questions to two upstreams, one of them asked twice."""
    path = tmp_path / "r.jsonl"
    answers = [message_events(text) for text in ("one", "two", "three")]
    with Upstream([Reply.sse(one) for one in answers]) as upstream, recorder.Tap(path) as tap:
        with anthropic.Anthropic(api_key="live", base_url=upstream.url) as client:
            for question in (ask("It is 12:31. Hi"), ask("It is 12:32. Hi"), ask("It is 12:33. Bye")):
                list(tap.wrap(client).messages.create(**question, stream=True))
    return path


def answer(replay: recorder.Replay, question: dict[str, Any]) -> str:
    with replay.client().messages.stream(**question) as stream:
        return stream.get_final_text()


def but_for_the_time(recorded: Asked, asked: Asked) -> Iterator[str]:
    """A custom matcher: what differs but for the clock in the prompt."""
    for ours, theirs in zip(recorded.body["messages"], asked.body["messages"], strict=True):
        if ours["content"][13:] != theirs["content"][13:]:
            yield f"{ours['content'][13:]!r} is not {theirs['content'][13:]!r}"


def test_a_matcher_of_ones_own_says_what_is_equal_and_why_not(path: Path) -> None:
    with recorder.replay(path, match=but_for_the_time) as replay:
        assert answer(replay, ask("It is 09:00. Bye")) == "three"
        assert answer(replay, ask("It is 09:01. Hi")) == "one"
        with pytest.raises(recorder.NoMatch) as differs:
            answer(replay, ask("It is 09:02. Ho"))
        assert answer(replay, ask("It is 09:03. Hi")) == "two"
        with pytest.raises(recorder.NoMatch) as served:
            answer(replay, ask("It is 09:04. Hi"))

    assert (differs.value.kind, served.value.kind) == ("differs", "served")
    assert differs.value.differences == ("'Hi' is not 'Ho'",)
    assert "recorded 2 time(s), and served as often already" in str(served.value)
    assert replay.unused == []


def test_a_matcher_may_be_stricter_and_build_on_the_usual_differences(path: Path) -> None:
    def same_beta(recorded: Asked, asked: Asked) -> list[str]:
        beta = "anthropic-beta"
        other = recorded.headers.get(beta) != asked.headers.get(beta)
        return [*recorded.differences(asked), *(["another beta"] if other else [])]

    replay = recorder.replay(path, match=same_beta)
    assert answer(replay, ask("It is 12:31. Hi")) == "one"
    other = replay.client(default_headers={"anthropic-beta": "files-api-2025-04-14"})
    with pytest.raises(recorder.NoMatch) as caught:
        other.messages.create(**ask("It is 12:32. Hi"), stream=True)
    assert caught.value.differences == ("another beta",)


@pytest.mark.parametrize(
    ("matcher", "said"),
    [
        (lambda recorded, asked: 1 / 0, "raised ZeroDivisionError: division by zero"),
        (lambda recorded, asked: True, "it returns the reasons why not, as texts, or None; it returned True"),
        (lambda recorded, asked: [1], "as texts, or None; it returned [1]"),
    ],
)
def test_a_matcher_that_fails_is_told_at_once_and_unwrapped(path: Path, matcher: Any, said: str) -> None:
    with recorder.replay(path, match=matcher) as replay, pytest.raises(recorder.NoMatch) as caught:
        answer(replay, ask())
    assert caught.value.kind == "matcher"
    assert said in str(caught.value)
    assert replay.served == []


def test_a_recording_in_use_is_matched_by_it_too(path: Path) -> None:
    with recorder.use(path, "replay", match=but_for_the_time) as used:
        with anthropic.Anthropic(api_key="none").messages.stream(**ask("It is 23:59. Bye")) as stream:
            assert stream.get_final_text() == "three"
    assert len(used.unused) == 2


def test_a_fault_follows_a_request_whose_ignored_field_changes_with_each_attempt(path: Path) -> None:
    """`ignore` says which requests are the same: also which one is a retry of another."""
    question = ask("It is 12:31. Hi")
    replay = recorder.replay(path, ignore=["messages"], faults="cut_dirty(at=2,times=1)")
    with pytest.raises(Exception, match="peer closed"):
        answer(replay, question)
    assert answer(replay, ask("It is 12:32. Hi")) == "one"
    assert [stream.id for stream in replay.served] == [replay.streams[0].id]
