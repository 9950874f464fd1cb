"""The 25 questions, asked of another engine: what DuckDB answers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from recorder.analytics.dialects import CALLS
from recorder.analytics.lake.engines import ClickHouse
from recorder.analytics.lake.store import Store
from recorder.analytics.load import run
from recorder.analytics.questions import questions
from recorder.analytics.report import Tables
from tests.analytics.lake.answers import NAMES, all_differences, asked, differences, made, tables_of, traps
from tests.cli.command import recorder as command


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("engines"))


@pytest.fixture(scope="module")
def tables(path: Path) -> Tables:
    return tables_of(path)


@pytest.fixture(scope="module")
def clickhouse(path: Path) -> Iterator[ClickHouse]:
    pytest.importorskip("chdb", reason="needs chdb: pip install 'sse-recorder[clickhouse]'")
    with ClickHouse(Store(str(path / "lake"))) as engine:
        yield engine


def test_clickhouse_answers_as_duckdb_does(tables: Tables, clickhouse: ClickHouse) -> None:
    """All in one, for the sake of the recording and the lake, which are made once."""
    assert all_differences(tables, clickhouse) == {}
    assert traps(clickhouse) == traps(tables)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_duckdb_answers_of_the_lake_as_of_the_recording(path: Path, tables: Tables, name: str) -> None:
    [question] = [one for one in questions() if one.name == name]
    with duckdb.connect() as connection:
        for table in ("calls", "streams", "blocks", "events", "stalls"):
            view = "shipped_calls" if table == "calls" else table
            connection.execute(
                f"CREATE VIEW {view} AS FROM read_parquet('{path}/lake/{table}/**/*.parquet', union_by_name = true, hive_partitioning = false)"
            )
        connection.execute(f"CREATE VIEW calls AS {CALLS}")
        run(connection, "macros")
        found = connection.execute(question.sql).fetchall()

    columns, expected = asked(tables, name)
    assert differences(name, (columns, expected), (columns, [list(row) for row in found])) == []


@pytest.mark.slow
def test_the_command(path: Path) -> None:
    pytest.importorskip("chdb", reason="needs chdb: pip install 'sse-recorder[clickhouse]'")
    engine = ("--engine", "clickhouse://local")
    query = "SELECT request_model, count(*) AS n, median(ttft_s) AS p50_s FROM streams GROUP BY ALL ORDER BY 1"

    there = command("sql", query, (path / "lake").as_uri(), *engine, "--format", "csv")
    here = command("sql", query, path / "r", "--db", ":memory:", "--salvage", "--format", "csv")
    wrong = command("sql", "SELECT nope FROM streams", path / "lake", *engine)
    no_sql = command("sql", "SELECT FROM WHERE", path / "lake", *engine)

    assert (there.exit_code, there.stdout) == (0, here.stdout)
    assert (wrong.exit_code, no_sql.exit_code) == (5, 5)
    assert "nope" in wrong.stderr
    assert no_sql.stderr.startswith("error: not in clickhouse: ")
    assert command("sql", query, path / "lake", "--engine", "spark://x").exit_code == 2
    assert command("sql", query, path / "lake", path / "lake", *engine).exit_code == 2


def test_an_empty_lake_and_a_missing_package_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("chdb", reason="needs chdb: pip install 'sse-recorder[clickhouse]'")
    empty = command("sql", "FROM streams", tmp_path / "lake", "--engine", "clickhouse://local")
    assert (empty.exit_code, empty.stderr.count("\n")) == (3, 1)
    monkeypatch.setitem(sys.modules, "chdb.session", None)
    missing = command("sql", "FROM streams", tmp_path / "lake", "--engine", "clickhouse://local")
    assert missing.exit_code == 2
    assert missing.stderr == "error: chdb is not installed: pip install 'sse-recorder[clickhouse]'\n"
