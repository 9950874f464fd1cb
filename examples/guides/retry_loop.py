"""A loop of one's own around an API that is busy: as long as it says, else longer each time."""

import time

import anthropic

client = anthropic.Anthropic(max_retries=0)


def ask(prompt: str, attempts: int = 5) -> str:
    for attempt in range(attempts):
        try:
            with client.messages.stream(
                model="claude-haiku-4-5", max_tokens=1024, messages=[{"role": "user", "content": prompt}]
            ) as stream:
                return stream.get_final_text()
        except (anthropic.RateLimitError, anthropic.InternalServerError) as error:
            print(f"attempt {attempt + 1}: {error.status_code}")
            time.sleep(float(error.response.headers.get("retry-after", 2**attempt)))
    raise SystemExit("Claude is too busy.")


print(ask("Are you there?"))
