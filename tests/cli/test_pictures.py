"""`report`, `plot` and the timeline of `show`, as commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from recorder_cli.ecdf import MARKS, ecdf
from recorder_cli.oneline import LEGEND, oneline

from recorder.log.streams import Stream, read_streams
from tests.cli.command import recorder
from tests.cli.recordings import block_start, delta, message_start, sse, stream, whole_body, write
from tests.report.recordings import write_all


def only(path: Path) -> Stream:
    (one,) = read_streams([path], report=lambda problem: None)
    return one


def test_report_writes_one_file_and_says_what_is_in_it(tmp_path: Path) -> None:
    source = write_all(tmp_path / "in" / "a.jsonl")
    before = source.read_bytes()
    done = recorder("report", source.parent, "-o", tmp_path / "r.html", "--details", "9", "--title", "Friday")

    assert done.exit_code == 0
    assert done.stdout == ""
    assert "71 streams, 9 of them event by event (--details)" in done.stderr
    assert "<title>Friday</title>" in (tmp_path / "r.html").read_text("utf-8")
    assert source.read_bytes() == before


@pytest.mark.slow
def test_report_draws_charts_alone(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = recorder("report", path, "--charts", "pictures")

    assert done.exit_code == 0
    assert (tmp_path / "pictures" / "ecdf.svg").exists()
    assert not (tmp_path / "report.html").exists()


def test_report_of_nothing_to_draw_is_told_in_one_line(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", whole_body())
    done = recorder("report", source, "-o", tmp_path / "r.html")

    assert done.exit_code == 3
    assert done.stderr == f"error: {source}: no streams there to draw\n"


def test_report_to_where_nobody_may_write_is_told_in_one_line(tmp_path: Path, text: Path) -> None:
    done = recorder("report", text, "-o", tmp_path / "none" / "r.html")

    assert done.exit_code == 3
    assert done.stderr.splitlines()[-1].startswith(f"error: {tmp_path / 'none' / 'r.html'}: no such file")


@pytest.mark.parametrize(
    ("command", "missing"), [("report", "vl_convert"), ("ui", "vl_convert"), ("ui", "starlette")]
)
def test_without_the_extra_one_line_says_what_to_install(
    tmp_path: Path, text: Path, command: str, missing: str
) -> None:
    program = f"import sys; sys.modules['{missing}'] = None; from recorder_cli.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", program, command, str(text)], capture_output=True, text=True, cwd=tmp_path
    )

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: recorder {command}: {missing.replace('_', '-')}")
    assert "pip install 'sse-recorder[report]'" in line


def test_plot_draws_a_curve_for_each_model_and_a_histogram(tmp_path: Path) -> None:
    source = write_all(tmp_path / "a.jsonl")
    done = recorder("plot", source)

    assert done.exit_code == 0
    assert "share of streams by ttft_s" in done.stdout
    assert f"{MARKS[0]} claude-haiku-4-5 (n = " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("metric", ["gap_s", "output_tps", "tpot_s"])
def test_plot_draws_other_metrics(path: Path, metric: str) -> None:
    done = recorder("plot", path, "--metric", metric, "--by", "outcome")

    assert done.exit_code == 0
    assert "complete (n = " in done.stdout


def test_plot_says_so_when_no_stream_has_the_metric(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", whole_body())

    assert recorder("plot", source).stdout == "No stream has ttft_s.\n"


def test_plot_draws_each_stream_as_one_line(path: Path) -> None:
    done = recorder("plot", path, "--timelines", "--limit", "4")

    *drawn, scale, legend = done.stdout.splitlines()
    assert len(drawn) == 4
    assert drawn[0].startswith("7e470000  ░")
    assert drawn[0].endswith("complete")
    assert legend == LEGEND
    assert scale.split() == ["0", "0.9", "s"]


def test_a_timeline_shows_waits_output_stalls_and_pings(tmp_path: Path) -> None:
    chunks = [
        (1000, 999, sse(message_start(), block_start(0, type="text", text=""), delta(0, "text_delta", text="ab"))),
        (5000, 3999, sse({"type": "ping"})),
        (8000, 2999, sse(delta(0, "text_delta", text="abcd"))),
        (9995, 1994, sse(delta(0, "text_delta", text="a"))),
    ]
    one = only(write(tmp_path / "a.jsonl", stream("5", chunks, end=None)))

    assert oneline(one, 10, end_s=10.0) == "░▄···•··█▂"
    assert oneline(one, 10, end_s=20.0) == "▄·•·█"
    assert recorder("show", tmp_path / "a.jsonl").stdout.count("timeline\n  ░") == 1


def test_a_distribution_rises_from_nothing_to_all() -> None:
    lines = ecdf({"a": [1.0, 2.0, 4.0, 8.0], "b": [8.0]}, "s", 60)

    assert lines[0].startswith(" 100 % ┤")
    assert lines[0].rstrip()[-1] in MARKS[:2]
    assert lines[-2:] == ["● a (n = 4)", "▲ b (n = 1)"]
    assert all(len(line) <= 60 for line in lines)
    assert ecdf({"a": []}, "s", 60) == ecdf({"a": [0.0]}, "s", 60) == []
    assert ecdf({"a": [3.0]}, "s", 60)


def test_the_pictures_are_as_wide_as_the_terminal(tmp_path: Path) -> None:
    source = write_all(tmp_path / "a.jsonl")
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": "60"}
    for arguments in (["plot"], ["plot", "--timelines"]):
        done = subprocess.run(
            [sys.executable, "-c", "from recorder_cli.main import run; run()", *arguments, str(source)],
            capture_output=True,
            text=True,
            env=environment,
        )
        pictures = [
            line for line in done.stdout.splitlines() if (line[:8].strip() and "┤" in line) or "░" in line[:12]
        ]
        assert pictures
        assert max(map(len, pictures)) <= 60
