"""The page in a real browser: it draws what Python computes, keeps to itself, and runs nothing that was recorded."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from typing import Any

import pytest

from recorder.report.aggregate import quantile
from recorder.report.charts import datasets
from recorder.report.data import UNIT_S, Recorded
from recorder.report.page import page
from recorder.report.vega import CHARTS
from tests.cli.command import recorder
from tests.cli.recordings import WORDS, text, write
from tests.report.browser import Opened, needs_chromium
from tests.report.recordings import BIDI, HOSTILE, MARKUP, recorded, write_all

pytestmark = [needs_chromium, pytest.mark.slow]
TEXT = "7e470000a1b2c3d4"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return recorded(write_all(tmp_path_factory.mktemp("report") / "all.jsonl"))


@pytest.fixture(scope="module")
def address(made: Recorded, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_bytes(page(made, title=f"title {MARKUP} {BIDI}"))
    return file.as_uri()


def test_it_draws_offline_without_an_error_and_asks_nothing_of_anybody(browser: Any, address: str) -> None:
    opened = Opened(browser, address, offline=True)

    drawn = opened.page.locator("figure .plot svg").count()
    assert drawn == len([name for name in CHARTS if name not in ("waterfall", "curve", "strip")])
    assert opened.errors == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [address]


def test_recorded_text_is_shown_and_never_run(browser: Any, address: str) -> None:
    opened = Opened(browser, address, stream=HOSTILE)
    opened.page.evaluate("page.detail.player.seek(page.detail.player.end)")

    assert opened.page.evaluate("window.owned") is None
    assert opened.page.locator("img, iframe, object").count() == 0
    shown = opened.page.locator("#text .block").first.evaluate("block => block.lastChild.data")
    assert shown.startswith(
        MARKUP + BIDI.replace("\u202e", "\\u202e").replace("\u2066", "\\u2066").replace("\u200f", "\\u200f")
    )
    assert "😀" in shown
    assert "░" in shown  # of the 1 MiB
    assert MARKUP in opened.text("#title")
    assert "\u202e" not in opened.text("body")
    assert opened.errors == []


def test_the_policy_lets_no_other_script_run_and_nothing_be_fetched(browser: Any, address: str) -> None:
    opened = Opened(browser, address)
    opened.page.evaluate(
        """() => {
            const script = document.createElement('script');
            script.textContent = 'window.owned = 1';
            document.body.append(script);
        }"""
    )
    fetched = opened.page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'yes', (error) => 'no')")

    assert opened.page.evaluate("window.owned") is None
    assert fetched == "no"
    assert any("Content Security Policy" in error for error in opened.errors)


def test_its_charts_show_what_python_computes(browser: Any, address: str, made: Recorded) -> None:
    opened = Opened(browser, address)
    expected = datasets(made.data, made.details)

    shown = {"volume": "volume", "ecdf": "ecdf", "over_time": "rolling", "heat": "heat", "goodput": "goodput"}
    for chart, name in shown.items():
        view = "page.charts.volume.view" if chart == "volume" else f"page.charts.byName.{chart}.view"
        assert _sorted(_rows(opened, view, name, expected[name])) == _sorted(expected[name]), name
    for chart, name in enumerate(("sides", "shift")):
        view = f"page.compare.charts[{chart}].view"
        assert _sorted(_rows(opened, view, name, expected[name])) == _sorted(expected[name]), name
    runs = _rows(opened, "page.charts.byName.gantt.view", "runs", expected["runs"])
    assert sorted(map(_length, runs)) == sorted(map(_length, expected["runs"]))  # begun at their time or at 0
    gaps = _rows(opened, "page.charts.byName.gaps.view", "gaps", expected["gaps"])
    assert _sorted(gaps) == _sorted(expected["gaps"])


def _length(run: dict[str, Any]) -> tuple[str, str, float]:
    return run["stream"], run["kind"], round(run["to"] - run["from"], 5)


def _rows(opened: Opened, view: str, name: str, like: list[dict[str, Any]]) -> list[dict[str, Any]]:
    keys = list(like[0])
    rows = opened.page.evaluate(f"{view}.data('{name}')")
    return [{key: row[key] for key in keys} for row in rows]


def _sorted(rows: list[dict[str, Any]]) -> list[str]:
    """Numbers to nine digits: a sum has another last one in another order."""
    return sorted(json.dumps({key: _short(value) for key, value in sorted(row.items())}) for row in rows)


def _short(value: object) -> object:
    return f"{value:.9g}" if isinstance(value, int | float) else value


def test_the_summary_has_the_same_percentiles(browser: Any, address: str, made: Recorded) -> None:
    opened = Opened(browser, address)
    columns = made.data.columns
    known = sorted(value * UNIT_S for value in columns["ttft_s"] if value is not None)
    all_of_them = known + [inf] * (made.data.count - len(known))

    first = opened.page.locator("#summary tbody tr").first.locator("td").all_inner_texts()
    assert first[0] == str(made.data.count)
    assert first[4] == str(len(known))
    assert first[5:8] == [f"{quantile(known, p):.3f}" for p in (0.5, 0.95, 0.99)]
    assert first[8] == f"{quantile(all_of_them, 0.95):.3f}"


def test_the_filters_choose_by_model_outcome_tag_and_time(browser: Any, address: str, made: Recorded) -> None:
    opened = Opened(browser, address)
    page = opened.page
    columns, names = made.data.columns, made.data.names

    def counted() -> int:
        return int(opened.text("#count").split()[0].replace(",", ""))

    page.locator("#models input").first.uncheck()
    model = names["model"].index(page.locator("#models input").first.input_value())
    assert counted() == sum(one != model for one in columns["model"])
    page.locator("button[type=reset]").click()
    opened.wait_for("#count", f"{made.data.count} of")

    page.locator("#outcome").select_option("lost")
    assert counted() == 1
    page.locator("button[type=reset]").click()

    page.locator("#tag").select_option("team=a")
    tagged = [n for n, tags in enumerate(names["tags"]) if tags and ("team", "a") in tags]
    assert counted() == sum(one in tagged for one in columns["tags"])
    page.locator("button[type=reset]").click()

    last = columns["wall_ms"][-1]
    page.locator("#from").fill(page.evaluate(f"new Date({last}).toISOString().slice(0, 19)"))
    page.locator("#from").dispatch_event("change")
    assert counted() == 1
    assert opened.errors == []


def test_a_time_drawn_over_the_first_chart_is_a_filter(browser: Any, address: str, made: Recorded) -> None:
    opened = Opened(browser, address)
    box = opened.page.locator("#volume svg").bounding_box()
    y = box["y"] + box["height"] / 2
    opened.page.mouse.move(box["x"] + box["width"] / 2, y)
    opened.page.mouse.down()
    opened.page.mouse.move(box["x"] + box["width"] - 20, y, steps=4)
    opened.page.mouse.up()
    opened.page.locator("#count").filter(has_not_text=f"{made.data.count} of").wait_for()

    first = opened.page.evaluate("Date.parse(document.querySelector('#from').value + 'Z')")
    last = opened.page.evaluate("Date.parse(document.querySelector('#to').value + 'Z')") + 999
    assert int(opened.text("#count").split()[0]) == sum(first <= t <= last for t in made.data.columns["wall_ms"])
    assert opened.errors == []


def test_a_stream_that_is_clicked_is_shown_and_the_keyboard_goes_on(browser: Any, address: str) -> None:
    opened = Opened(browser, address)
    page = opened.page

    page.locator("#stream-table tbody tr button").first.press("Enter")
    opened.wait_for("#stream-title", "Stream")
    first = opened.text("#stream-title")
    page.locator("#stream-charts svg").nth(2).wait_for()
    page.keyboard.press("ArrowRight")
    second = opened.text("#stream-title")
    page.keyboard.press("ArrowLeft")
    assert (opened.text("#stream-title"), second != first) == (first, True)
    assert page.url.endswith(f"#stream={first.removeprefix('Stream ')}")
    page.keyboard.press("Escape")
    assert not page.locator("#stream").is_visible()
    assert opened.errors == []


def test_the_player_shows_the_text_in_its_recorded_timing(browser: Any, address: str) -> None:
    opened = Opened(browser, address, stream=TEXT)
    page = opened.page
    page.clock.install()
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))

    page.locator("#play").click()
    page.clock.run_for(100)
    page.evaluate("page.detail.player.last = performance.now(); page.detail.player.seek(0)")
    page.clock.run_for(470)  # words come at 400, 450, 500 ... ms
    so_far = page.evaluate("document.querySelector('#text .block').lastChild.data")
    assert so_far == "".join(WORDS[:2])
    page.clock.run_for(5000)
    assert page.evaluate("document.querySelector('#text .block').lastChild.data") == "".join(WORDS)
    assert opened.text("#play") == "Play"


def test_the_scrubber_goes_back_and_forth(browser: Any, address: str) -> None:
    opened = Opened(browser, address, stream=TEXT)

    def at(seconds: float) -> str:
        opened.page.locator("#scrub").evaluate(
            f"(one) => {{ one.value = {seconds}; one.dispatchEvent(new Event('input')); }}"
        )
        return "".join(
            opened.page.evaluate("[...document.querySelectorAll('#text .block')].map(b => b.lastChild.data)")
        )

    assert [at(0.56), at(0.41), at(0.39), at(9)] == ["".join(WORDS[:4]), WORDS[0], "", "".join(WORDS)]


def test_a_reader_chooses_light_or_dark_and_paper_is_light(browser: Any, address: str) -> None:
    opened = Opened(browser, address, color_scheme="dark")
    page = opened.page
    colour = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(colour)
    page.locator("#theme").click()
    light = page.evaluate(colour)
    page.locator("#theme").click()
    assert page.evaluate(colour) == dark != light
    page.emulate_media(media="print")
    ink = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--ink')")
    assert ink == "#1b1f24"


def test_a_recording_without_text_plays_as_blocks_of_its_length(browser: Any, tmp_path: Path) -> None:
    source = write(tmp_path / "full" / "a.jsonl", text())
    assert recorder("redact", source.parent, tmp_path / "bare", "--capture", "timing").exit_code == 0
    (bare,) = (tmp_path / "bare").rglob("*.jsonl")
    file = tmp_path / "report.html"
    file.write_bytes(page(recorded(bare), title="bare"))

    opened = Opened(browser, file.as_uri(), stream=TEXT)
    opened.page.evaluate("page.detail.player.seek(9)")

    assert opened.page.evaluate("document.querySelector('#text .block').lastChild.data") == "░" * len(
        "".join(WORDS)
    )
    assert "Recorded without text" in opened.text("#stream-note")
    assert opened.errors == []


def test_a_stream_whose_events_are_not_there_has_its_numbers(browser: Any, tmp_path: Path) -> None:
    made = recorded(write_all(tmp_path / "all.jsonl"), limit=0)
    file = tmp_path / "report.html"
    file.write_bytes(page(made, title="none"))
    opened = Opened(browser, file.as_uri(), stream=TEXT)

    opened.wait_for("#stream-note", f"recorder show PATH {TEXT}")
    assert not opened.page.locator("#player").is_visible()
    assert opened.page.locator("#chart-waterfall svg").count() == 1
    assert "complete" in opened.text("#numbers")
    assert opened.errors == []
