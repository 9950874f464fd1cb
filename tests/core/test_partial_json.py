from __future__ import annotations

import json
import sys

import jiter
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.partial_json import parse

NOTHING = object()

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
PIECES = [
    *'{}[]:,-0.x"\\ \n',
    *('{"a":', '"b"', '"\\u12', '"\\ud83d\\ude00"', "12", "-1.5", "2e", "3E+4", "tr", "true", "null", "NaN"),
    *("-Infinity", "é", "\x7f", "\xa0"),
]


def assert_reads_as_jiter_does(text: str) -> bool:
    """False when jiter gives no value, so that there is nothing to compare with."""
    try:
        expected = jiter.from_json(text.encode(), partial_mode=True)
    except ValueError:
        return False
    assert repr(expected) == repr(parse(text, otherwise=NOTHING))  # repr: NaN is not equal to itself
    return True


@given(JSON, st.booleans(), st.sampled_from([None, 1]))
def test_a_text_cut_anywhere_reads_as_jiter_reads_it(value: object, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps([value], ensure_ascii=ascii_only, indent=indent)
    assert all(assert_reads_as_jiter_does(text[:end]) for end in range(1, len(text) + 1))


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=14))
def test_what_jiter_reads_of_a_broken_text_is_read_too(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert_reads_as_jiter_does(text)
    assert_reads_as_jiter_does("[" + text)
    assert_reads_as_jiter_does('{"k":[' + text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"city": "Par', {}),
        ('{"city": "Paris"', {"city": "Paris"}),
        ('{"city": "Paris", "day', {"city": "Paris"}),
        ('{"a": [1, 2', {"a": [1, 2]}),
        ('{"a": [1, 2.', {"a": [1]}),
        ('{"a": [1, -', {"a": [1]}),
        ('{"a": tru', {}),
        ('{"a": {"b": [{"c": 1', {"a": {"b": [{"c": 1}]}}),
        ('{"a": 1} and more', {"a": 1}),
        ('{"w": {"x": [1}, "y": 2}', {"w": {"x": [1]}, "y": 2}),
        ("[1 2, 3]", [1]),
    ],
)
def test_what_is_unfinished_is_left_out(text: str, value: object) -> None:
    assert value == parse(text)
    assert assert_reads_as_jiter_does(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, "b": nope}', {"a": 1}),
        ('{"a": 1, "b": "\x01"}', {"a": 1}),
        ('{"a": 1, "b": "\\q"}', {"a": 1}),
        ("[1, 02]", [1, 0]),
        ("[1,]", [1]),
        ('{"a": 1,}', {"a": 1}),
        ("[1, " + "9" * 5000 + "]", [1]),
        ('{"a": 1, "b": "\\ud800"', {"a": 1, "b": "\ud800"}),
        ("", NOTHING),
        (" ", NOTHING),
        ("nul", NOTHING),
        ('"abc', NOTHING),
        ("}", NOTHING),
    ],
)
def test_where_jiter_refuses_the_longest_valid_beginning_counts(text: str, value: object) -> None:
    assert value == parse(text, otherwise=NOTHING)
    assert not assert_reads_as_jiter_does(text)


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_deep_nesting_reads_as_deep_as_jiter_goes_and_never_raises(opening: str) -> None:
    deepest = 201 // (2 if opening == '[{"a":' else 1)
    assert assert_reads_as_jiter_does(opening * deepest)
    assert not assert_reads_as_jiter_does(opening * (deepest + 1))
    parse(opening * 5 * sys.getrecursionlimit())
    parse("[" * 100_000 + "]" * 100_000)
