"""One call of the SDK, made as an application makes it, and all that the application got to see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import anthropic
from msgspec import Struct

from recorder.log.reader import find_segments
from recorder.log.streams import read_streams
from recorder.tap.tagging import tags

HEADER = "x-recorder-demo"
"""Tells the upstream which call a request belongs to. It is on no allow-list, so no recording has it."""

Method = Literal["create", "stream", "plain"]
"""`create(stream=True)`, `messages.stream()`, or `create()`, which does not stream."""


class Call(Struct, frozen=True, kw_only=True):
    """A call to make. `request`: the arguments of the method."""

    scenario: str
    client: Literal["sync", "async"]
    method: Method
    request: dict[str, Any]

    @property
    def style(self) -> str:
        return f"{self.client} {self.method}"

    @property
    def name(self) -> str:
        return f"{self.scenario}, {self.style}"

    def tags(self) -> dict[str, str]:
        """What its recorded streams are tagged with."""
        return {"scenario": self.scenario, "call": self.style}


class Failure(Struct, frozen=True, kw_only=True):
    """An exception that came out of the SDK: its dotted class name and its message."""

    type: str
    message: str


class Answer(Struct, kw_only=True):
    """What the application saw. `events` and `message` are the SDK's own objects, equal when all their fields are.

    `message` is the final one of `messages.stream()` and of a plain call that did not fail; None for others.
    """

    call: Call
    events: list[Any]
    message: Any = None
    error: Failure | None = None


class Update(Struct, frozen=True, kw_only=True):
    """How far a call is. `text`: what came with this update. `error`: the exception's class, when `done`."""

    call: Call
    state: Literal["sent", "streaming", "done"]
    events: int = 0
    text: str = ""
    error: str | None = None


Progress = Callable[[Update], None]
"""Called on every event, on the thread that reads it."""


def calls_of(recordings: Path) -> list[Call]:
    """Each recorded call in every style: sync and async; streamed, through both methods; else plain."""
    calls: list[Call] = []
    for path in find_segments(recordings):
        for stream in read_streams([path], report=lambda _: None):
            if stream.request.attempt:
                continue
            request = dict(stream.request.body)
            methods: tuple[Method, ...] = ("create", "stream") if request.pop("stream", False) else ("plain",)
            calls += [
                Call(scenario=path.stem, client=client, method=method, request=request)
                for client in ("sync", "async")
                for method in methods
            ]
    return calls


def ask(client: anthropic.Anthropic, call: Call, progress: Progress) -> Answer:
    """Make the call and read all of the answer. Whatever the SDK raises is part of the answer."""
    answer = Answer(call=call, events=[])
    progress(Update(call=call, state="sent"))
    arguments = _arguments(call)
    try:
        with tags(**call.tags()):
            if call.method == "plain":
                answer.message = client.messages.create(**arguments)
            elif call.method == "create":
                with client.messages.create(**arguments, stream=True) as events:
                    for event in events:
                        _see(answer, event, progress)
            else:
                with client.messages.stream(**arguments) as stream:
                    for event in stream:
                        _see(answer, event, progress)
                    answer.message = stream.current_message_snapshot
    except Exception as error:
        answer.error = _failure(error)
    progress(_done(answer))
    return answer


async def ask_async(client: anthropic.AsyncAnthropic, call: Call, progress: Progress) -> Answer:
    """The same in a task."""
    answer = Answer(call=call, events=[])
    progress(Update(call=call, state="sent"))
    arguments = _arguments(call)
    try:
        with tags(**call.tags()):
            if call.method == "plain":
                answer.message = await client.messages.create(**arguments)
            elif call.method == "create":
                async with await client.messages.create(**arguments, stream=True) as events:
                    async for event in events:
                        _see(answer, event, progress)
            else:
                async with client.messages.stream(**arguments) as stream:
                    async for event in stream:
                        _see(answer, event, progress)
                    answer.message = stream.current_message_snapshot
    except Exception as error:
        answer.error = _failure(error)
    progress(_done(answer))
    return answer


def _arguments(call: Call) -> Any:
    """`Any`: what was recorded is not known to have the types of the method's parameters."""
    return {**call.request, "extra_headers": {HEADER: call.name}}


def _see(answer: Answer, event: Any, progress: Progress) -> None:
    answer.events.append(event)
    text = ""
    if event.type == "content_block_delta" and event.delta.type == "text_delta":
        text = event.delta.text
    progress(Update(call=answer.call, state="streaming", events=len(answer.events), text=text))


def _failure(error: Exception) -> Failure:
    kind = type(error)
    return Failure(type=f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}", message=str(error))


def _done(answer: Answer) -> Update:
    error = answer.error.type.rpartition(".")[2] if answer.error else None
    return Update(call=answer.call, state="done", events=len(answer.events), error=error)
