"""Twenty questions, five at a time."""

import asyncio

import anthropic

places = asyncio.Semaphore(5)


async def ask(client: anthropic.AsyncAnthropic, question: str) -> str:
    async with (
        places,
        client.messages.stream(
            model="claude-haiku-4-5", max_tokens=256, messages=[{"role": "user", "content": question}]
        ) as stream,
    ):
        return await stream.get_final_text()


async def main() -> None:
    async with anthropic.AsyncAnthropic() as client:
        questions = [f"What is {n} squared?" for n in range(1, 21)]
        for answer in await asyncio.gather(*(ask(client, question) for question in questions)):
            print(answer)


asyncio.run(main())
