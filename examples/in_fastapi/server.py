"""Streams Claude to a browser as server-sent events: `token` for each piece, then `done`, or `error`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import anthropic
import httpx2
from fastapi import Depends, FastAPI
from sse_starlette import EventSourceResponse, ServerSentEvent

app = FastAPI()


async def claude() -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic() as client:
        yield client


@app.get("/chat")
async def chat(question: str, client: Annotated[anthropic.AsyncAnthropic, Depends(claude)]) -> EventSourceResponse:
    return EventSourceResponse(answer(client, question))


async def answer(client: anthropic.AsyncAnthropic, question: str) -> AsyncIterator[ServerSentEvent]:
    """A browser cannot tell a stream that broke off from one that ended, so the last event says which."""
    try:
        async with client.messages.stream(
            model="claude-haiku-4-5",
            max_tokens=200,
            messages=[{"role": "user", "content": question}],
        ) as stream:
            async for piece in stream.text_stream:
                yield ServerSentEvent(piece, event="token")
            message = await stream.get_final_message()
    except (anthropic.APIError, httpx2.TransportError):
        yield ServerSentEvent("Claude broke off.", event="error")
        return
    if message.stop_reason is None:
        yield ServerSentEvent("Claude stopped early.", event="error")
    else:
        yield ServerSentEvent(message.stop_reason, event="done")
