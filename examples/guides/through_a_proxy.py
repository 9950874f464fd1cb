"""By way of the HTTP proxy of the company, given to the client."""

import os

import anthropic

client = anthropic.Anthropic(
    http_client=anthropic.DefaultHttpxClient(proxy=os.environ.get("COMPANY_PROXY", "http://127.0.0.1:3128"))
)

with client.messages.stream(
    model="claude-haiku-4-5",
    max_tokens=1024,
    messages=[{"role": "user", "content": "Can you hear me?"}],
) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
print()
