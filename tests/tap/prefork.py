"""What gunicorn serves in test_processes.py: an application that asks Claude, with a tap made before the fork."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from anthropic import Anthropic

from recorder import Tap

writer: Any = os.environ["WRITER"]
tap = Tap(os.environ["RECORDINGS"], writer=writer)
client = tap.wrap(Anthropic(base_url=os.environ["UPSTREAM"], api_key="none"))


def ask(number: str) -> str:
    question: Any = [{"role": "user", "content": number}]
    with client.messages.stream(model="claude-test", max_tokens=9, messages=question) as stream:
        return stream.get_final_text()


ask("master")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("content-type", "text/plain")])
    return [f"{os.getpid()} {ask(environ['PATH_INFO'])}".encode()]
