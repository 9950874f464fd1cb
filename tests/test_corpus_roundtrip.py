"""Real streams, a real server, the real SDK: recorded byte for byte, replayed to the same events."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from random import Random
from typing import Any

import anthropic
import pytest

import recorder
from recorder.testing import Reply, Step, Upstream, chunkings
from tests.corpus import CorpusStream, marker, streams

SLICES = 8
"""The corpus is tested in so many parts, so that two workers share it."""


def ask(number: int) -> dict[str, Any]:
    return {
        "model": "claude-test",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": f"stream {number}"}],
    }


def part(number: int) -> list[tuple[int, CorpusStream]]:
    return [*enumerate(streams())][number::SLICES]


def cut(number: int, one: CorpusStream) -> list[bytes]:
    """As the network delivered it, where that is known; else in one of the seeded ways."""
    if one.chunks is not None:
        return one.chunks
    ways = [chunks for name, chunks in chunkings(one.body, seed=number, random=4) if name != "byte by byte"]
    return Random(number).choice(ways)


def player(number: int) -> Any:
    replies = {
        f"stream {n}": Reply(steps=tuple(Step(at=0, data=chunk) for chunk in cut(n, one)))
        for n, one in part(number)
    }
    return lambda request: replies[json.loads(request.body)["messages"][0]["content"]]


Outcome = tuple[list[Any], Any]


def read_sync(client: anthropic.Anthropic, number: int) -> Outcome:
    events: list[Any] = []
    try:
        events.extend(
            event.to_dict(warnings=False) for event in client.messages.create(**ask(number), stream=True)
        )
        with client.messages.stream(**ask(number)) as stream:
            return events, stream.get_final_message().to_dict(warnings=False)
    except Exception as error:
        return events, (type(error).__name__, str(error))


async def read_async(client: anthropic.AsyncAnthropic, number: int) -> Outcome:
    events: list[Any] = []
    try:
        async for event in await client.messages.create(**ask(number), stream=True):
            events.append(event.to_dict(warnings=False))
        async with client.beta.messages.stream(**ask(number)) as stream:
            return events, (await stream.get_final_message()).to_dict(warnings=False)
    except Exception as error:
        return events, (type(error).__name__, str(error))


@marker
def test_there_is_a_corpus() -> None:
    assert len(streams()) >= 500


@marker
@pytest.mark.slow
@pytest.mark.parametrize("number", range(SLICES))
def test_sync(tmp_path: Path, number: int) -> None:
    with Upstream(player(number)) as upstream, recorder.Tap(tmp_path) as tap:
        with anthropic.Anthropic(base_url=upstream.url, api_key="k", max_retries=0) as client:
            tapped = tap.wrap(client)
            live = {n: read_sync(tapped, n) for n, _ in part(number)}

    check_bodies(tmp_path, number)
    with recorder.replay(tmp_path).client(max_retries=0) as client:
        assert {n: read_sync(client, n) for n, _ in part(number)} == live


@marker
@pytest.mark.slow
@pytest.mark.parametrize("number", range(SLICES))
async def test_async_many_at_once(tmp_path: Path, number: int) -> None:
    async def all_of(client: anthropic.AsyncAnthropic) -> dict[int, Outcome]:
        room = asyncio.Semaphore(16)

        async def one(n: int) -> tuple[int, Outcome]:
            async with room:
                return n, await read_async(client, n)

        return dict(await asyncio.gather(*(one(n) for n, _ in part(number))))

    with Upstream(player(number)) as upstream, recorder.Tap(tmp_path) as tap:
        async with anthropic.AsyncAnthropic(base_url=upstream.url, api_key="k", max_retries=0) as client:
            live = await all_of(tap.wrap(client))

    check_bodies(tmp_path, number)
    async with recorder.replay(tmp_path).async_client(max_retries=0) as client:
        assert await all_of(client) == live


def check_bodies(path: Path, number: int) -> None:
    """Each stream was asked for once or, when the first reading did not fail, twice; all are byte for byte the same."""
    bodies = {f"stream {n}": one.body for n, one in part(number)}
    seen: set[str] = set()
    for stream in recorder.open(path).streams():
        name = stream.request.body["messages"][0]["content"]
        assert stream.body() == bodies[name], name
        assert b"".join(chunk.data for chunk in stream.chunks()) == bodies[name]
        seen.add(name)
    assert seen == set(bodies)
