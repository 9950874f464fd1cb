"""A page that shows Claude's answer while it comes, by an endpoint that sends it on as server-sent events.

    pip install sse-recorder fastapi sse-starlette uvicorn
    python examples/fastapi_app.py              # asks Claude, and records what it says to recordings/
    python examples/fastapi_app.py --offline    # no key and no network: the same answers, in their own times

Five answers at a time come from Claude; who asks meanwhile waits for a place.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anthropic
import httpx2
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

import recorder

RECORDINGS = os.environ.get("RECORDER_DIR", "recordings/")
PAGE = Path(__file__).with_name("fastapi_app.html")
places = asyncio.Semaphore(5)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    if "--offline" in sys.argv:
        async with recorder.replay(RECORDINGS, timing="recorded").async_client() as app.state.claude:
            yield
    else:
        with recorder.Tap(RECORDINGS) as tap:
            async with tap.wrap(anthropic.AsyncAnthropic()) as app.state.claude:
                yield


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def page() -> FileResponse:
    return FileResponse(PAGE)


@app.get("/chat")
async def chat(question: str, request: Request) -> EventSourceResponse:
    return EventSourceResponse(answer(request.app.state.claude, question))


async def answer(claude: anthropic.AsyncAnthropic, question: str) -> AsyncIterator[ServerSentEvent]:
    """`token` for each piece, then `done`; or `failed`: a browser cannot tell half an answer from a whole one."""
    try:
        async with (
            places,
            claude.messages.stream(
                model="claude-haiku-4-5", max_tokens=500, messages=[{"role": "user", "content": question}]
            ) as stream,
        ):
            async for piece in stream.text_stream:
                yield ServerSentEvent(piece, event="token")
            message = await stream.get_final_message()
    except (anthropic.AnthropicError, httpx2.TransportError) as error:
        yield ServerSentEvent(str(error), event="failed")
        return
    yield ServerSentEvent(message.stop_reason or "broken off", event="done" if message.stop_reason else "failed")


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
