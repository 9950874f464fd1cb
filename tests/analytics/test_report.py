"""A query's rows, types and errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder.analytics.report import QueryError, Tables
from recorder.log.reader import CorruptError, Problem, find_segments
from tests.cli import recordings


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recordings.write(tmp_path_factory.mktemp("report") / "a.jsonl", *recordings.every_kind())


def tables(path: Path) -> Tables:
    return Tables(find_segments(path), report=pytest.fail)


def test_an_answer_has_names_types_and_rows(recording: Path) -> None:
    answer = tables(recording).query(
        "SELECT 1 AS a, 'x' AS a, TIMESTAMPTZ '2026-01-02 03:04:05+00' AS t FROM range(2)"
    )

    assert answer.columns == [("a", "INTEGER"), ("a", "VARCHAR"), ("t", "TIMESTAMP WITH TIME ZONE")]
    rows = list(answer.rows)
    assert [row[:2] for row in rows] == [(1, "x")] * 2
    assert isinstance(rows[0][2], str)


def test_a_large_answer_comes_in_order(recording: Path) -> None:
    assert [n for (n,) in tables(recording).query("FROM range(5000)").rows] == list(range(5000))


@pytest.mark.parametrize("query", ["SELECT nope FROM streams", "FROM nowhere", "SELEC", "SELECT 'a'::INT"])
def test_a_query_that_fails_says_where(recording: Path, query: str) -> None:
    with pytest.raises(QueryError, match=r"Error: [\s\S]*(LINE 1|nowhere)"):
        list(tables(recording).query(query).rows)


def test_what_is_left_out_is_told_with_its_line(tmp_path: Path) -> None:
    path = recordings.write(tmp_path / "a.jsonl", recordings.text())
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(
        b"".join([*lines[:5], b'{"kind":\n', *lines[5:], b'{"kind":"event","stream":7}\n', b'{"torn'])
    )
    told: list[Problem] = []

    with pytest.raises(CorruptError):
        Tables([path], report=told.append)
    found = Tables([path], salvage=True, report=told.append)

    assert [problem.line for problem in told] == [6, 20, 21]
    assert found.streams == 1
    assert list(found.query("SELECT count(*) FROM events").rows) == [(14,)]
