"""The page as a file: one document that names nothing outside itself, and charts as pictures."""

from __future__ import annotations

import base64
import gzip
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from recorder.report.charts import write_charts
from recorder.report.data import Recorded
from recorder.report.page import page
from recorder.report.vega import CHARTS, chart, library
from tests.report.recordings import HALVES, HOSTILE, MARKUP, recorded, write_all


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return recorded(write_all(tmp_path_factory.mktemp("report") / "all.jsonl"))


@pytest.fixture(scope="module")
def document(made: Recorded) -> str:
    return page(made, title=f"<b>{MARKUP}").decode()


def unpacked(document: str, name: str) -> Any:
    found = re.search(f'<script type="text/plain" id="packed-{name}">([A-Za-z0-9+/=]*)</script>', document)
    assert found
    return json.loads(gzip.decompress(base64.b64decode(found[1])))


def test_recorded_text_stands_in_the_document_only_as_data(document: str) -> None:
    assert "window.owned" not in document.replace("&lt;", "<").split("<title>")[0]
    assert document.count("<script") == 6  # data, details, about, charts; the library and ours
    assert document.count("</script") == 6
    (title,) = re.findall("<title>(.*?)</title>", document, re.DOTALL)
    assert "<" not in title


def test_what_is_packed_comes_back(document: str, made: Recorded) -> None:
    assert unpacked(document, "data")["count"] == made.data.count
    details = {one["stream"]: one for one in unpacked(document, "details")}
    assert set(details) == {one["stream"] for one in made.details}
    said = details[HOSTILE]["frames"]["text"]
    assert said[0] == MARKUP
    assert said[2:4] == list(HALVES)
    assert said[4] is None  # 1 MiB


def test_the_document_asks_for_nothing_outside(document: str) -> None:
    text = re.sub("<title>.*?</title>", "", document.replace(library(), ""), flags=re.DOTALL)
    assert re.findall(r"""(?:src|href)\s*=\s*["']?(?!#|data:,)[^"'\s>]+""", text.split("<body>")[0]) == []
    assert "@import" not in text
    assert "url(" not in text
    assert "connect-src &#x27;none&#x27;" in text


def test_the_same_recordings_make_the_same_page(made: Recorded) -> None:
    assert page(made, title="x") == page(made, title="x")


def test_no_program_of_ours_reads_data_as_html() -> None:
    programs = [
        file for file in files("recorder.report").joinpath("assets").iterdir() if file.name.endswith(".js")
    ]
    assert len(programs) >= 9
    for program in programs:
        text = program.read_text("utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|new Function", text)


def test_every_chart_has_words_and_no_colour_that_cannot_be_told_apart() -> None:
    known = {
        path.name.removesuffix(".json") for path in files("recorder.report").joinpath("assets/charts").iterdir()
    }
    assert known == set(CHARTS)
    for name in CHARTS:
        assert set(chart(name)["usermeta"]) >= {"title", "caption"}
        colours = set(re.findall("#[0-9a-fA-F]{6}", json.dumps(chart(name))))
        assert colours <= {"#b8b8b8", "#8a8f98", "#d9c2e9"}, name  # greys of waiting; all else is a variable


@pytest.mark.slow
def test_each_chart_becomes_a_png_and_an_svg(made: Recorded, tmp_path: Path) -> None:
    written = write_charts(made, tmp_path / "new" / "charts")

    assert {path.name for path in written} == {f"{name}.{kind}" for name in CHARTS for kind in ("png", "svg")}
    for path in written:
        content = path.read_bytes()
        if path.suffix == ".png":
            assert content.startswith(b"\x89PNG")
            assert int.from_bytes(content[16:20], "big") > 1000  # pixels across
        else:
            assert chart(path.stem)["usermeta"]["title"] in content.decode()
            assert b"<script" not in content
            assert b"var(--" not in content
