"""The packaged recordings: what each is, that the SDK gets it back, and that fixtures/ tells the truth about them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import anthropic
import httpx2
import pytest

import recorder
from recorder.core.redact import KEY

FIXTURES = Path(__file__).parents[1] / "fixtures"
OUTCOMES = {
    "cut": ["failed"],
    "error_event": ["error_event"],
    "json": ["complete"],
    "retry": ["http_error", "complete"],
    "stall": ["complete"],
    "text": ["complete"],
    "thinking": ["complete"],
    "tool_use": ["complete"],
    "truncated": ["truncated"],
}
ERRORS = {
    "cut": (httpx2.RemoteProtocolError, "peer closed connection without sending complete message body"),
    "error_event": (anthropic.APIStatusError, "'type': 'overloaded_error'"),
}

# The models of the recordings will be retired one day; the SDK says so at each call.
pytestmark = pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")

each = pytest.mark.parametrize("name", OUTCOMES)


def answered(names: Iterable[str]) -> pytest.MarkDecorator:
    """Runs a test for each of the recordings, answered by it."""
    marked = [pytest.param(one, marks=pytest.mark.recording(f"../fixtures/{one}.jsonl")) for one in names]
    return pytest.mark.parametrize("name", marked)


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """fixtures/make.py, imported as Python finds it when it is run."""
    monkeypatch.syspath_prepend(str(FIXTURES))
    import make  # type: ignore[import-not-found]

    yield make
    monkeypatch.delitem(sys.modules, "make")


def streams(name: str) -> list[recorder.Stream]:
    return list(recorder.open(FIXTURES / f"{name}.jsonl").streams())


def request(name: str) -> dict[str, Any]:
    return {field: value for field, value in streams(name)[0].request.body.items() if field != "stream"}


def test_every_recording_is_expected_and_every_expected_one_is_there() -> None:
    assert {path.stem for path in FIXTURES.glob("*.jsonl")} == set(OUTCOMES)


@each
def test_is_marked_synthetic_small_and_whole(name: str) -> None:
    path = FIXTURES / f"{name}.jsonl"
    recording = recorder.open(path)
    found = list(recording.streams())
    assert [stream.timing().outcome for stream in found] == OUTCOMES[name]
    assert {stream.header.source for stream in found} == {"synthetic"}
    assert len({stream.call for stream in found}) == 1
    assert not recording.problems
    assert path.stat().st_size < 20_000
    assert sum(stream.timing().duration_s or 99 for stream in found) < 8
    assert not any(stream.timing().consumer_bound for stream in found)


@each
def test_holds_no_secret_and_nothing_of_the_machine_it_was_made_on(name: str) -> None:
    text = (FIXTURES / f"{name}.jsonl").read_bytes()
    assert not KEY.search(text.decode())
    for word in (
        b"not-a-key",
        b"authorization",
        b"api-key",
        b"organization",
        b"/home/",
        b"/root",
        b"/work",
        b"/tmp",
    ):
        assert word not in text


@answered(OUTCOMES)
def test_the_sync_sdk_gets_it_back(make: ModuleType, name: str) -> None:
    with anthropic.Anthropic(api_key="none") as client:
        if name == "json":
            message = client.messages.create(**request(name))
        else:
            with raising(name), client.messages.stream(**request(name)) as stream:
                for _ in stream:
                    pass
            if name in ERRORS:
                return
            message = stream.current_message_snapshot
    assert contents(message) == scripted(make, name)


@answered(OUTCOMES)
async def test_the_async_sdk_gets_it_back(make: ModuleType, name: str) -> None:
    async with anthropic.AsyncAnthropic(api_key="none") as client:
        if name == "json":
            message = await client.messages.create(**request(name))
        else:
            with raising(name):
                async with client.messages.stream(**request(name)) as stream:
                    async for _ in stream:
                        pass
            if name in ERRORS:
                return
            message = stream.current_message_snapshot
    assert contents(message) == scripted(make, name)


def raising(name: str) -> Any:
    if name not in ERRORS:
        return nullcontext()
    kind, words = ERRORS[name]
    return pytest.raises(kind, match=re.escape(words))


def contents(message: Any) -> list[Any]:
    """(type, what it says) of each block."""
    said = {"text": "text", "thinking": "thinking", "tool_use": "input"}
    return [(block.type, getattr(block, said[block.type])) for block in message.content]


def scripted(make: ModuleType, name: str) -> list[Any]:
    """The same of the scenario that the recording was made of."""
    (scenario,) = (one for one in make.SCENARIOS if one.name == name)
    return [
        (block.type, json.loads(block.text) if block.type == "tool_use" else block.text)
        for block in scenario.blocks
    ]


@answered(ERRORS)
def test_a_broken_stream_is_broken_after_the_same_events(name: str) -> None:
    recorded = [event.event for event in streams(name)[0].events if event.event not in ("ping", "error")]
    seen: list[str] = []
    with anthropic.Anthropic(api_key="none") as client, raising(name):
        for event in client.messages.create(**request(name), stream=True):
            seen.append(event.type)
    assert seen == recorded


def test_the_retry_is_a_529_and_then_an_answer_to_the_same_call() -> None:
    refused, answered = streams("retry")
    assert (refused.request.attempt, answered.request.attempt) == (0, 1)
    assert refused.call == answered.call
    assert refused.response is not None
    assert (refused.response.status, refused.response.headers["retry-after-ms"]) == (529, "400")


def test_the_stalls_are_where_the_readme_says() -> None:
    from recorder.core.timing import stalls

    (tool,) = stalls(streams("tool_use")[0].records)
    (text,) = stalls(streams("stall")[0].records)
    assert (tool.kind, tool.type) == ("tool_buffering", "tool_use")
    assert (text.kind, text.type) == ("silent", "text")
    assert 2.3 < tool.stall_s < 2.6
    assert 2.6 < text.stall_s < 2.9


@pytest.mark.parametrize("name", [name for name in OUTCOMES if name != "json"])
def test_the_times_are_as_realistic_as_the_readme_says(name: str) -> None:
    stream = streams(name)[-1]
    timing = stream.timing()
    assert timing.pings == 1
    assert timing.ttft_s is not None
    assert timing.headers_s is not None
    assert 0.2 < timing.headers_s < timing.ttft_s < 4
    first = next(n for n, event in enumerate(stream.events) if event.event == "content_block_start")
    assert stream.events[first + 1].event == "ping"


def test_about_every_fifth_delta_shares_a_chunk_with_the_one_before() -> None:
    timings = [stream.timing() for name in OUTCOMES for stream in streams(name)]
    share = sum(timing.coalesced for timing in timings) / sum(timing.events for timing in timings)
    assert 0.1 < share < 0.3


@each
def test_is_what_make_makes_of_its_seed(make: ModuleType, name: str) -> None:
    (scenario,) = (one for one in make.SCENARIOS if one.name == name)
    for stream in streams(name):
        reply = make.reply_to(scenario, stream.request.attempt, make.SEED)
        sent = b"".join(step.data for step in reply.steps)
        unread = stream.timing().outcome == "http_error"  # the SDK does not read the body of what it retries
        assert stream.body() == (b"" if unread else sent)
        assert stream.response is not None
        assert stream.response.headers["request-id"] == dict(reply.headers)["request-id"]


def test_the_readme_names_every_file_with_its_outcomes() -> None:
    readme = (FIXTURES / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)\.jsonl` \| \S+ \| .* \| (.*) \|$", readme, re.MULTILINE)
    assert {name: re.findall(r"`(\w+)`", outcomes) for name, outcomes in rows} == OUTCOMES
    for path in FIXTURES.glob("[!._]*"):
        assert path.name in readme or path.name == "README.md"


def test_the_readme_says_that_they_are_synthetic_and_how_they_are_made() -> None:
    readme = (FIXTURES / "README.md").read_text("utf-8")
    assert "**synthetic**" in readme
    assert "$ python fixtures/make.py" in readme
