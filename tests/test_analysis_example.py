"""The worked analysis prints what its transcript says, and its tables are DataFrames."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pandas
import polars
import pyarrow
import pytest

import recorder
from tests.cli import recordings

ROOT = Path(__file__).parents[1]
QUERY = "SELECT stream, ttft_s, wall, complete FROM streams ORDER BY stream"


def test_the_worked_analysis_prints_its_transcript(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "fixtures", tmp_path / "fixtures", ignore=shutil.ignore_patterns(".*"))
    script = ROOT / "examples" / "analysis.py"
    done = subprocess.run(
        [sys.executable, script, "fixtures/"], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert done.stdout == (ROOT / "examples" / "analysis.txt").read_text("utf-8")


@pytest.fixture
def recording(tmp_path: Path) -> recorder.Recording:
    streams = (recordings.text("01"), recordings.connect_failed("02", sent=1))
    return recorder.open(recordings.write(tmp_path / "a.jsonl", *streams))


def test_a_query_is_a_data_frame_of_pandas(recording: recorder.Recording) -> None:
    frame = recording.df(QUERY)

    assert isinstance(frame, pandas.DataFrame)
    assert frame["ttft_s"].tolist()[0] == 0.4
    assert frame["ttft_s"].isna().tolist() == [False, True]
    assert frame["wall"].dt.year.tolist() == [2026, 2026]


def test_a_query_is_a_data_frame_of_polars(recording: recorder.Recording) -> None:
    frame = recording.pl(QUERY)

    assert isinstance(frame, polars.DataFrame)
    assert frame["ttft_s"].to_list() == [0.4, None]
    assert frame.schema["wall"] == polars.Datetime("us")


def test_a_query_is_an_arrow_table_and_the_next_one_need_not_wait_for_it(recording: recorder.Recording) -> None:
    tables = [recording.arrow(QUERY) for _ in range(2)]

    assert all(isinstance(table, pyarrow.Table) for table in tables)
    assert tables[0]["complete"].to_pylist() == [True, False]


@pytest.mark.parametrize(
    ("method", "package", "extra"),
    [("df", "pandas", "pandas"), ("pl", "polars", "polars"), ("arrow", "pyarrow", "arrow")],
)
def test_without_the_package_one_is_told_how_to_get_it(
    recording: recorder.Recording, monkeypatch: pytest.MonkeyPatch, method: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(ImportError, match=rf"^{package} is not installed: pip install 'sse-recorder\[{extra}\]'$"):
        getattr(recording, method)(QUERY)
