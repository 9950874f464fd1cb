"""A conversation that remembers what was said; an answer that broke off is not remembered."""

from __future__ import annotations

import anthropic
from anthropic.types import MessageParam


class Chat:
    def __init__(self, claude: anthropic.Anthropic) -> None:
        self._claude = claude
        self.said: list[MessageParam] = []

    def say(self, text: str) -> str:
        asked: list[MessageParam] = [*self.said, {"role": "user", "content": text}]
        with self._claude.messages.stream(model="claude-haiku-4-5", max_tokens=200, messages=asked) as stream:
            message = stream.get_final_message()
        if message.stop_reason is None:
            raise EOFError("the answer broke off")
        answer = "".join(block.text for block in message.content if block.type == "text")
        self.said = [*asked, {"role": "assistant", "content": answer}]
        return answer
