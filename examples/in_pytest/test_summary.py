"""pytest: a marker names the recording; another runs the test under every standard fault."""

from __future__ import annotations

import anthropic
import pytest
from summary import summarise

TEXT = "Streams are recorded event by event, with the times at which they came, and answer tests offline."
SUMMARY = "Recorded streams, with their times, answer tests offline."

pytestmark = pytest.mark.recording("recordings/summary.jsonl")


@pytest.fixture
def claude() -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="none needed")


def test_words_are_shown_as_they_come(claude: anthropic.Anthropic) -> None:
    shown: list[str] = []

    assert summarise(claude, TEXT, show=shown.append) == SUMMARY

    assert "".join(shown) == SUMMARY
    assert len(shown) > 3


@pytest.mark.faults("standard", "cut_clean(at=4, times=2)")
def test_a_broken_stream_is_asked_for_again(claude: anthropic.Anthropic) -> None:
    waits: list[float] = []

    assert summarise(claude, TEXT, show=len, sleep=waits.append) == SUMMARY

    assert waits == [1, 2][: len(waits)]
