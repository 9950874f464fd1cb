"""SCHEMA.md is what the database says of itself; `python tests/analytics/test_schema.py` writes it anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb

from recorder.analytics import database
from recorder.analytics.database import connect
from recorder.core.timing import Timing

PATH = Path(database.__file__).with_name("SCHEMA.md")
FIRST = ("calls", "streams", "blocks", "events", "stalls", "gap_histogram", "load_errors")
HEAD = """# The tables

What `recorder sql`, `recorder.open(path).sql` and a file that `recorder load` made have in them. Times that end in
`_s` are seconds as DOUBLE, computed from integer nanoseconds in the last step. A number that there is not is NULL, never
0. Percentiles interpolate linearly, as `quantile_cont` does. *Output* is an event with model output in it: a delta of
text, thinking, tool input or citations that is not empty, or a block that arrives whole in its start.

The same text is in the database: `SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'streams'`.

Three macros stand beside the tables:

| | |
|---|---|
| `FROM goodput(ttft := 2, tpot := 0.05, duration := 60, gap := 1)` | share of the calls sent that were complete and met every limit given (s), by model and together (`model` NULL): `model`, `calls`, `met`, `goodput` |
| `FROM fluidity(start_s := 2, chars_per_s := 20)` | by stream, the share of its output that was there when somebody who reads at that pace came to it, and how far it fell behind at worst: `stream`, `fluidity`, `late_s` |
| `FROM gap_percentiles()` | the gaps of all streams pooled, by model and together (`model` NULL), from `gap_histogram` in a few ms: within 0.8 % of `quantile_disc(gap_s, …)` over `events`: `model`, `gaps`, `gap_p50_s`, `gap_p95_s`, `gap_p99_s` |
"""


def tables(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    rows = connection.execute(
        "SELECT view_name, comment FROM duckdb_views() WHERE database_name = 'recording' AND schema_name = 'main'"
        " AND NOT internal ORDER BY view_name"
    ).fetchall()
    return sorted(rows, key=lambda row: FIRST.index(row[0]) if row[0] in FIRST else len(FIRST))


def columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, str, str]]:
    return connection.execute(
        "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE database_name = 'recording'"
        " AND schema_name = 'main' AND table_name = ? ORDER BY column_index",
        [table],
    ).fetchall()


def render(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    yield HEAD
    for table, comment in tables(connection):
        yield f"\n## {table}\n\n{comment}\n\n| column | type | |\n|---|---|---|\n"
        for name, kind, says in columns(connection, table):
            yield f"| `{name}` | {kind} | {says} |\n"


def test_it_says_what_is_in_the_database() -> None:
    connection = connect([])
    assert PATH.read_text("utf-8") == "".join(render(connection))


def test_every_table_and_every_column_is_explained() -> None:
    connection = connect([])
    found = tables(connection)
    assert [name for name, _ in found][: len(FIRST)] == list(FIRST)
    assert [name for name, comment in found if not comment] == []
    explained = {name: columns(connection, name) for name, _ in found}
    assert [(table, row[0]) for table, rows in explained.items() for row in rows if not row[2]] == []
    assert set(Timing.__struct_fields__) <= {row[0] for row in explained["streams"]}


if __name__ == "__main__":
    PATH.write_text("".join(render(connect([]))), "utf-8")
