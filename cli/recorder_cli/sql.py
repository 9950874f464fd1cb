"""`recorder sql`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from recorder.analytics.report import Answer

from .output import Column, Format, Row, print_rows
from .reading import format_option, paths_argument, salvage_option
from .tables import database_option, load, query_errors
from .text import number

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_NUMBERS = frozenset([*_INTEGERS, *(f"U{name}" for name in _INTEGERS), "FLOAT", "DOUBLE"])


@click.command
@click.argument("query")
@paths_argument
@salvage_option
@database_option
@format_option
def sql(query: str, paths: tuple[Path, ...], salvage: bool, db: str | None, output: Format) -> None:
    """Run a query over recordings as tables.

    QUERY is DuckDB's SQL. The tables are streams (one row per attempt, with its metrics), calls (retries
    together), blocks, events and stalls; "DESCRIBE streams" lists the columns of one. Times that end in _s
    are seconds. recorder ask has questions that are asked often, as SQL to begin with.

    The tables are kept in a DuckDB file beside the recordings (.recorder.duckdb in a directory), and what is
    new is loaded first. It holds no text: queries that ask for data, text or request read the recordings.

    \b
    recorder sql "FROM streams" recordings/
    recorder sql "SELECT model, count(*) n, median(ttft_s) ttft_p50_s FROM streams GROUP BY model" recordings/
    recorder sql "FROM stalls ORDER BY stall_s DESC LIMIT 10" recordings/ --format csv
    """
    with query_errors():
        print_answer(load(paths, salvage=salvage, payloads=True, db=db).query(query), output)


def print_answer(answer: Answer, output: Format) -> None:
    columns = _columns(answer)
    print_rows(_rows(answer, columns, nested=output in ("json", "jsonl")), columns, output)


def _columns(answer: Answer) -> list[Column]:
    """A second column of one name gets a number, for a row is a mapping."""
    taken: dict[str, int] = {}
    columns: list[Column] = []
    for name, kind in answer.columns:
        taken[name] = taken.get(name, 0) + 1
        unique = name if taken[name] == 1 else f"{name}_{taken[name]}"
        columns.append(
            Column(unique, number, right=kind in _NUMBERS or kind.startswith("DECIMAL"), spare=len(columns))
        )
    return columns


def _rows(answer: Answer, columns: list[Column], *, nested: bool) -> Iterator[Row]:
    """`nested`: what DuckDB calls JSON becomes part of the document, not a string in it."""
    documents = [n for n, (_, kind) in enumerate(answer.columns) if nested and kind == "JSON"]
    for values in answer.rows:
        cells = list(values)
        for n in documents:
            cells[n] = json.loads(cells[n]) if isinstance(cells[n], str) else cells[n]
        yield {column.name: cell for column, cell in zip(columns, cells, strict=True)}
