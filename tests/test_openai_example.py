"""OpenAI's client as an example of any other HTTP client that reads server-sent events."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import recorder
from recorder.testing import Reply, Upstream
from recorder.testing.contract.colours import all_of, got, run

openai: Any = pytest.importorskip("openai", reason="needs openai, which needs a newer httpx2 than the lowest")
EXAMPLES = Path(__file__).parents[1] / "examples"
MS = 1_000_000
KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz"


def openai_reply() -> Reply:
    """As OpenAI's API streams a chat completion: no names of events, and no JSON at the end."""
    chunk = b'data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}\n\n'
    return Reply.sse(
        [*(chunk % text for text in (b"Hel", b"lo", b"!")), b"data: [DONE]\n\n"], first=20 * MS, gap=30 * MS
    )


@pytest.mark.slow
def test_the_openai_example_records_measures_and_replays(tmp_path: Path) -> None:
    with Upstream([openai_reply()]) as upstream:
        environment = {**os.environ, "OPENAI_BASE_URL": f"{upstream.url}/v1", "OPENAI_API_KEY": KEY}
        done = subprocess.run(
            [sys.executable, EXAMPLES / "openai_client.py", "r"],
            cwd=tmp_path, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        asked = len(upstream.received)

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("live:     Hello!\nreplayed: Hello!\n")
    assert asked == 1
    (stream,) = recorder.open(tmp_path / "r").streams()
    timing = stream.timing()
    assert (timing.outcome, timing.events, timing.ttft_s) == ("complete", 4, None)
    assert timing.first_event_s is not None
    assert 0.02 <= timing.first_event_s < (timing.duration_s or 0)
    (row,) = [line for line in done.stdout.splitlines() if "complete" in line]
    median = float(row.split("│")[4])
    assert 0.015 < median < 1
    assert KEY.encode() not in b"".join(path.read_bytes() for path in (tmp_path / "r").iterdir())


@pytest.mark.parametrize("colour", ["sync", "asyncio"])
def test_openais_clients_are_recorded_and_replayed(colour: str, tmp_path: Path) -> None:
    sync = colour == "sync"
    client = openai.OpenAI if sync else openai.AsyncOpenAI
    http = openai.DefaultHttpxClient if sync else openai.DefaultAsyncHttpxClient

    async def ask(transport: object, url: str) -> str:
        one = client(http_client=http(transport=transport), api_key=KEY, base_url=url, max_retries=0)  # type: ignore[arg-type]
        answer = one.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True)
        text = "".join([chunk.choices[0].delta.content or "" for chunk in await all_of(answer)])
        await got(one.close())
        return text

    with Upstream([openai_reply()]) as upstream, recorder.Tap(tmp_path / "r") as tap:
        url = f"{upstream.url}/v1"
        assert run(colour, lambda: ask(recorder.TapTransport(tap), url)) == "Hello!"

    assert run(colour, lambda: ask(recorder.replay(tmp_path / "r").transport, url)) == "Hello!"
