"""A loop over the text, taken as the whole answer when it ends.

recorder check -- python examples/loop_taken_as_complete.py
"""

import anthropic

client = anthropic.Anthropic()
answer = ""

try:
    with client.messages.stream(
        model="claude-haiku-4-5",
        max_tokens=1024,
        messages=[{"role": "user", "content": "Why is the sky blue?"}],
    ) as stream:
        for text in stream.text_stream:
            answer += text
except anthropic.APIError as error:
    print(f"Claude said: {error}")
else:
    print(answer)
