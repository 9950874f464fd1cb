"""What a request is compared by, and how a replay is asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import anthropic
import pytest

import recorder
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
    assert caught.value.differences == ('$.messages[0].content: "hi" recorded, "now it is 12:31" asked',)

    replay = recorder.replay(path, ignore=["messages.content"])
    assert len(list(replay.client().messages.create(**other, stream=True))) == len(EVENTS)
    with pytest.raises(recorder.NoMatch, match="served as often already"):
        list(replay.client().messages.create(**other, stream=True))
