"""What is shown of recorded text: never a control character, never wider than there is room."""

from __future__ import annotations

import json
import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorder_cli.histogram import LINES, histogram
from recorder_cli.text import escape_json, seconds, shorten, utc, visible, width

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60)


def is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(character) in (
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
    )  # fmt: skip


@given(ANYTHING)
def test_no_control_character_stays(text: str) -> None:
    assert not any(map(is_control, visible(text)))
    assert [c for c in visible(text, keep="\n\t") if is_control(c)] == [c for c in text if c in "\n\t"]


@given(ANYTHING, st.integers(2, 40))
def test_a_shortened_text_fits(text: str, limit: int) -> None:
    short = shorten(text, limit)

    assert width(short) <= limit
    assert not any(map(is_control, short))
    assert short == visible(text) or short.endswith("…")


@given(st.recursive(ANYTHING | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(ANYTHING, inner)))
def test_escaped_json_is_the_same_json(value: object) -> None:
    for everything in (True, False):
        for indent in (None, 2):
            document = escape_json(json.dumps(value, ensure_ascii=False, indent=indent), everything=everything)
            assert json.loads(document) == value
            document.encode("utf-8")
            assert not everything or not any(is_control(c) for c in document if c != "\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a\x1b[31mb", "a\\x1b[31mb"), ("\x9b\u202e\ud800", "\\x9b\\u202e\\ud800"), ("a\nb\tc\r", "a\\nb\\tc\\r")],
)
def test_escapes_are_readable(text: str, expected: str) -> None:
    assert visible(text) == expected


@pytest.mark.parametrize(("text", "expected"), [("日本語", 6), ("é", 1), ("e\u0301", 1), ("", 0), ("abc", 3)])
def test_width(text: str, expected: int) -> None:
    assert width(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(None, "-"), (0.0, "0.000"), (1.23456, "1.235"), (1234.5, "1234.500")]
)
def test_seconds(value: float | None, expected: str) -> None:
    assert seconds(value) == expected


@pytest.mark.parametrize(
    ("wall", "expected"),
    [
        (1_795_223_100_123_456_789, "2026-11-21T01:05:00.123Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (10**30, str(10**30)),
        (-(10**30), str(-(10**30))),
    ],
)
def test_a_time_that_is_none_is_shown_as_it_stands(wall: int, expected: str) -> None:
    assert utc(wall) == expected


@given(st.lists(st.floats(0, 1e9), max_size=200))
def test_a_histogram_counts_every_value_in_few_lines(values: list[float]) -> None:
    lines = histogram(values, "s")

    assert len(lines) <= LINES
    assert sum(int(line.split()[-1]) for line in lines) == len(values)


def test_a_histogram() -> None:
    assert histogram([1, 1, 1, 1, 2, 2, 3, 3, 4], "s") == [
        "1.00 – 1.75 s  ████████████████████████████████████████  4",
        "1.75 – 2.50 s  ████████████████████                      2",
        "2.50 – 3.25 s  ████████████████████                      2",
        "3.25 – 4.00 s  ██████████                                1",
    ]


def test_a_histogram_of_very_different_values_has_bins_of_equal_ratio() -> None:
    lines = histogram([0.01 * 10**n for n in range(4) for _ in range(9)], "s")

    assert [int(line.split()[-1]) for line in lines] == [9, 0, 9, 0, 9, 0, 9][: len(lines)]


def test_a_histogram_leaves_out_what_is_no_number() -> None:
    assert histogram([math.inf, math.nan], "s") == []
    assert histogram([2.0], "s") == ["2.000 – 2.000 s  ████████████████████████████████████████  1"]
