"""What a replay leaves out of the SDK: the sleep before a retry (log and responses stay), the thread before a request."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import anthropic
import anyio
import pytest

import recorder
from recorder.testing import Reply, Upstream, message_events

ASK: dict[str, Any] = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
REFUSED = Reply.error(529, "overloaded_error", "no", headers={"retry-after": "7", "retry-after-ms": "40"})
HELLO = Reply.sse(message_events("Hel", "lo"))


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of each sleep that the SDK asked for."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(time, "sleep", found.append)
    monkeypatch.setattr(anyio, "sleep", sleep)
    return found


def record(path: Path, *replies: Reply) -> None:
    with Upstream([*replies]) as upstream, recorder.Tap(path) as tap:
        with anthropic.Anthropic(base_url=upstream.url, api_key="k", max_retries=1) as client:
            tap.wrap(client).messages.create(**ASK, stream=True).close()


@pytest.mark.parametrize("attempt", [REFUSED, Reply.drop("reset")], ids=["status", "no response"])
async def test_the_log_tells_the_wait_and_nobody_waits(
    tmp_path: Path, attempt: Reply, slept: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    record(tmp_path / "r.jsonl", attempt, HELLO)
    slept.clear()
    with caplog.at_level(logging.INFO, logger="anthropic._base_client"):
        with recorder.replay(tmp_path / "r.jsonl"), anthropic.Anthropic(api_key="k", max_retries=1) as client:
            client.messages.create(**ASK, stream=True).close()
        async with recorder.replay(tmp_path / "r.jsonl").async_client(max_retries=1) as client:
            await (await client.messages.create(**ASK, stream=True)).close()

    assert slept == []
    said = [record.getMessage() for record in caplog.records if "Retrying" in record.getMessage()]
    assert len(said) == 2
    if attempt is REFUSED:
        assert said == ["Retrying request to /v1/messages in 0.040000 seconds"] * 2


def test_the_client_sees_the_recorded_headers_and_no_other(tmp_path: Path) -> None:
    record(tmp_path / "r.jsonl", REFUSED, HELLO)
    replay = recorder.replay(tmp_path / "r.jsonl")
    with replay.client(max_retries=0) as client, pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(**ASK, stream=True)

    recorded = replay.streams[0].response
    assert recorded is not None
    assert dict(caught.value.response.headers) == recorded.headers


@pytest.mark.parametrize("attempt", [REFUSED, Reply.drop("reset")], ids=["status", "no response"])
def test_whoever_asks_the_network_waits(tmp_path: Path, attempt: Reply, slept: list[float]) -> None:
    record(tmp_path / "r.jsonl", HELLO)
    with recorder.replay(tmp_path / "r.jsonl").client() as client:
        client.messages.create(**ASK, stream=True).close()
    slept.clear()
    with Upstream([attempt, HELLO]) as upstream:
        with anthropic.Anthropic(base_url=upstream.url, api_key="k", max_retries=1) as client:
            client.messages.create(**ASK, stream=True).close()

    assert slept == [0.04] if attempt is REFUSED else len(slept) == 1


def test_recorded_timing_waits(tmp_path: Path, slept: list[float]) -> None:
    record(tmp_path / "r.jsonl", REFUSED, HELLO)
    slept.clear()
    with recorder.replay(tmp_path / "r.jsonl", timing="recorded", speed=1e6).client(max_retries=1) as client:
        client.messages.create(**ASK, stream=True).close()
    assert 0.04 in slept


async def test_no_thread_stands_between_a_call_and_its_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path / "r.jsonl", HELLO)

    async def to_thread(*_: Any, **__: Any) -> None:
        raise AssertionError("threads end in any order")

    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    async with recorder.replay(tmp_path / "r.jsonl").async_client() as client:
        await (await client.messages.create(**ASK, stream=True)).close()
