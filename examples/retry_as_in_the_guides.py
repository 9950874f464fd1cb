"""The retry that guides recommend: catch the SDK's connection error around the stream, and ask again.

recorder check -- python examples/retry_as_in_the_guides.py
"""

import time

import anthropic

client = anthropic.Anthropic()


def ask(prompt: str, attempts: int = 3) -> str:
    for attempt in range(attempts):
        try:
            with client.messages.stream(
                model="claude-haiku-4-5",
                max_tokens=1024,
                messages=[{"role": "user", "content": prompt}],
            ) as stream:
                return stream.get_final_text()
        except anthropic.APIConnectionError:
            time.sleep(2**attempt)
    raise SystemExit("Claude cannot be reached.")


print(ask("Why is the sky blue?"))
