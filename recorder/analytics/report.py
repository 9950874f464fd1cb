"""Questions to the tables, answered as rows: a query of one's own, and the summary that everyone asks for.

Percentiles are `quantile_cont`: interpolated linearly between the two nearest values.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
from msgspec import Struct

from recorder.log.reader import Report, copy_readable, read_records
from recorder.log.streams import read_streams

from .database import connect, is_empty

ENOUGH = 100
"""Values that a 99th percentile needs to say more than the maximum does."""
_BATCH = 1000
_WITH_ZONE = "TIME ZONE"


class QueryError(ValueError):
    """DuckDB refused a query, or failed in it. The message is DuckDB's own, with the place in the query."""


class Answer(Struct):
    """`columns`: (name, DuckDB type); `rows`: read as they are asked for, which may raise QueryError."""

    columns: list[tuple[str, str]]
    rows: Iterator[tuple[Any, ...]]


class Spread(Struct, kw_only=True):
    """How the `n` values of one metric are spread: over all streams (`model` None) or those of one model.

    Calls that did not ask for a stream are left out. `ttft_s_adjusted` is `ttft_s`, but a stream without output
    counts as infinity. `gap_s` pools the gaps of all streams; `gap_max_s` has the longest gap of each.
    `duration_s` is that of complete streams.
    """

    model: str | None
    metric: str
    n: int
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None
    note: str
    """`p99: n too small`; how many streams had no output."""


class Outcomes(Struct, kw_only=True):
    """How many streams of all (`model` None) or of one model ended in which way."""

    model: str | None
    streams: int
    outcomes: dict[str, int]
    """The most frequent first."""


class Stats(Struct, kw_only=True):
    """Both by the model that was asked for: all together first, then the ones with the most streams.

    The model that answered often has another name, and where none answered there is none.
    """

    outcomes: list[Outcomes]
    spreads: list[Spread]
    ttft_s: list[float]
    """The values themselves, of all streams."""


class Tables:
    """Recordings loaded into tables. `streams`: how many there are."""

    def __init__(
        self, files: Sequence[Path], *, salvage: bool = False, report: Report, payloads: bool = True
    ) -> None:
        """Load. `report` is told of every line that is left out.

        Without `payloads`, what the events said is not there. Raises RecordingError as `read_records` does, and
        QueryError when DuckDB cannot load them, for want of memory say.
        """
        with _duckdb_errors():
            self._connection = connect(files, payloads=payloads)
            if self._connection.execute(_IS_ODD).fetchall() == [(False,)]:
                _tell_left_out(self._connection, files, salvage=salvage, report=report)
            else:
                _leave_out_odd(self._connection, files, payloads=payloads, salvage=salvage, report=report)
        ((self.streams,),) = self._connection.execute("SELECT count(*) FROM streams").fetchall()

    def relation(self, query: str) -> duckdb.DuckDBPyRelation:
        """A query as DuckDB's own lazy relation. Raises what DuckDB raises."""
        return self._connection.sql(query)

    def query(self, query: str) -> Answer:
        """Run a query; of several statements, the last one answers. Raises QueryError."""
        with _duckdb_errors():
            cursor = self._connection.cursor().execute(query)
            described: list[tuple[Any, ...]] = getattr(cursor, "description", None) or []
            columns = [(str(name), str(kind)) for name, kind, *_ in described]
            zoned = any(_WITH_ZONE in kind for _, kind in columns)
            rows = iter(_as_text(self._connection.sql(query), columns)) if zoned else _batches(cursor)
            return Answer(columns, rows)

    def stats(self) -> Stats:
        """The spread of latencies and rates, and the outcomes, overall and by model."""
        run = self._connection.execute
        with _duckdb_errors():
            rows = run(_OUTCOMES).fetchall()
            spreads = [_spread(*row) for row in run(_SPREADS).fetchall()]
            ttft = run("SELECT ttft_s FROM streams WHERE ttft_s IS NOT NULL ORDER BY ALL").fetchall()
        outcomes = [Outcomes(model=model, streams=n, outcomes=dict(named)) for model, n, named in rows]
        order = {one.model: place for place, one in enumerate(outcomes)}
        spreads.sort(key=lambda spread: order[spread.model])
        return Stats(outcomes=outcomes, spreads=spreads, ttft_s=[value for (value,) in ttft])


