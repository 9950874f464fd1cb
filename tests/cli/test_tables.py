"""The commands that keep tables, and those that ask them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from recorder.analytics.questions import questions
from tests.cli import recordings
from tests.cli.command import contents, recorder


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    recordings.write(tmp_path / "r" / "a.jsonl", *recordings.every_kind())
    return tmp_path / "r"


def test_ask_lists_what_can_be_asked() -> None:
    rows = json.loads(recorder("ask", "--format", "json").stdout)
    assert [row["question"] for row in rows] == [one.name for one in questions()]


@pytest.mark.parametrize("name", ["outcomes", "10"])
def test_ask_answers_by_name_or_number(directory: Path, name: str) -> None:
    result = recorder("ask", name, directory, "--format", "json")
    assert result.exit_code == 0
    counted = {row["outcome"]: row["n"] for row in json.loads(result.stdout)}
    assert counted["complete"] == recordings.OUTCOMES.count("complete")
    assert sum(counted.values()) == len(recordings.KINDS)


def test_ask_shows_the_query_which_sql_runs(directory: Path) -> None:
    query = recorder("ask", "ttft", "--show-sql").stdout
    assert query.startswith("SELECT")  # a comment would be an option to the shell
    assert recorder("sql", query, directory).stdout == recorder("ask", "ttft", directory).stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["stal", "x"], "no question 'stal'; did you mean stalls?"),
        (["qqq", "x"], "no question 'qqq'; recorder ask lists them"),
        (["ttft"], "no recordings named; recorder ask ttft recordings/"),
    ],
)
def test_ask_says_what_is_wrong(arguments: list[str], says: str) -> None:
    result = recorder("ask", *arguments)
    assert (result.exit_code, result.stderr) == (2, f"error: {says}\n")


def test_load_makes_a_file_for_any_client(directory: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.duckdb"
    result = recorder("load", directory, "--db", file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{file}: 11 calls, 11 streams, 62 events\n"
    assert [path.name for path in directory.iterdir()] == ["a.jsonl"]
    with duckdb.connect(str(file), read_only=True) as connection:
        assert connection.sql("SELECT count(*) FROM streams").fetchall() == [(11,)]
    assert recorder("load", directory, "--db", file).stdout == result.stdout
    assert recorder("sql", "SELECT count(*) AS n FROM streams", directory, "--db", file).stdout.split() == [
        "n",
        "11",
    ]


def test_a_directory_keeps_its_tables_and_a_small_file_does_not(directory: Path) -> None:
    recorder("stats", directory / "a.jsonl")
    assert [path.name for path in directory.iterdir()] == ["a.jsonl"]
    recorder("stats", directory)
    before = contents(directory)
    assert sorted(path.name for path in before) == [".recorder.duckdb", "a.jsonl"]
    recorder("sql", "FROM streams", directory)
    recorder("sql", "FROM streams", directory, "--db", ":memory:")
    assert contents(directory) == before


def test_load_without_a_file_to_load_into_is_wrong_usage(directory: Path) -> None:
    result = recorder("load", directory / "a.jsonl")
    assert result.exit_code == 2
    assert "name one with --db" in result.stderr


def test_load_fails_where_nothing_can_be_written(directory: Path, tmp_path: Path) -> None:
    result = recorder("load", directory, "--db", tmp_path / "not there" / "all.duckdb")
    assert result.exit_code == 3
    assert "cannot be written (no such file or directory)" in result.stderr
    assert "Traceback" not in result.stderr


def test_load_shows_on_a_terminal_how_far_it_is(directory: Path) -> None:
    ours, theirs = pty.openpty()
    program = [sys.executable, "-c", "from recorder_cli.main import run; run()", "load", str(directory)]
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "COLUMNS": "100"}
    ) as done:
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 4096):
                shown += data
        except OSError:  # Linux says so that the other side is closed
            pass
    os.close(ours)
    assert done.returncode == 0
    assert b"Loading" in shown
    assert b"events/s" in shown
