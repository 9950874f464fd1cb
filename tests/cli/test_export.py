"""What `recorder export` writes and sends, as a program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.analytics.collector import collector
from tests.cli import recordings
from tests.cli.command import NO_SETTINGS, contents, recorder
from tests.cli.test_commands import rows

PROGRAM = Path(sys.executable).with_name("recorder")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return recordings.write(tmp_path / "in" / "all.jsonl", *recordings.every_kind())


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {name: value for name, value in os.environ.items() if name not in NO_SETTINGS} | environment
    return subprocess.run([PROGRAM, *arguments], env=settings, capture_output=True, text=True)


def test_export_writes_files_and_says_what(path: Path, tmp_path: Path) -> None:
    before = contents(path.parent)
    done = run("export", path, "--to", "parquet", "-o", tmp_path / "out")

    assert (done.returncode, done.stderr) == (0, "")
    assert [(row["table"], row["rows"]) for row in rows(done.stdout)] == [
        ("calls", "11"), ("streams", "11"), ("blocks", "9"), ("events", "62"), ("stalls", "0")
    ]  # fmt: skip
    query = f"SELECT count(*), count(ttft_s) FROM '{tmp_path}/out/streams/*/*.parquet' WHERE day = '2026-11-21'"
    assert duckdb.sql(query).fetchall() == [(11, 8)]
    assert contents(path.parent) == before


@pytest.mark.slow
def test_export_sends_to_a_collector(path: Path) -> None:
    with collector() as taken:
        by_option = run("export", path, "--to", "otlp", "--endpoint", taken.url + "/")
        by_environment = run("export", path, "--to", "otlp", OTEL_EXPORTER_OTLP_ENDPOINT=taken.url)

    assert (by_option.returncode, by_option.stdout) == (0, "")
    assert by_option.stderr.startswith("22 spans and ")
    assert by_option.stderr == by_environment.stderr
    assert len(taken.spans) == 44


def test_a_collector_that_refuses_is_one_line(path: Path) -> None:
    with collector(status=403) as taken:
        done = run("export", path, "--to", "otlp", "--endpoint", taken.url)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {taken.url}: ")
    assert "403" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--to", "parquet"], 2, "error: --to parquet needs --out DIR; recorder export -h shows how it is used\n"),
        (["--to", "otlp"], 2, "error: --to otlp needs --endpoint URL; recorder export -h shows how it is used\n"),
        (["--to", "csv", "-o", "{out}", "--where", "nope"], 5, "error: Binder Error"),
        (["--to", "csv", "-o", "{in}"], 3, "error: {in}: not an empty directory\n"),
        (["--to", "sqlite"], 2, "error: Invalid value for '--to'"),
    ],
)
def test_what_cannot_be_exported_is_told(
    path: Path, tmp_path: Path, options: list[str], code: int, says: str
) -> None:
    names = {"out": str(tmp_path / "out"), "in": str(path.parent)}
    before = contents(tmp_path)

    result = recorder("export", path, *(option.format(**names) for option in options))

    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(says.format(**names))
    assert contents(tmp_path) == before


def test_a_missing_package_is_one_line_that_says_how_to_get_it(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

    result = recorder("export", path, "--to", "otlp", "--endpoint", "http://127.0.0.1:1")

    assert result.exit_code == 2
    assert result.stderr == "error: opentelemetry is not installed: pip install 'sse-recorder[otlp]'\n"
