"""The same, with the async client."""

import asyncio

import anthropic


async def main() -> None:
    async with anthropic.AsyncAnthropic() as client:
        events = await client.messages.create(
            model="claude-haiku-4-5",
            max_tokens=1024,
            messages=[{"role": "user", "content": "Name three lakes."}],
            stream=True,
        )
        async for event in events:
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                print(event.delta.text, end="", flush=True)
            elif event.type == "message_stop":
                print("\n[the end]")


asyncio.run(main())
