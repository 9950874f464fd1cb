"""The text of an answer, printed as it comes."""

import anthropic

client = anthropic.Anthropic()

with client.messages.stream(
    model="claude-haiku-4-5",
    max_tokens=1024,
    messages=[{"role": "user", "content": "Write a haiku about streams."}],
) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
print()
