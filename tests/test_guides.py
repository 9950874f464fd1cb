"""The examples of the kinds that guides show: recorded and replayed as they are, by the commands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import recorder
from recorder.testing import Received, Reply, Upstream, message_events, reply_of
from tests.forwarding import forward_proxy

ROOT = Path(__file__).parents[1]
RECORDER = Path(sys.executable).with_name("recorder")
EXAMPLES = {path.stem: path for path in sorted((ROOT / "examples" / "guides").glob("*.py"))}
MS = 1_000_000
SAID = {
    "final_message": "You asked: ",
    "raw_events": "[claude-haiku-4-5, 10 tokens in]",
    "retry_loop": "attempt 1: 529\nattempt 2: 429\nYou asked: Are you there?\n",
    "semaphore": "".join(f"You asked: What is {n} squared?\n" for n in range(1, 21)),
    "thinking": "--- thinking\nThe question is whether retries belong",
    "tool_input": "query_streams {'sql': \"SELECT model, ",
}
"""What some of them say, at the least; the others say the answer."""
STREAMS = {"retry_loop": 3, "semaphore": 20}


def _fixture(name: str) -> Reply:
    [stream] = recorder.open(ROOT / "fixtures" / f"{name}.jsonl").streams()
    return reply_of(stream)


class Claude:
    """Answers as the examples need it."""

    def __init__(self) -> None:
        self.busy = [
            Reply.error(529, "overloaded_error", "Overloaded", headers={"retry-after": "0.02"}),
            Reply.error(429, "rate_limit_error", "Slower", headers={"retry-after": "0.03"}),
        ]

    def __call__(self, received: Received) -> Reply:
        body = received.json()
        for name, fixture in (("tools", "tool_use"), ("thinking", "thinking")):
            if name in body:
                return _fixture(fixture)
        question = body["messages"][0]["content"]
        if question == "Are you there?" and self.busy:
            return self.busy.pop(0)
        return Reply.sse(
            message_events("You asked: ", *question.partition(" "), model=body["model"]),
            first=200 * MS,
            gap=50 * MS,
        )


def ran(example: Path, *before: str | Path, cwd: Path, env: Mapping[str, str]) -> tuple[str, str]:
    """What it says, and the last line of what is said beside it."""
    done = subprocess.run(
        [*before, sys.executable, example], cwd=cwd, env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, done.stderr.rstrip().rpartition("\n")[2]


@pytest.fixture
def offline() -> dict[str, str]:
    ours = ("ANTHROPIC_", "RECORDER_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {"CI": ""}


def environment(offline: Mapping[str, str], upstream: Upstream) -> dict[str, str]:
    return {**offline, "ANTHROPIC_BASE_URL": upstream.url, "ANTHROPIC_API_KEY": "sk-ant-none-at-all"}


def recorded_and_replayed(name: str, path: Path, offline: Mapping[str, str]) -> str:
    """What it says, which is the same both times."""
    n = STREAMS.get(name, 1)
    with Upstream(Claude(), speed=20) as upstream:
        env = environment(offline, upstream)
        live, recorded = ran(EXAMPLES[name], RECORDER, "record", "-o", "out", "--", cwd=path, env=env)
        assert len(upstream.received) == n
    again, replayed = ran(EXAMPLES[name], RECORDER, "replay", "out", "--", cwd=path, env=offline)

    streams = "1 stream" if n == 1 else f"{n} streams"
    requests = "1 request" if n == 1 else f"{n} requests"
    assert again == live
    assert recorded.startswith(f"recorder: {streams}, ttft p50 ")
    assert replayed == f"recorder: {requests}, 0 not recorded; {n} of {streams} served, 0 unused; from out"
    return live


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "through_a_proxy"])
def test_it_runs_unmodified_recorded_and_replayed(name: str, tmp_path: Path, offline: dict[str, str]) -> None:
    assert SAID.get(name, "You asked: ") in recorded_and_replayed(name, tmp_path, offline)


@pytest.mark.slow
def test_a_proxy_given_to_the_client_is_not_on_the_way_to_the_loopback(
    tmp_path: Path, offline: dict[str, str]
) -> None:
    for variable in ("NO_PROXY", "no_proxy"):
        offline.pop(variable, None)
    with forward_proxy() as (company, forwarded):
        offline["COMPANY_PROXY"] = company
        with Upstream(Claude(), speed=20) as upstream:
            env = environment(offline, upstream)
            live, _ = ran(EXAMPLES["through_a_proxy"], cwd=tmp_path, env=env)
        assert forwarded == [f"{upstream.url}/v1/messages"]

        assert recorded_and_replayed("through_a_proxy", tmp_path, offline) == live
        assert len(forwarded) == 1


def test_every_kind_that_guides_show_is_there() -> None:
    kinds = {*SAID, *STREAMS, "text_stream", "text_stream_async", "raw_events_async", "through_a_proxy"}
    assert {*EXAMPLES} == kinds
