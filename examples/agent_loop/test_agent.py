"""An agent's whole run, several turns with tools, answered by one recording."""

from __future__ import annotations

import anthropic
import pytest
from agent import run

pytestmark = pytest.mark.recording("recordings/umbrella.jsonl")
TASK = "Where do I need an umbrella today: Bergen or Lisbon?"
ANSWER = "In Bergen: it rains there."
SKY = {"Bergen": (9, "rain"), "Lisbon": (22, "sun")}


@pytest.fixture
def claude() -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="none needed", max_retries=0)


class Weather:
    """The tool. What it answers is part of the next request, so it must be what it was when recorded."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, city: str) -> tuple[int, str]:
        self.asked.append(city)
        return SKY[city]


def test_it_asks_its_tools_and_answers(claude: anthropic.Anthropic) -> None:
    weather = Weather()

    answer, said = run(claude, TASK, {"weather": weather})

    assert answer == ANSWER
    assert weather.asked == ["Bergen", "Lisbon"]
    assert [message["role"] for message in said] == ["user", "assistant"] * 3


@pytest.mark.faults(
    "cut_tool_input(times=1)",
    "cut_clean(at=4, times=1)",
    "cut_dirty(at=50%, times=1)",
    "error_event(at=4, times=1)",
    "rechunk(size=1)",
)
def test_no_tool_is_run_with_half_its_arguments(claude: anthropic.Anthropic) -> None:
    weather = Weather()

    answer, _ = run(claude, TASK, {"weather": weather})

    assert answer == ANSWER
    assert weather.asked == ["Bergen", "Lisbon"]
