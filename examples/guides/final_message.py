"""Streamed, so that a long answer runs into no timeout; what is wanted is the whole message."""

import anthropic

client = anthropic.Anthropic()

with client.messages.stream(
    model="claude-haiku-4-5",
    max_tokens=1024,
    messages=[{"role": "user", "content": "Explain server-sent events."}],
) as stream:
    message = stream.get_final_message()

for block in message.content:
    if block.type == "text":
        print(block.text)
print(f"{message.stop_reason}: {message.usage.input_tokens} tokens in, {message.usage.output_tokens} out")
