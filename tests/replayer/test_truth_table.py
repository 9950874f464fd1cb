"""What the SDK makes of broken streams, line by line, in process and over a socket: both are the same."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
import trio

import recorder
from recorder.testing import Reply, Upstream
from recorder.testing.recorded import FaultyAnswers, taker
from tests.replayer.streams import ASK, IMPATIENT, OPTIONS, TEXTS, WAYS, Outcome, read, read_async, recorded

PLACES = ("in process", "over a socket")
BREAK = 5
"""The event at which streams break: three texts have come."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("recording"))


def options(fault: str) -> dict[str, Any]:
    """A short read timeout where the fault is about one; else one that no busy machine reaches."""
    return IMPATIENT if re.search("hang|seconds=3|rate", fault) else OPTIONS


def run(path: Path, fault: str, where: str, way: str) -> Outcome:
    if where == "in process":
        with recorder.replay(path, faults=fault).client(**options(fault)) as client:
            return read(client, way)
    answers = FaultyAnswers(taker(path), fault)
    with Upstream(answers, on_end=answers.over) as upstream:
        with anthropic.Anthropic(base_url=upstream.url, **options(fault)) as client:
            return read(client, way)


async def run_async(path: Path, fault: str, where: str, way: str) -> Outcome:
    if where == "in process":
        async with recorder.replay(path, faults=fault).async_client(**options(fault)) as client:
            return await read_async(client, way)
    answers = FaultyAnswers(taker(path), fault)
    with Upstream(answers, on_end=answers.over) as upstream:
        async with anthropic.AsyncAnthropic(base_url=upstream.url, **options(fault)) as client:
            return await read_async(client, way)


def seen_before_the_break(way: str) -> list[Any]:
    return list(TEXTS[: BREAK - 2]) if way == "stream" else [
        "message_start", "content_block_start", *["content_block_delta"] * (BREAK - 2)
    ]  # fmt: skip


def check(outcome: Outcome, way: str, line: str) -> None:
    """The truth table itself."""
    seen, end = outcome
    assert [one["type"] if isinstance(one, dict) else one for one in seen] == seen_before_the_break(way)
    if line == "ends cleanly before message_stop":
        if way == "create":
            assert end is None
        else:
            assert end["stop_reason"] is None
            assert end["content"][0]["text"] == "".join(TEXTS[: BREAK - 2])
        return
    kind, message, status, _ = end
    if line == "error event":
        assert (kind, status) == (anthropic.APIStatusError, 200)
        assert "overloaded_error" in message
        return
    assert not issubclass(kind, anthropic.APIError)
    assert kind is {
        "connection closed, chunked body incomplete": httpx2.RemoteProtocolError,
        "reset by peer": httpx2.ReadError,
        "stall past the read timeout": httpx2.ReadTimeout,
        "hang": httpx2.ReadTimeout,
    }[line]  # fmt: skip


TABLE = {
    "ends cleanly before message_stop": f"cut_clean(at={BREAK})",
    "connection closed, chunked body incomplete": f"cut_dirty(at={BREAK})",
    "reset by peer": f"reset(at={BREAK}, after=0.05)",
    "stall past the read timeout": f"stall(at={BREAK}, seconds=3)",
    "hang": f"hang(at={BREAK})",
    "error event": f"error_event(at={BREAK})",
}


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("line", TABLE)
def test_sync(path: Path, line: str, way: str, where: str) -> None:
    check(run(path, TABLE[line], where, way), way, line)


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("line", TABLE)
async def test_async(path: Path, line: str, way: str, where: str) -> None:
    check(await run_async(path, TABLE[line], where, way), way, line)


