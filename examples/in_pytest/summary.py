"""Summarises a text with Claude, showing each word as it comes. Half a summary is none: it asks again."""

from __future__ import annotations

import time
from collections.abc import Callable

import anthropic
import httpx2

AGAIN = (anthropic.APIConnectionError, anthropic.InternalServerError, httpx2.TransportError)


class NoSummaryError(Exception):
    """Claude gave no whole answer, however often it was asked."""


def summarise(
    claude: anthropic.Anthropic,
    text: str,
    *,
    show: Callable[[str], object] = print,
    sleep: Callable[[float], object] = time.sleep,
    attempts: int = 3,
) -> str:
    for attempt in range(attempts):
        try:
            with claude.messages.stream(
                model="claude-haiku-4-5",
                max_tokens=200,
                messages=[{"role": "user", "content": f"In one sentence: {text}"}],
            ) as stream:
                for piece in stream.text_stream:
                    show(piece)
                message = stream.get_final_message()
        except anthropic.APIStatusError as error:
            if error.status_code not in (200, 529):  # 200: an error event in the middle of the stream
                raise
        except AGAIN:
            pass
        else:
            if message.stop_reason == "end_turn":  # None: the stream ended early, and nothing was raised
                return "".join(block.text for block in message.content if block.type == "text")
        sleep(2**attempt)
    raise NoSummaryError(f"no whole answer in {attempts} attempts")
