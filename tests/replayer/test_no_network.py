"""In `replay` mode nothing is looked up and nothing connects: proven by the interpreter's own audit events."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from .written import Call, write

PROGRAM = """
    import asyncio, sys, threading
    import anthropic, trio, recorder

    path = sys.argv[1]
    ASK = {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": "a"}], "stream": True}
    before, before_async = anthropic.Anthropic(api_key="k"), anthropic.AsyncAnthropic(api_key="k")
    FORBIDDEN = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.bind", "socket.sendto")
    asked = []

    def audit(event, args):
        if event in FORBIDDEN:
            asked.append((event, args[1:]))
            raise PermissionError(event)

    sys.addaudithook(audit)

    async def on(client):
        return sum([1 async for _ in await client.messages.create(**ASK)])

    def off(client):
        return sum(1 for _ in client.messages.create(**ASK))

    def in_thread(client):
        counts = []
        thread = threading.Thread(target=lambda: counts.append(off(client)))
        thread.start()
        thread.join()
        return counts[0]

    ways = {
        "module-level": lambda replay: off(before),
        "module-level, a thread": lambda replay: in_thread(before),
        "module-level, asyncio": lambda replay: asyncio.run(on(before_async)),
        "module-level, trio": lambda replay: trio.run(on, before_async),
        "made inside": lambda replay: off(anthropic.Anthropic(api_key="k")),
        ".client()": lambda replay: off(replay.client()),
        ".async_client()": lambda replay: asyncio.run(on(replay.async_client())),
    }
    for timing in ("instant", "ordered", "recorded"):
        for name, way in ways.items():
            with recorder.replay(path, timing=timing) as replay:
                assert way(replay) == 7, name
                assert not replay.unused, name  # the refused attempt, too
    with recorder.use(path, "replay"):
        assert off(before) == 7
    with recorder.replay(path):
        try:
            before.messages.create(**{**ASK, "max_tokens": 11})
        except recorder.NoMatch:
            pass
    assert not asked, asked
    try:
        off(anthropic.Anthropic(api_key="k", max_retries=0, base_url="http://127.0.0.1:9"))
    except anthropic.APIConnectionError:
        pass
    assert asked, "the hook is deaf"
    print("silent")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    refused = Call(prompt="a", headers_at=5, status=529, at=[6])
    return write(tmp_path / "a.jsonl", [refused, Call(prompt="a", attempt=1, sent=100, at=range(7))])


def test_no_socket_is_opened_and_no_name_is_looked_up(path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(path)], capture_output=True, text=True, check=False
    )

    assert (run.stdout.strip(), run.stderr, run.returncode) == ("silent", "", 0)
