"""Many calls in flight at once: equal ones get the recordings in send order, different ones never swap."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anthropic
import pytest

import recorder

from .written import Call, ask, write

TIMINGS = ("instant", "ordered")


def of_prompt(path: Path, prompts: Iterable[str]) -> Path:
    """A call each, all open at once; what equal ones say tells them apart."""
    calls = enumerate(prompts)
    return write(
        path, [Call(prompt=prompt, says=f"{prompt} {n}", sent=n, at=range(1000, 1006)) for n, prompt in calls]
    )


async def texts_async(client: anthropic.AsyncAnthropic, prompt: str) -> str:
    async with client.messages.stream(**ask(prompt)) as stream:
        return await stream.get_final_text()


def texts(client: anthropic.Anthropic, prompt: str) -> str:
    with client.messages.stream(**ask(prompt)) as stream:
        return stream.get_final_text()


@pytest.mark.parametrize("timing", TIMINGS)
async def test_200_equal_prompts_are_served_in_send_order(tmp_path: Path, timing: str) -> None:
    replay = recorder.replay(of_prompt(tmp_path / "a.jsonl", ["same"] * 200), timing=timing)  # type: ignore[arg-type]

    async with replay.async_client() as client:
        seen = await asyncio.gather(*(texts_async(client, "same") for _ in range(200)))

    assert seen == [f"same {n}:0" for n in range(200)]
    assert replay.served == replay.streams


def test_200_equal_prompts_of_threads_are_each_served_once(tmp_path: Path) -> None:
    replay = recorder.replay(of_prompt(tmp_path / "a.jsonl", ["same"] * 200))
    barrier = threading.Barrier(20)

    def ten(_: int) -> list[str]:
        barrier.wait()
        return [texts(client, "same") for _ in range(10)]

    with replay.client() as client, ThreadPoolExecutor(20) as pool:
        seen = [text for some in pool.map(ten, range(20)) for text in some]

    assert len(set(seen)) == 200
    assert replay.served == replay.streams


@pytest.mark.parametrize("timing", TIMINGS)
async def test_two_prompts_in_flight_never_swap(tmp_path: Path, timing: str) -> None:
    prompts = ["one", "two"] * 25
    path = of_prompt(tmp_path / "a.jsonl", prompts)

    async with recorder.replay(path, timing=timing).async_client() as client:  # type: ignore[arg-type]
        seen = await asyncio.gather(*(texts_async(client, prompt) for prompt in prompts))

    assert [text.split()[0] for text in seen] == prompts
    assert len(set(seen)) == len(prompts)


@pytest.mark.parametrize("timing", TIMINGS)
def test_two_prompts_in_threads_never_swap(tmp_path: Path, timing: str) -> None:
    prompts = ["one", "two"] * 10
    path = of_prompt(tmp_path / "a.jsonl", prompts)
    barrier = threading.Barrier(len(prompts))

    def one(prompt: str) -> str:
        barrier.wait()
        return texts(client, prompt)

    with recorder.replay(path, timing=timing).client() as client, ThreadPoolExecutor(len(prompts)) as pool:  # type: ignore[arg-type]
        seen = [*pool.map(one, prompts)]

    assert [text.split()[0] for text in seen] == prompts
    assert len(set(seen)) == len(prompts)
