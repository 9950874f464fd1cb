"""Every event as the API sends it, without the SDK's accumulation."""

import anthropic

client = anthropic.Anthropic()

events = client.messages.create(
    model="claude-haiku-4-5",
    max_tokens=1024,
    messages=[{"role": "user", "content": "Name three rivers."}],
    stream=True,
)
for event in events:
    match event.type:
        case "message_start":
            print(f"[{event.message.model}, {event.message.usage.input_tokens} tokens in]")
        case "content_block_delta" if event.delta.type == "text_delta":
            print(event.delta.text, end="", flush=True)
        case "message_delta":
            print(f"\n[{event.delta.stop_reason}, {event.usage.output_tokens} tokens out]")
