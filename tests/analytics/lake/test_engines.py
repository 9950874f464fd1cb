"""The 25 questions, asked of another engine: what DuckDB answers."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from recorder.analytics.dialects import CALLS
from recorder.analytics.lake.engines import ClickHouse
from recorder.analytics.lake.store import Store
from recorder.analytics.load import run
from recorder.analytics.questions import questions
from recorder.analytics.report import Tables
from recorder.log.files import find_segments
from tests.analytics.lake.lakes import ship
from tests.analytics.lake.made import recording
from tests.cli.command import recorder as command

SEED = 20_261_121
LAST_BITS = 1e-12
"""By how much an interpolated percentile, or a sum of doubles, may differ: relative."""
RESAMPLED = {"a_b": ("from_s", "to_s")}
"""Columns that rest on an engine's own hash; within a quarter of the interval's width."""
TRAPS = (
    "SELECT max(2.7 + chars * 0)::BIGINT AS x FROM events",
    "SELECT sum(chars) AS chars, median(chars) AS m, count(chars) AS n FROM events WHERE seq < 0",
    "SELECT max(b.chars) AS x FROM events AS e LEFT JOIN blocks AS b ON b.stream = e.stream AND b.block = 99",
    "SELECT outcome AS o, count(*) AS n FROM streams GROUP BY GROUPING SETS ((), (outcome)) ORDER BY n DESC, o LIMIT 1",
)
"""Where engines differ by themselves: rounding, sums of nothing, outer joins, grouping sets."""
NAMES = [one.name for one in questions()]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording and its lake."""
    path = tmp_path_factory.mktemp("engines")
    ship(recording(path / "r", SEED), path / "lake", last=True)
    return path


@pytest.fixture(scope="module")
def tables(path: Path) -> Tables:
    return Tables(find_segments(path / "r"), report=lambda _: None, salvage=True)


@pytest.fixture(scope="module")
def clickhouse(path: Path) -> Iterator[ClickHouse]:
    pytest.importorskip("chdb", reason="needs chdb: pip install 'sse-recorder[clickhouse]'")
    with ClickHouse(Store(str(path / "lake"))) as engine:
        yield engine


def asked(engine: Any, name: str) -> tuple[list[str], list[list[Any]]]:
    [question] = [one for one in questions() if one.name == name]
    answer = engine.query(question.sql)
    return [name for name, _ in answer.columns], [list(row) for row in answer.rows]


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, date) and isinstance(other, str):  # as ClickHouse writes them
        other = type(one).fromisoformat(other)
    if isinstance(one, float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=LAST_BITS, abs_tol=LAST_BITS)
    return bool(one == other)


def differences(
    name: str, expected: tuple[list[str], list[list[Any]]], found: tuple[list[str], list[list[Any]]]
) -> list[Any]:
    """What is not as it should be, as far as the engines define it alike."""
    (columns, rows), (names, others) = expected, found
    if (names, len(others)) != (columns, len(rows)):
        return [(columns, len(rows), names, len(others))]
    loose = [columns.index(column) for column in RESAMPLED.get(name, ())]
    wrong: list[Any] = []
    for row, other in zip(rows, others, strict=True):
        cells = enumerate(zip(row, other, strict=True))
        wrong += [(columns[n], a, b) for n, (a, b) in cells if n not in loose and not equal(a, b)]
        if loose:
            width = row[loose[1]] - row[loose[0]]
            assert width > 0
            wrong += [(columns[n], row[n], other[n]) for n in loose if abs(row[n] - other[n]) > width / 4]
    return wrong


def test_clickhouse_answers_as_duckdb_does(tables: Tables, clickhouse: ClickHouse) -> None:
    """All in one, for the sake of the recording and the lake, which are made once."""
    expected = {name: asked(tables, name) for name in NAMES}
    found = {name: asked(clickhouse, name) for name in NAMES}

    assert len(NAMES) == 25
    assert [name for name, (_, rows) in expected.items() if not rows] == [], "a question that asks nothing here"
    assert {*expected["a_b"][1][0][:2]} == {"a", "b"}
    assert {query: list(clickhouse.query(query).rows) for query in TRAPS} == {
        query: list(tables.query(query).rows) for query in TRAPS
    }
    assert {name: wrong for name in NAMES if (wrong := differences(name, expected[name], found[name]))} == {}


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
