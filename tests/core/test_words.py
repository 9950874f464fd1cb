"""Texts compared word by word."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from recorder.core.words import Change, Words, compare_words


def test_equal_texts_have_no_difference() -> None:
    assert compare_words("a b", "a b") is None
    assert compare_words("", "") is None


def test_a_changed_word_is_shown_among_its_neighbours() -> None:
    found = compare_words("one two three four five six seven eight", "one two three four 5 six seven eight")

    assert found == Words(1, 1, 8, [Change("… two three four", "five", "5", "six seven eight")])


def test_words_that_went_and_words_that_came() -> None:
    found = compare_words("a b c", "b c d e")

    assert found == Words(1, 2, 3, [Change("", "a", "", "b c"), Change("b c", "", "d e", "")])


def test_a_text_that_came_whole() -> None:
    assert compare_words("", "a b") == Words(0, 2, 0, [Change("", "", "a b", "")])


def test_white_space_alone_is_told_and_counts_no_word() -> None:
    assert compare_words("a  b", "a b\n") == Words(0, 0, 2, [], space=True)


def test_where_no_spaces_part_the_words_a_character_is_one() -> None:
    found = compare_words("今日は天気がいい", "今日は気分がいい")

    assert found is not None
    assert (found.removed, found.added, found.of) == (1, 1, 8)


words = st.lists(st.sampled_from("abcde"), max_size=30).map(" ".join)


@given(words, words)
def test_what_stays_is_what_both_have(before: str, after: str) -> None:
    found = compare_words(before, after)

    if found is None:
        assert before == after
        return
    assert found.of - found.removed == len(after.split()) - found.added
    assert found.of == len(before.split())
    assert bool(found.changes) != found.space


def test_long_texts_do_not_take_long() -> None:
    """A hundred thousand words, the middle of them other ones; and texts of 5,000 and 25,000 with not much in common."""
    start = time.process_time()
    alike = ["word"] * 50_000
    big = compare_words(" ".join([*alike, "a", *alike]), " ".join([*alike, "b", "c", *alike]))
    left = " ".join(f"{n % 97} {n}" for n in range(2_500))
    right = " ".join(f"{n % 89} {n * 2}" for n in range(2_500))
    assert big is not None
    assert (big.removed, big.added) == (1, 2)
    assert compare_words(left, right) is not None
    assert compare_words(left * 5, right * 5) is not None
    assert time.process_time() - start < 5
