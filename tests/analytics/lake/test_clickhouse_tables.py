"""The statements of LAKE.md for a cluster of ClickHouse do what it says, as far as one process can be a cluster.

The tables are filled without `Replicated`: that cannot be without a server.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from recorder.analytics.dialects import SETTINGS, translate
from recorder.analytics.lake.store import Store
from recorder.analytics.questions import questions
from recorder.analytics.report import Tables
from recorder.log.files import find_segments
from tests.analytics.lake import ddl
from tests.analytics.lake.answers import NAMES, SEED, asked, differences
from tests.analytics.lake.lakes import ship
from tests.analytics.lake.made import recording
from tests.analytics.lake.s3 import SETTINGS as S3
from tests.analytics.lake.test_layout import TEXT

pytest.importorskip("chdb", reason="needs chdb: pip install 'sse-recorder[clickhouse]'")
pytestmark = pytest.mark.slow

MAKE, LOAD, ASK, FORGET = (
    ddl.statements(block) for block in re.findall(r"```sql clickhouse\n(.*?)```", TEXT, re.DOTALL)
)
ON_CLUSTER = " ON CLUSTER '{cluster}'"
ASKING = {
    **SETTINGS["clickhouse"], "final": "1", "distributed_product_mode": "global",
    "output_format_json_quote_64bit_integers": "0", "output_format_json_named_tuples_as_objects": "1",
}  # fmt: skip
NEVER = "INTERVAL 100 YEAR"
"""In the place of the time after which rows go: these are of a certain day."""
TABLES = ("events", "blocks", "stalls", "streams", "shipped_calls")
COUNTS = [f"SELECT count() FROM lake.{table}" for table in TABLES]


def run(directory: Path, queries: list[str]) -> list[list[Any]]:
    """The rows that each answers."""
    answers = ddl.run(directory, queries, settings=ASKING)
    wrong = [(query, answer) for query, answer in zip(queries, answers, strict=True) if isinstance(answer, str)]
    assert wrong == []
    return [[] if answer is None else answer[1] for answer in answers]


def alone(statement: str) -> str:
    """For a process without a server."""
    one = re.sub(r"Replicated(\w+)\('.*?', '.*?'(?:, )?", r"\1(", statement.replace(ON_CLUSTER, ""))
    return one.replace(f"INTERVAL {ddl.DAYS} DAY", NEVER)


def parameter(name: str, values: list[str]) -> str:
    listed = ", ".join(f"\\'{value}\\'" for value in values)
    return f"SET param_{name} = '[{listed}]'"


@pytest.fixture
def path(tmp_path: Path, s3_port: int, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tables, filled from a lake in S3, and filled again; the recording is in `r`."""
    for name, value in {**S3, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3_port}"}.items():
        monkeypatch.setenv(name, value)
    ship(recording(tmp_path / "r", SEED), Store(f"s3://{bucket}/lake"), last=True)
    there = rf"\1('http://127.0.0.1:{s3_port}/{bucket}/lake/\2', '{S3['AWS_ACCESS_KEY_ID']}', '{S3['AWS_SECRET_ACCESS_KEY']}'"
    listed, *inserts = [
        re.sub(r"(s3|S3)\('https://bucket\.s3\.amazonaws\.com/lake/([^']*)'", there, one) for one in LOAD
    ]
    *_, [[segments]] = run(tmp_path, [*map(alone, MAKE), listed])
    assert sorted(segments) == ["s0", "s1", "s2"]
    again = [one for one in inserts if one.startswith("INSERT") and "loaded" not in one]
    *_, [[left]] = run(tmp_path, [parameter("segments", segments), *inserts, *again, listed])
    assert left == []
    return tmp_path


