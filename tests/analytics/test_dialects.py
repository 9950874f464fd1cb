"""The questions in the dialects of other engines: each is SQL there, and every difference is one that is needed."""

from __future__ import annotations

import pytest
import sqlglot
from sqlglot import expressions as exp

from recorder.analytics.dialects import CALLS, DIALECTS, DIFFERENCES, Dialect, Untranslatable, macros, translate
from recorder.analytics.questions import questions

MISSING = {("bigquery", 13), ("snowflake", 13)}
"""Where there is no counterpart: DIFFERENCES["frame"] says why."""
OURS = ("goodput(", "fluidity(", "to_microseconds", "list_median", "quantile_cont", " FOR i IN ")
"""Words of DuckDB's that none of the others has."""


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_question_is_sql_there(dialect: Dialect) -> None:
    done = 0
    for question in questions():
        if (dialect, question.number) in MISSING:
            with pytest.raises(Untranslatable, match=f"not in {dialect}: no percentile over a moving frame"):
                translate(question.sql, dialect)
            continue
        text = translate(question.sql, dialect)
        assert len(sqlglot.parse(text, read=dialect)) == 1
        assert [word for word in OURS if word in text.replace("AS fluidity", "")] == []
        assert _outputs(text, dialect) == _outputs(question.sql, "duckdb")
        done += 1
    assert done == 25 - sum(one == dialect for one, _ in MISSING)


def _outputs(query: str, dialect: str) -> list[str]:
    """The names of the columns, but where all of something are asked for."""
    tree = sqlglot.parse_one(query, read=dialect)
    select = tree.find(exp.Select)
    assert select is not None
    return [one.alias_or_name for one in select.expressions]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_view_of_calls_is_sql_there(dialect: Dialect) -> None:
    text = translate(CALLS, dialect)
    assert sqlglot.parse_one(text, read=dialect).find(exp.Window) is not None


def test_macros_stand_there_with_their_arguments() -> None:
    assert {name: [*parameters] for name, (parameters, _) in macros().items()} == {
        "goodput": ["ttft", "tpot", "duration", "gap"],
        "fluidity": ["start_s", "chars_per_s"],
    }
    text = translate("FROM goodput(ttft := 5)", "trino")
    assert "ttft_call_s <= 5" in text
    assert "tpot_s <= NULL" in text
    assert "/ 30" in translate("SELECT * FROM fluidity(chars_per_s := 30)", "clickhouse")


@pytest.mark.parametrize("query", ["SELECT FROM WHERE", "SELECT 1; SELECT 2", ""])
def test_what_is_no_query_is_one_line(query: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        translate(query, "spark")
    assert str(caught.value).startswith("not in spark: ")
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_every_difference_is_told_with_its_reason_and_makes_one() -> None:
    everything = "\n".join([*(one.sql for one in questions()), CALLS])
    for name, difference in DIFFERENCES.items():
        assert len(difference.reason) > 20, name
        assert set(difference.inexact) <= set(difference.instead), name
    marks = {
        "quantile": "quantile_cont(", "whole": "::BIGINT", "microseconds": "to_microseconds", "range": "range(1000)",
        "each": "FOR i IN", "list_median": "list_median", "sorted": "list(ttft_s ORDER BY", "hash": "hash(", "divide": " / ",
        "order": "ORDER BY n DESC, model", "macro": "FROM goodput", "frame": "OVER last_ones",
    }  # fmt: skip
    assert marks.keys() == DIFFERENCES.keys()
    assert [name for name, mark in marks.items() if mark not in everything] == []
