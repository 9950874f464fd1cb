"""What Claude thinks, and then what it says."""

import anthropic

client = anthropic.Anthropic()

with client.messages.stream(
    model="claude-haiku-4-5",
    max_tokens=4096,
    thinking={"type": "enabled", "budget_tokens": 2048},
    messages=[{"role": "user", "content": "Should the latency we report include retries?"}],
) as stream:
    for event in stream:
        if event.type == "content_block_start":
            print(f"--- {event.content_block.type}")
        elif event.type == "thinking":
            print(event.thinking, end="", flush=True)
        elif event.type == "text":
            print(event.text, end="", flush=True)
        elif event.type == "content_block_stop":
            print()
