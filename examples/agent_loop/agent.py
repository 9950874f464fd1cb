"""An agent: asks Claude, runs the tools it calls, tells it the results, until it has an answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import anthropic
import httpx2
from anthropic.types import Message, MessageParam, ToolParam, ToolResultBlockParam, ToolUseBlock

Tool = Callable[..., Any]
TOOLS: list[ToolParam] = [
    {
        "name": "weather",
        "description": "The weather in a city: degrees Celsius, and the sky.",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
]


class BrokenOffError(Exception):
    """Claude broke off in one turn, again and again."""


def run(
    claude: anthropic.Anthropic, task: str, tools: Mapping[str, Tool], *, turns: int = 8
) -> tuple[str, list[MessageParam]]:
    """The answer, and the whole conversation."""
    said: list[MessageParam] = [{"role": "user", "content": task}]
    for _ in range(turns):
        message = whole_turn(claude, said)
        said.append({"role": "assistant", "content": [block.to_dict() for block in message.content]})  # type: ignore[list-item]
        calls = [block for block in message.content if block.type == "tool_use"]
        if message.stop_reason != "tool_use":
            return "".join(block.text for block in message.content if block.type == "text"), said
        said.append({"role": "user", "content": [result_of(call, tools) for call in calls]})
    raise BrokenOffError(f"no answer in {turns} turns")


def whole_turn(claude: anthropic.Anthropic, said: list[MessageParam], attempts: int = 3) -> Message:
    """One turn. Arguments that broke off may still be valid JSON, so no tool runs before the turn is whole."""
    for _ in range(attempts):
        try:
            with claude.messages.stream(
                model="claude-haiku-4-5", max_tokens=500, tools=TOOLS, messages=said
            ) as stream:
                message = stream.get_final_message()
        except (httpx2.TransportError, anthropic.APIConnectionError, anthropic.InternalServerError):
            continue
        except anthropic.APIStatusError as error:
            if error.status_code != 200:  # else an error event in the middle of the stream
                raise
            continue
        except ValueError:  # arguments that are no JSON
            continue
        if message.stop_reason is not None:
            return message
    raise BrokenOffError(f"no whole turn in {attempts} attempts")


def result_of(call: ToolUseBlock, tools: Mapping[str, Tool]) -> ToolResultBlockParam:
    try:
        content, failed = json.dumps(tools[call.name](**call.input)), False
    except Exception as error:  # the model is told, and may do better
        content, failed = repr(error), True
    return {"type": "tool_result", "tool_use_id": call.id, "content": content, "is_error": failed}
