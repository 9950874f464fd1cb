"""What two engines answer to the 25 questions, side by side."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Any

from recorder.analytics.questions import questions
from recorder.analytics.report import Tables
from recorder.log.files import find_segments
from tests.analytics.lake.lakes import ship
from tests.analytics.lake.made import recording

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


def made(path: Path) -> Path:
    """A recording and its lake."""
    ship(recording(path / "r", SEED), path / "lake", last=True)
    return path


def tables_of(path: Path) -> Tables:
    return Tables(find_segments(path / "r"), report=lambda _: None, salvage=True)


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


def all_differences(tables: Tables, engine: Any) -> dict[str, list[Any]]:
    """By question, where the engine does not answer as DuckDB does. There are 25, and each finds something."""
    expected = {name: asked(tables, name) for name in NAMES}
    assert len(NAMES) == 25
    assert [name for name, (_, rows) in expected.items() if not rows] == [], "a question that asks nothing here"
    assert {*expected["a_b"][1][0][:2]} == {"a", "b"}
    return {name: wrong for name in NAMES if (wrong := differences(name, expected[name], asked(engine, name)))}


def traps(engine: Any) -> dict[str, list[Any]]:
    return {query: list(engine.query(query).rows) for query in TRAPS}
