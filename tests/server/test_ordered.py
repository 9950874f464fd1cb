"""`ordered` over HTTP: a client that reads several streams at once sees their events in the recorded order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import anthropic
import pytest

import recorder
from recorder.replayer.session import Replay
from recorder.server.app import Server
from recorder.server.player import Player
from recorder.testing import Received, Reply, Upstream, message_events
from tests.replayer.test_ordered import Seen, interleaved, order_in, prompts_of, read
from tests.replayer.written import MS, write
from tests.server.running import running


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has to be waited for out of patience, is waited for without end: such a test hangs and fails."""
    monkeypatch.setattr("recorder.replayer.order.Order.nudge", lambda *_: None)


@asynccontextmanager
async def served(path: Path, **options: Any) -> AsyncIterator[str]:
    """On the event loop of the clients: what reads gets its turn before the server writes on, however busy all is."""
    server = Server(Player(Replay(path, timing="ordered", **options)))
    try:
        yield await server.listen("127.0.0.1", 0)
    finally:
        await server.close(5)


async def asked_all(url: str, prompts: list[str]) -> Seen:
    seen: Seen = []
    async with anthropic.AsyncAnthropic(base_url=url, api_key="none") as client:
        await asyncio.gather(*(read(client, prompt, seen) for prompt in prompts))
    return seen


async def read_all(path: Path, prompts: list[str]) -> Seen:
    async with served(path) as url:
        return await asked_all(url, prompts)


async def test_the_interleaving_is_the_recorded_one_whatever_the_order_of_the_requests(tmp_path: Path) -> None:
    random = Random(3)
    path = write(tmp_path / "a.jsonl", interleaved(12, random=random))
    prompts = [f"p{number}" for number in range(12)]
    for _ in range(3):
        random.shuffle(prompts)
        assert prompts_of(await read_all(path, prompts)) == order_in(path)


async def test_what_was_live_comes_again(tmp_path: Path) -> None:
    prompts = [str(number) for number in range(10)]

    def reply(request: Received) -> Reply:
        prompt = request.json()["messages"][0]["content"]
        random = Random(prompt)
        first, gap = random.randrange(20, 40) * MS, random.randrange(2, 9) * MS
        return Reply.sse(message_events(prompt, "x", "y"), first=first, gap=gap)

    live: Seen = []
    with Upstream(reply) as upstream, recorder.Tap(tmp_path / "a.jsonl") as tap:
        async with anthropic.AsyncAnthropic(base_url=upstream.url, api_key="k") as client:
            await asyncio.gather(*(read(tap.wrap(client), prompt, live) for prompt in prompts))

    assert prompts_of(await read_all(tmp_path / "a.jsonl", prompts)) == order_in(tmp_path)


async def test_all_of_it_is_served_again_in_its_order(tmp_path: Path) -> None:
    prompts = [f"p{number}" for number in range(5)]
    path = write(tmp_path / "a.jsonl", interleaved(5, random=Random(4)))
    async with served(path, repeat=True) as url:
        for _ in range(3):
            assert prompts_of(await asked_all(url, prompts)) == order_in(path)


def test_a_client_elsewhere_has_the_time_to_read_one_before_the_other_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recorder.server.player.APART_S", 0.02)  # a busy machine needs more than the client
    prompts = [f"p{number}" for number in range(3)]
    path = write(tmp_path / "a.jsonl", interleaved(3, random=Random(5)))
    wanted, seen = order_in(path), [""]
    with running(Player(Replay(path, timing="ordered", repeat=True))) as server:
        for _ in range(10):
            seen = prompts_of(asyncio.run(asked_all(server.url, prompts)))
            if seen == wanted:
                break
    assert seen == wanted
