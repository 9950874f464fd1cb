"""The arguments of a tool, put together from the pieces in which they come."""

import json

import anthropic

client = anthropic.Anthropic()
TOOL = {
    "name": "weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}

names: dict[int, str] = {}
pieces: dict[int, str] = {}
for event in client.messages.create(
    model="claude-haiku-4-5",
    max_tokens=1024,
    tools=[TOOL],
    messages=[{"role": "user", "content": "What is the weather in Bergen?"}],
    stream=True,
):
    if event.type == "content_block_start" and event.content_block.type == "tool_use":
        names[event.index], pieces[event.index] = event.content_block.name, ""
    elif event.type == "content_block_delta" and event.delta.type == "input_json_delta":
        pieces[event.index] += event.delta.partial_json
    elif event.type == "content_block_stop" and event.index in names:
        print(names[event.index], json.loads(pieces[event.index]))
