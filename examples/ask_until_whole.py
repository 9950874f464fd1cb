"""An answer is whole when it has a stop reason; all else is asked for again, after a while.

recorder check -- python examples/ask_until_whole.py
"""

import time

import anthropic
import httpx2

client = anthropic.Anthropic(timeout=httpx2.Timeout(60, read=3))  # silence for this long is the end of a stream
AGAIN = (anthropic.APIConnectionError, anthropic.APIStatusError, httpx2.TransportError)


def ask(prompt: str, attempts: int = 3) -> str:
    for attempt in range(attempts):
        try:
            with client.messages.stream(
                model="claude-haiku-4-5",
                max_tokens=1024,
                messages=[{"role": "user", "content": prompt}],
            ) as stream:
                message = stream.get_final_message()
        except AGAIN as error:
            if getattr(error, "status_code", 500) in (400, 401, 403, 404, 413):
                raise
        else:
            if message.stop_reason is not None:
                return "".join(block.text for block in message.content if block.type == "text")
        time.sleep(2**attempt)
    raise SystemExit("No whole answer from Claude.")


print(ask("Why is the sky blue?"))
