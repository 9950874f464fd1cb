"""Each of the questions, of a recording whose answers can be worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recorder.analytics.questions import questions
from recorder.analytics.report import Tables
from recorder.core.records import Record
from tests.cli import recordings
from tests.cli.recordings import MS, block_start, block_stop, delta, message_delta, message_start, sse, text_chunks

HAIKU, OPUS = "claude-haiku-4-5-20251001", "claude-opus-4-5"
SECOND = 1000
MINUTE = 60 * SECOND


def spoken(model: str, name: str, *, start: int, step: int, stall: int = 0) -> list[tuple[int, int, bytes]]:
    """Eight words of one block: at `start` ms, then every `step`, the last two in one chunk; a ping with the block.
    `stall`: ms before the fourth, with a ping in the middle."""
    begin = {**message_start(model)["message"], "id": name}
    begun = {"type": "message_start", "message": begin}
    chunks = text_chunks(recordings.WORDS, start=start, step=step)
    chunks[0] = (chunks[0][0], 20, sse(begun, block_start(0, type="text", text=""), {"type": "ping"}))
    if not stall:
        return chunks
    before, after = chunks[:4], [(at + stall, wait, data) for at, wait, data in chunks[4:]]
    after[0] = (after[0][0], stall // 2, after[0][2])
    return [*before, (before[-1][0] + stall // 2, stall // 2, sse({"type": "ping"})), *after]


def cached(records: list[Record], tokens: int) -> list[Record]:
    """The stream as if its input had come from the cache."""
    from msgspec.structs import replace

    *others, end = records
    summary = end.summary  # type: ignore[union-attr]
    usage = {**summary.usage, "cache_read_input_tokens": tokens}  # type: ignore[union-attr, dict-item]
    return [*others, replace(end, summary=replace(summary, usage=usage))]  # type: ignore[type-var, arg-type]


def made() -> list[list[Record]]:
    stream = recordings.stream
    tool = [
        (400, 90, sse(message_start("claude-sonnet-4-5"), block_start(0, type="tool_use", id="t", name="f", input={}))),
        (500, 90, sse(delta(0, "input_json_delta", partial_json='{"city": "Par'))),
        (700, 90, sse(delta(0, "input_json_delta", partial_json='is"}'), block_stop(0), message_delta(20, "tool_use"), recordings.STOP)),
    ]  # fmt: skip
    return [
        stream("01", spoken(HAIKU, "m1", start=400, step=50), tags={"variant": "a"}),
        stream("02", spoken(HAIKU, "m1", start=600, step=60), sent=MINUTE, tags={"variant": "b"}),
        cached(stream("03", spoken(OPUS, "m3", start=1000, step=100), sent=2 * MINUTE, model=OPUS), 5000),
        recordings.overloaded("04", sent=3 * MINUTE, call="retried"),
        stream("05", spoken(HAIKU, "m5", start=400, step=50), sent=3 * MINUTE + SECOND, call="retried", attempt=1),
        recordings.thinking("06", sent=3 * MINUTE + 100),
        stream("07", tool, sent=60 * MINUTE, model="claude-sonnet-4-5"),
        recordings.closed("08", sent=61 * MINUTE),
        stream("09", spoken(OPUS, "m9", start=400, step=50, stall=6000), sent=62 * MINUTE, model=OPUS),
        recordings.lost("0a", sent=63 * MINUTE),
    ]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return Tables([recordings.write(tmp_path_factory.mktemp("asked") / "a.jsonl", *made())], report=pytest.fail)


def ask(tables: Tables, name: str) -> list[dict[str, Any]]:
    [question] = [one for one in questions() if one.name == name]
    answer = tables.query(question.sql)
    return [dict(zip((name for name, _ in answer.columns), row, strict=True)) for row in answer.rows]


def near(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9)


def test_there_are_twenty_five_and_each_says_what_it_asks() -> None:
    assert [one.number for one in questions()] == list(range(1, 26))
    assert [one.name for one in questions() if "?" not in one.asks and "." not in one.asks] == []


@pytest.mark.parametrize("name", [one.name for one in questions()])
def test_of_no_recording_each_has_an_answer(name: str) -> None:
    assert isinstance(ask(Tables([], report=pytest.fail), name), list)


SHOW = 0
