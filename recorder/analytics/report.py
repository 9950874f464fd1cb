"""Questions to the tables, answered as rows: a query of one's own, and the summary that everyone asks for.

Percentiles are `quantile_cont`: interpolated linearly between the two nearest values.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from msgspec import Struct

from recorder.log.reader import Report

from .attach import new_connection
from .database import Database, Note, load_file, load_in_memory, tell_errors
from .load import Advance

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
    """Recordings as tables. `streams`: how many there are; `kept`: the database's file holds all of them."""

    def __init__(
        self,
        files: Sequence[Path],
        *,
        salvage: bool = False,
        report: Report,
        payloads: bool = True,
        database: Database | None = None,
        note: Note | None = None,
        advance: Advance | None = None,
    ) -> None:
        """Load what is not loaded: into `database`, else in memory. `report` is told of every line that is left
        out, `note` when a database cannot be used as it was meant; `advance` how far loading is.

        Without `payloads`, queries get no text: `data` and `text` of events and the requests are NULL. Raises
        RecordingError as `read_records` does, and QueryError when DuckDB cannot load them, for want of memory say.
        """
        self._connection = new_connection()
        self.kept = False
        root = database.file.absolute().parent if database else None
        with _duckdb_errors():
            if database is None:
                texts = load_in_memory(self._connection, files, report=report, advance=advance)
            else:
                texts, self.kept = load_file(
                    self._connection, database, files, report=report, note=note or _ignore, advance=advance
                )
            tell_errors(self._connection, files, root, salvage=salvage, report=report)
            self._texts = texts if payloads else None
            ((self.streams,),) = self._connection.execute("SELECT count(*) FROM streams").fetchall()

    def relation(self, query: str) -> duckdb.DuckDBPyRelation:
        """A query as DuckDB's own lazy relation. Raises what DuckDB raises."""
        self._prepare(query)
        return self._connection.sql(query)

    def query(self, query: str) -> Answer:
        """Run a query; of several statements, the last one answers. Raises QueryError."""
        with _duckdb_errors():
            self._prepare(query)
            cursor = self._connection.cursor().execute(query)
            described: list[tuple[Any, ...]] = getattr(cursor, "description", None) or []
            columns = [(str(name), str(kind)) for name, kind, *_ in described]
            zoned = any(_WITH_ZONE in kind for _, kind in columns)
            rows = iter(_as_text(self._connection.sql(query), columns)) if zoned else _batches(cursor)
            return Answer(columns, rows)

    def _prepare(self, query: str) -> None:
        if self._texts is not None:
            self._texts.prepare(self._connection, query)

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
    WHERE streamed OR streamed IS NULL AND request_model IS NULL OR events > 0
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


def _ignore(note: str) -> None:
    """Nobody asked for it."""