SAME = [
    *TABLE.values(),
    "reset()",
    "hang()",
    "status(code=529)",
    "status(code=429, retry_after=3)",
    'status(code=400, type=odd_error, message="no: way", headers="x-a: b")',
    "cut_dirty(at=100b)",
    "cut_clean(at=100b)",
    "cut_clean(at=0%)",
    "rechunk(size=1)",
    "rechunk(size=1, up_to=40) seed=3",
    "cut_inside(what=utf8)+cut_inside(what=data)",
    "crlf()+cut_inside(what=crlf)",
    "merge()",
    "drop(at=4)",
    "duplicate(at=4, count=2)",
    "reorder(at=3)",
    "corrupt(at=4)",
    "unknown_event(at=4)+heartbeat(at=5, count=3)+ping(at=6)",
    "unnamed(at=4)",
    "no_message_delta()",
    "no_message_stop()",
    "usage(output_tokens=999999, input_tokens=1)",
    "stop_reason(reason=refusal)",
    "stop_reason(reason=pause_turn)",
    "index_gap(by=2)",
    "slow_close(seconds=3)",
    "ttft(seconds=3)",
    "ttft(seconds=0.05)",
    "jitter(seconds=0.01) seed=5",
    "rate(tokens_per_second=0.2)",
    "stall(at=4, seconds=0.02)+cut_dirty(at=7)",
]


@pytest.mark.parametrize("fault", SAME)
def test_in_process_is_as_over_a_socket_sync(path: Path, fault: str) -> None:
    assert run(path, fault, "in process", "create") == run(path, fault, "over a socket", "create")


@pytest.mark.parametrize("fault", SAME)
async def test_in_process_is_as_over_a_socket_async(path: Path, fault: str) -> None:
    inside, outside = [await run_async(path, fault, where, "stream") for where in PLACES]
    assert inside == outside


@pytest.mark.parametrize("fault", [TABLE["reset by peer"], TABLE["hang"], "cut_dirty(at=4)", "reset()", "hang()"])
def test_in_process_is_as_over_a_socket_on_trio(path: Path, fault: str) -> None:
    inside, outside = (trio.run(run_async, path, fault, where, "create") for where in PLACES)
    assert inside == outside


def on_asyncio(call: Callable[[], Awaitable[Outcome]]) -> Outcome:
    import asyncio

    async def awaited() -> Outcome:
        return await call()

    return asyncio.run(awaited())


@pytest.mark.parametrize("carrier", ["sync", "asyncio", "trio"])
def test_a_refused_connection_is_as_on_a_port_that_nobody_listens_on(path: Path, carrier: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    replay = recorder.replay(path, faults="refuse()")
    given = {**OPTIONS, "base_url": url}

    async def outcome(client: anthropic.AsyncAnthropic) -> Outcome:
        async with client:
            return await read_async(client, "create")

    if carrier == "sync":
        with replay.client(**given) as inside, anthropic.Anthropic(**given) as outside:
            assert read(inside, "create") == read(outside, "create")
        return
    start: Any = trio.run if carrier == "trio" else on_asyncio
    inside, outside = (
        start(partial(outcome, make())) for make in (partial(replay.async_client, **given), partial(anthropic.AsyncAnthropic, **given))
    )  # fmt: skip
    assert inside == outside


def test_a_cut_body_of_declared_length_says_how_much_came(tmp_path: Path) -> None:
    message = {"id": "m", "type": "message", "role": "assistant", "model": "claude-test", "content": [], "stop_reason": None, "usage": {"input_tokens": 1, "output_tokens": 1}}  # fmt: skip
    path = recorded(tmp_path, Reply.json(200, message))
    told: list[str] = []
    for where in PLACES:
        with pytest.raises(httpx2.RemoteProtocolError) as caught:
            read_plain(path, where)
        told.append(str(caught.value))

    assert told[0] == told[1]
    assert f"expected {len(json.dumps(message, separators=(',', ':')))}" in told[0]


def read_plain(path: Path, where: str) -> None:
    ask = {**ASK, "stream": True}
    answers = FaultyAnswers(taker(path), "cut_dirty(at=50%)")
    with Upstream(answers, on_end=answers.over) as upstream:
        transport = recorder.replay(path, faults="cut_dirty(at=50%)").transport if where == "in process" else None
        with httpx2.Client(transport=transport, trust_env=False) as client:
            client.post(f"{upstream.url}/v1/messages", json=ask)