def test_loaded_twice_each_row_is_there_once_and_the_answers_are_those_of_duckdb(path: Path) -> None:
    tables = Tables(find_segments(path / "r"), report=lambda _: None, salvage=True)
    rows = [[*tables.query(f"SELECT count(*) FROM {one.removeprefix('shipped_')}").rows] for one in TABLES]
    asking = ["USE lake", *(translate(one.sql, "clickhouse") for one in questions())]

    counted = run(path, [*COUNTS, *(f"{one} SETTINGS final = 0" for one in COUNTS)])
    found = dict(zip(NAMES, ddl.run(path, asking, settings=ASKING)[1:], strict=True))

    assert [count for [[count]] in counted] == [n for [(n,)] in rows] + [2 * n for [(n,)] in rows]
    for table in TABLES:
        assert run(path, [f"SELECT DISTINCT host, segment_day FROM lake.{table}"]) == [[["web-1", "2026-11-21"]]]
    assert {name: answer for name, answer in found.items() if isinstance(answer, str)} == {}
    assert {name: wrong for name in NAMES if (wrong := differences(name, asked(tables, name), found[name]))} == {}
    assert run(path, ASK) != [[]]


def test_what_is_of_one_user_can_be_deleted(path: Path) -> None:
    mine, *deletions = [one.replace(ON_CLUSTER, "").replace("'user'] = '1234'", "'who'] = 'me'") for one in FORGET]
    [[[streams]]] = run(path, [mine])
    left = [
        "SELECT count() FROM lake.streams WHERE tags['who'] = 'me'",
        "SELECT count() FROM lake.shipped_calls WHERE tags['who'] = 'me'",
        *(f"SELECT count() FROM lake.{table} WHERE stream IN {{streams:Array(String)}}" for table in TABLES),
    ]

    before, after, others = (
        [count for [[count]] in run(path, [parameter("streams", streams), *more])[-len(asked) :]]
        for more, asked in ((left, left), ([*deletions, *left], left), (COUNTS, COUNTS))
    )

    assert len(streams) > 10
    assert 0 not in (*before, *others)
    assert after == [0] * len(left)


def test_days_that_are_over_go_by_themselves(tmp_path: Path) -> None:
    make = [alone(one).replace(NEVER, f"INTERVAL {ddl.DAYS} DAY") for one in MAKE]
    rows = ", ".join(f"(today() - {days}, 'a{days}', 0)" for days in (0, ddl.DAYS - 2, ddl.DAYS + 2))

    fill = f"INSERT INTO lake.blocks_local (segment_day, stream, block) VALUES {rows}"
    *_, left = run(
        tmp_path,
        [*make, fill, "OPTIMIZE TABLE lake.blocks_local FINAL", "SELECT stream FROM lake.blocks ORDER BY 1"],
    )

    assert left == [["a0"], [f"a{ddl.DAYS - 2}"]]


def test_the_replicated_tables_can_be_made(tmp_path: Path) -> None:
    made = "SELECT name, engine, engine_full FROM system.tables WHERE database = 'lake' ORDER BY name"

    *_, found = run(tmp_path, [*(one.replace(ON_CLUSTER, "") for one in MAKE), made])

    engines = {name: engine for name, engine, _ in found}
    kinds = {"_local": "ReplicatedReplacingMergeTree", "calls": "View"}
    assert {*engines} == {
        *TABLES,
        "calls",
        "loaded",
        *(f"{one.removeprefix('shipped_')}_local" for one in (*TABLES, "loaded")),
    }
    assert engines == {
        name: kinds.get("_local" if name.endswith("_local") else name, "Distributed") for name in engines
    }
    assert [
        name for name, _, text in found if name.endswith("_local") and "'/clickhouse/tables/" not in text
    ] == []


def test_every_statement_is_one_that_clickhouse_parses(tmp_path: Path) -> None:
    every = [one for block in (MAKE, LOAD, ASK, FORGET) for one in block]
    given = [parameter(name, ["a"]) for name in ("segments", "streams")]
    explain = [f"EXPLAIN AST {one}" for one in [*every, "CREATE TABLE t (a String) ENGIN = 1"]]
    answers = ddl.run(tmp_path, [*given, *explain], settings={})[len(given) :]

    assert (len(every) > 20, [one for one in answers[:-1] if not isinstance(one, list)]) == (True, [])
    assert "Syntax error" in answers[-1]
