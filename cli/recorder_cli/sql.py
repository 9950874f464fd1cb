"""`recorder sql`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from recorder.analytics.report import Answer

from .errors import Exit, Failure
from .output import Column, Format, Row, print_rows
from .reading import format_option, salvage_option
from .tables import database_option, load, query_errors
from .text import number

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_ENGINES = "clickhouse://local, spark://local or spark://HOST:PORT"
_ENGINE = f"Who answers, of a lake: {_ENGINES}.  [default: DuckDB, of recordings]"
_NUMBERS = frozenset([*_INTEGERS, *(f"U{name}" for name in _INTEGERS), "FLOAT", "DOUBLE"])


@click.command
@click.argument("query")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@salvage_option
@database_option
@click.option("--engine", metavar="URL", help=_ENGINE)
@format_option
def sql(
    query: str, paths: tuple[str, ...], salvage: bool, db: str | None, engine: str | None, output: Format
) -> None:
    """Run a query over recordings as tables.

    QUERY is DuckDB's SQL. The tables are streams (one row per attempt, with its metrics), calls (retries
    together), blocks, events and stalls; "DESCRIBE streams" lists the columns of one. Times that end in _s
    are seconds. recorder ask has questions that are asked often, as SQL to begin with.

    The tables are kept in a DuckDB file beside the recordings (.recorder.duckdb in a directory), and what is
    new is loaded first. It holds no text: queries that ask for data, text or request read the recordings.

    With --engine clickhouse://local PATH is the URL of a lake that recorder ship filled, and ClickHouse answers,
    in this process: the query is turned into its dialect. That needs sse-recorder[clickhouse]. So does Spark:
    with spark://HOST:PORT the workers of a standalone cluster read the lake, with spark://local this machine. That
    needs sse-recorder[spark] and Java 17.

    \b
    recorder sql "FROM streams" recordings/
    recorder sql "SELECT model, count(*) n, median(ttft_s) ttft_p50_s FROM streams GROUP BY model" recordings/
    recorder sql "FROM stalls ORDER BY stall_s DESC LIMIT 10" recordings/ --format csv
    recorder sql "FROM streams" s3://bucket/lake --engine clickhouse://local
    recorder sql "FROM streams" /mnt/lake --engine spark://10.0.0.7:7077
    """
    with query_errors():
        if engine is not None:
            _ask_engine(engine, query, paths, output)
        else:
            tables = load([Path(path) for path in paths], salvage=salvage, payloads=True, db=db)
            print_answer(tables.query(query), output)


def _ask_engine(engine: str, query: str, paths: Sequence[str], output: Format) -> None:
    from recorder.analytics.dialects import Untranslatable
    from recorder.analytics.lake.engines import CLICKHOUSE, ClickHouse
    from recorder.analytics.lake.spark import NoEngine, Spark
    from recorder.analytics.lake.store import Store

    from .lakes import store_errors

    if engine != CLICKHOUSE and not engine.startswith("spark://"):
        raise click.UsageError(f"--engine {engine}: it is {_ENGINES}")
    if len(paths) != 1:
        raise click.UsageError("--engine takes one lake")
    with store_errors():
        try:
            store = Store(paths[0])
            with ClickHouse(store) if engine == CLICKHOUSE else Spark(store, engine) as one:
                print_answer(one.query(query), output)
        except Untranslatable as error:
            raise Failure(str(error), Exit.SQL) from None
        except NoEngine as error:
            raise Failure(str(error), Exit.USAGE) from None


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
