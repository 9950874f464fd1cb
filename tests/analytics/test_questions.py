"""Each of the questions, of a recording whose answers can be worked out by hand."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace

from recorder.analytics.questions import questions
from recorder.analytics.report import Tables
from recorder.core.records import Record
from tests.cli import recordings
from tests.cli.recordings import block_start, block_stop, delta, message_delta, message_start, sse, text_chunks

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


H, OPUS_4, T = "claude-haiku-4-5", "claude-opus-4-5", "claude-sonnet-4-5"
ANSWERS: dict[str, list[tuple[Any, ...]]] = {
    # of haiku 0.4, 0.6, 0.4, 0.4, 0.4 and nothing (the refused attempt)
    "ttft": [(H, 6, 0.4, 0.52, 0.592, 1 / 6), (OPUS_4, 3, 0.5, 0.9, 0.99, 0), (T, 1, 0.5, 0.5, 0.5, 0)],
    # the retry's second is the only one: its median is 0
    "where_time_went": [
        (H, 5, 0, 0.3, 0, 0.1, 0),
        (OPUS_4, 3, 0, 0.3, 0.1, 0.1, 0),
        (T, 1, 0, 0.3, 0.1, 0.1, None),
    ],
    "thinking": [(OPUS_4, 1, 0.5, 0.8, 0.1)],
    # text: 6 of 50 ms in 01, 05; 6 of 60 ms in 02; 6 of 100 ms in 03; 6 in 09, one of them 6.05 s; 1 in 08 and 0a
    "gaps": [
        ("text", 32, 0.05, 0.1, 0.1 + 0.69 * (6.05 - 0.1), 6.05),
        ("thinking", 1, 0.1, 0.1, 0.1, 0.1),
        ("tool_use", 1, 0.2, 0.2, 0.2, 0.2),
    ],
    "stalls": [("09", OPUS_4, "pinged", "text", 0.5, 6.05, 0.05, 1)],
    "stalled": [(H, 5, 0, 0), (OPUS_4, 3, 1 / 3, 6.05 / (1.705 + 0.905 + 6.755)), (T, 1, 0, 0)],
    "rates": [(H, 3, 8 / 0.3, 33 / 0.3, 1), (OPUS_4, 3, 8 / 0.6, 33 / 0.6, 1), (T, 1, 100, 17 / 0.2, 10)],
    "caching": [("to 10k", False, 7, 0.4), ("to 10k", True, 1, 1)],
    # 08 was closed, 0a lost, 09 had a gap of 6 s
    "goodput": [(None, 9, 6, 6 / 9), (H, 5, 3, 0.6), (OPUS_4, 3, 2, 2 / 3), (T, 1, 1, 1)],
    "outcomes": [
        ("complete", None, 7, 0),
        ("closed", None, 1, 1),
        ("http_error", "overloaded_error", 1, 1),
        ("lost", None, 1, 1),
    ],
    "time_weighted": [(H, 5, 0.592, 0.6), (OPUS_4, 3, 0.99, 1), (T, 1, 0.5, 0.5)],
    "tool_arguments": [(T, 1, 0.4, 0.3, 0.3)],
    # 09: the 4th word is due at 2 + 16 / 20 s and comes at 6.55
    "fluidity": [(H, 5, 1, 1, 0), (OPUS_4, 3, 1, 2 / 3, 3.6), (T, 1, 1, 1, 0)],
    "consumer_bound": [
        ("03", OPUS_4, None, 1.705, 0.589, 0.589 / 1.705),
        ("02", "claude-haiku-4-5-20251001", None, 1.025, 0.229, 0.229 / 1.025),
    ],
    "a_b": [("a", "b", 0.4, 0.6, 0.2, 0.2, 0.2)],
    "coalescing": [(1, 38), (2, 9), (3, 13), (4, 1)],
    "silence": [(H, 6, 5, None, 0.3, 0.3), (OPUS_4, 3, 3, 3.2, 0.6, 3.05), (T, 1, 0, None, 0.3, 0.3)],
    "by_hour": [(1, 5, 0.92), (2, 4, 0.485)],
    "by_turn": [(1, 9, 0.4)],
    "cost_of_retries": [(date(2026, 11, 21), 9, 1, 1, 1)],
    "by_sdk": [(None, 34, 0.05, 0.135, 0.2 + 0.67 * (6.05 - 0.2))],
    # 01 and 02 are one message; 08 and 0a, where only 01's and 02's ids are made for this, are msg_01 as well
    "replayed": [("m1", 1, 6, 0.05, 0.06, 0.01), ("msg_01", 1, 1, 0.1, 0.2, 0.1)],
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer(tables: Tables, name: str) -> None:
    rows = [tuple(row.values()) for row in ask(tables, name)]
    assert len(rows) == len(ANSWERS[name])
    for row, expected in zip(rows, ANSWERS[name], strict=True):
        assert row == tuple(near(value) if isinstance(value, int | float) else value for value in expected)


def test_output_and_open_streams_by_minute(tables: Tables) -> None:
    rows = [
        (row["minute"].strftime("%H:%M"), row["chars"], row["open_at_most"]) for row in ask(tables, "per_minute")
    ]
    assert rows == [
        ("01:05", 33, 1), ("01:06", 33, 1), ("01:07", 33, 1), ("01:08", 51, 2),
        ("02:05", 17, 1), ("02:06", 8, 1), ("02:07", 33, 1), ("02:08", 8, 1),
    ]  # fmt: skip


def test_the_last_hundred(tables: Tables) -> None:
    rows = ask(tables, "rolling")
    assert [row["stream"] for row in rows] == ["01", "02", "03", "06", "05", "07", "08", "09", "0a"]
    assert (rows[2]["p50_s"], rows[2]["p95_s"], rows[2]["n"]) == (0.6, near(0.96), 3)
    assert (rows[-1]["p50_s"], rows[-1]["n"]) == (0.4, 9)


def test_what_support_should_look_at(tables: Tables) -> None:
    rows = ask(tables, "for_support")
    assert [(row["outcome"], row["request_id"], row["stalled_s"]) for row in rows] == [
        ("complete", "req_011C", 6.05),
        ("lost", "req_011C", 0.0),
    ]


def test_every_question_has_a_known_answer() -> None:
    assert {one.name for one in questions()} - set(ANSWERS) == {"per_minute", "rolling", "for_support"}


COMPAT = {
    # (05 is a retry: a second later)
    "sdk": ("05", [("retried", "05", 1.4)]),
    "otel_genai": ("05", [("05", 0.3)]),
    "vllm": ("05", [("05", 0.4, (0.755 - 0.4) / 7, 0.3 / 6, 0.755)]),
    # 1 character of 33 came in the first chunk
    "aiperf": ("05", [("05", 0.4, 0.4, (0.755 - 0.4) / (8 * (1 - 1 / 33)))]),
    "guidellm": ("05", [("05", 0.4, 0.7 / 8, 0.3 / 7)]),
    "proxy": ("05", [("05", 0.3, 0.3)]),
}


@pytest.mark.parametrize("name", COMPAT)
def test_what_other_tools_would_say(tables: Tables, name: str) -> None:
    stream, [expected] = COMPAT[name]
    [row] = tables.query(f"FROM compat_{name} WHERE stream = '{stream}'").rows
    assert row == tuple(near(value) if isinstance(value, float) else value for value in expected)


def test_thinking_is_no_answer_to_aiperf(tables: Tables) -> None:
    [row] = tables.query("SELECT ttft_s, ttfo_s FROM compat_aiperf WHERE stream = '06'").rows
    assert row == (0.5, 0.8)