_OUTCOMES = """
WITH counted AS (
    SELECT grouping(model) AS together, model, outcome, count(*) AS n
    FROM (SELECT coalesce(request_model, model, '(unknown)') AS model, outcome FROM streams)
    GROUP BY GROUPING SETS ((outcome), (model, outcome))
)

SELECT model, sum(n)::BIGINT AS streams, list((outcome, n) ORDER BY n DESC, outcome)
FROM counted
GROUP BY together, model
ORDER BY together DESC, streams DESC, model
"""
_SPREADS = """
WITH asked AS (
    SELECT
        * REPLACE (coalesce(request_model, model, '(unknown)') AS model),
        if(outcome = 'complete', duration_s, NULL) AS complete_s
    FROM streams
    WHERE request IS NULL OR json_extract_string(request, '$.stream') = 'true' OR events > 0
),

metrics AS (
    SELECT
        model,
        unnest([
            {'place': 1, 'metric': 'headers_s', 'value': headers_s},
            {'place': 2, 'metric': 'first_event_s', 'value': first_event_s},
            {'place': 3, 'metric': 'ttft_s', 'value': ttft_s},
            {'place': 4, 'metric': 'ttft_s_adjusted', 'value': coalesce(ttft_s, 'inf'::DOUBLE)},
            {'place': 5, 'metric': 'ttft_text_s', 'value': ttft_text_s},
            {'place': 7, 'metric': 'gap_max_s', 'value': gap_max_s},
            {'place': 8, 'metric': 'duration_s', 'value': complete_s},
            {'place': 9, 'metric': 'tpot_s', 'value': tpot_s},
            {'place': 10, 'metric': 'output_tps', 'value': output_tps}
        ], recursive := true)
    FROM asked
    UNION ALL
    SELECT model, 6, 'gap_s', gap_s
    FROM events
    INNER JOIN asked USING (stream)
)

SELECT
    model,
    metric,
    count(value),
    quantile_cont(value, [0.5, 0.95, 0.99]),
    max(value),
    count(*) FILTER (value = 'inf'::DOUBLE)
FROM metrics
WHERE value IS NOT NULL
GROUP BY GROUPING SETS ((place, metric), (model, place, metric))
ORDER BY place
"""


_IS_ODD = """
SELECT
    EXISTS (FROM streams WHERE call IS NULL)
    OR EXISTS (FROM events WHERE stream IS NULL OR seq IS NULL OR wait IS NULL OR chunk IS NULL)
"""


def _spread(
    model: str | None, metric: str, n: int, percentiles: Sequence[float], largest: float, infinite: int
) -> Spread:
    notes = [f"{infinite:,} of {n:,} without output"] if infinite else []
    notes += ["p99: n too small"] if n < ENOUGH else []
    p50, p95, p99 = percentiles
    return Spread(model=model, metric=metric, n=n, p50=p50, p95=p95, p99=p99, max=largest, note="; ".join(notes))


def _as_text(relation: duckdb.DuckDBPyRelation, columns: Sequence[tuple[str, str]]) -> list[tuple[Any, ...]]:
    """All rows, times with a zone as text: as Python values they need a package that DuckDB does not bring."""
    names = [f"column_{n}" for n in range(len(columns))]
    casts = [
        f"{name}::VARCHAR" if _WITH_ZONE in kind else name for name, (_, kind) in zip(names, columns, strict=True)
    ]
    query = f"SELECT {', '.join(casts)} FROM answer AS answer ({', '.join(names)})"  # noqa: S608 - names of ours
    result = relation.query("answer", query)
    return result.fetchall() if result is not None else []


def _batches(cursor: Any) -> Iterator[tuple[Any, ...]]:
    """The rows of a cursor; None is what there is of no statement at all."""
    with _duckdb_errors():
        while cursor is not None and (rows := cursor.fetchmany(_BATCH)):
            yield from rows


@contextmanager
def _duckdb_errors() -> Generator[None]:
    """What DuckDB raises, as QueryError; its answer to control-C as what it is."""
    try:
        yield
    except duckdb.Error as error:
        raise QueryError(str(error)) from None
    except RuntimeError as error:
        if "interrupted" in str(error):
            raise KeyboardInterrupt from None
        raise


def _tell_left_out(
    connection: duckdb.DuckDBPyConnection, files: Sequence[Path], *, salvage: bool, report: Report
) -> None:
    """DuckDB knows which files have lines that it cannot read; the reader knows which lines, and why."""
    found = connection.execute("SELECT DISTINCT file FROM left_out WHERE lines > 0").fetchall()
    broken = {name for (name,) in found}
    for file in dict.fromkeys(files):
        if str(file) in broken or is_empty(file):
            for _ in read_records(file, salvage=salvage, report=report):
                pass


def _leave_out_odd(
    connection: duckdb.DuckDBPyConnection, files: Sequence[Path], *, payloads: bool, salvage: bool, report: Report
) -> None:
    """DuckDB takes lines that are JSON and no records, and streams without a request: the reader does not."""
    for _ in read_streams(files, salvage=salvage, report=report):
        pass
    with TemporaryDirectory(prefix="recorder-") as directory:
        copies = [Path(directory) / f"{n}.jsonl" for n in range(len(files))]
        for file, copy in zip(files, copies, strict=True):
            with copy.open("wb") as target:
                copy_readable(file, target)
        connect(copies, connection=connection, payloads=payloads)
    connection.execute("DELETE FROM streams WHERE call IS NULL").fetchall()
