"""Real runs of pytest, with the plugin, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

from recorder.testing import Reply, Upstream, message_events

HEAD = """
import os, asyncio, unittest
import anthropic, pytest

client = anthropic.Anthropic(api_key="live", base_url=os.environ["UPSTREAM"], max_retries=0)

def ask(text, client=client):
    messages = [{"role": "user", "content": text}]
    with client.messages.stream(model="claude-test", max_tokens=9, messages=messages) as stream:
        return stream.get_final_text()

async def ask_async(text):
    async with anthropic.AsyncAnthropic(api_key="live", base_url=os.environ["UPSTREAM"], max_retries=0) as client:
        messages = [{"role": "user", "content": text}]
        async with client.messages.stream(model="claude-test", max_tokens=9, messages=messages) as stream:
            return await stream.get_final_text()
"""
Done = subprocess.CompletedProcess[str]


def run_pytest(directory: Path, *args: str, upstream: Upstream | None = None, **environment: str) -> Done:
    """`pytest ARGS` in `directory`; what the tests find in UPSTREAM answers nothing when none is given."""
    installed = any(point.value == "recorder.pytest_plugin" for point in entry_points(group="pytest11"))
    plugin = () if installed else ("-p", "recorder.pytest_plugin")
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CI", "RECORDER_"))
    }
    url = upstream.url if upstream else "http://127.0.0.1:1"
    without = ("-p", "no:cacheprovider", "-p", "no:randomly")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, *without, "-q", *args],
        cwd=directory,
        env={**kept, "UPSTREAM": url, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def outcome(done: Done) -> str:
    """`2 passed, 1 failed`."""
    return done.stdout.rstrip().splitlines()[-1].partition(" in ")[0]


def hello(times: int) -> Upstream:
    return Upstream([Reply.sse(message_events("Hel", "lo"))] * times)
