"""The same, with the async client."""

import asyncio

import anthropic


async def main() -> None:
    async with (
        anthropic.AsyncAnthropic() as client,
        client.messages.stream(
            model="claude-haiku-4-5",
            max_tokens=1024,
            messages=[{"role": "user", "content": "Write a haiku about tasks."}],
        ) as stream,
    ):
        async for text in stream.text_stream:
            print(text, end="", flush=True)
    print()


asyncio.run(main())
