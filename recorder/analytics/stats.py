"""The summary that everyone asks for: how streams ended, how latencies and rates are spread, how they stalled.

Percentiles are `quantile_cont`: interpolated linearly between the two nearest values.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from .report import Tables
from .selection import Selection

ENOUGH = 100
"""Values that a 99th percentile needs to say more than the maximum does."""
TOO_SMALL = "p99: n too small"
METRICS = {
    "headers_s": "headers_s",
    "first_event_s": "first_event_s",
    "ttft_s": "ttft_s",
    "ttft_s_adjusted": "coalesce(ttft_s, 'inf'::DOUBLE)",
    "ttft_text_s": "ttft_text_s",
    "gap_p99_s": "gap_p99_s",
    "gap_max_s": "gap_max_s",
    "duration_s": "if(outcome = 'complete', duration_s, NULL)",
    "tpot_s": "tpot_s",
    "output_tps": "output_tps",
}
"""Metrics with one value a stream, as SQL over `streams`."""
SPREADS = (*METRICS, "gap_s", "ttft_s_weighted")
"""What a `Spread` can be of."""


class Spread(Struct, kw_only=True):
    """How the `n` values of one metric are spread: over all streams (`group` None) or those of one group.

    Calls that did not ask for a stream are left out. `ttft_s_adjusted` is `ttft_s`, but a stream without output
    counts as infinity. `ttft_s_weighted` weighs each `ttft_s` by itself: of the time that was spent waiting for
    a first output, half was spent in waits of up to its p50. `gap_s` pools the gaps of all streams;
    `gap_p99_s` and `gap_max_s` have one value of each stream. `duration_s` is that of complete streams.
    """

    group: str | None
    metric: str
    n: int
    p50: float
    p95: float
    p99: float
    max: float
    note: str
    """`p99: n too small`, or empty."""


class Outcomes(Struct, kw_only=True):
    """How many streams of all (`group` None) or of one group ended in which way."""

    group: str | None
    streams: int
    outcomes: dict[str, int]
    """The most frequent first."""
    no_output: int
    """How many of those that asked for a stream never got output."""


class Stalls(Struct, kw_only=True):
    """The pauses of more than 2 s, of all streams (`group` None) or of one group that has some."""

    group: str | None
    streams: int
    """With a stall."""
    share: float
    """Of the streams of the group that were to be streams."""
    stalls: int
    stalled_s: float
    stalled_ratio: float | None
    """Of the time that the streams of the group lasted, those without an end left out; None when all are."""
    max_s: float
    kinds: dict[str, int]


class Stats(Struct, kw_only=True):
    """All by the groups of a selection: all together first, then each group, in its order."""

    outcomes: list[Outcomes]
    spreads: list[Spread]
    stalls: list[Stalls]
    ttft_s: list[float]
    """The values themselves, of all streams, ascending."""


def stats(tables: Tables, selection: Selection | None = None) -> Stats:
    """Raises QueryError, for a condition or a column that DuckDB refuses say."""
    selection = selection or Selection()
    outcomes = [
        Outcomes(group=group, streams=n, outcomes=dict(named), no_output=without)
        for group, n, named, without in tables.query(_OUTCOMES.format(selection.sql(), selection.order())).rows
    ]
    place = {one.group: n for n, one in enumerate(outcomes)}
    spreads = [_spread(*row) for row in tables.query(_spreads_of(selection)).rows]
    stalls = [
        Stalls(group=group, **dict(zip(Stalls.__struct_fields__[1:-1], numbers, strict=True)), kinds=dict(kinds))
        for group, *numbers, kinds in tables.query(_STALLS.format(selection.sql())).rows
    ]
    spreads.sort(key=lambda one: place[one.group])
    stalls.sort(key=lambda one: place[one.group])
    ttft = tables.query(_TTFT.format(selection.sql())).rows
    return Stats(outcomes=outcomes, spreads=spreads, stalls=stalls, ttft_s=[value for (value,) in ttft])


_OUTCOMES = """
WITH {0},

counted AS (
    SELECT
        grouping(grp) AS together,
        grp,
        outcome,
        count(*) AS n,
        count(*) FILTER (streaming AND ttft_s IS NULL) AS mute
    FROM chosen
    GROUP BY GROUPING SETS ((outcome), (grp, outcome))
)

SELECT grp, sum(n)::BIGINT AS streams, list((outcome, n) ORDER BY n DESC, outcome), sum(mute)::BIGINT
FROM counted
GROUP BY together, grp
ORDER BY together DESC, {1}
"""
_SPREADS = """
WITH {0},

asked AS (SELECT * FROM chosen WHERE streaming),

singles AS (
    SELECT grp, unnest([{1}], recursive := true)
    FROM asked
),

metrics AS (
    SELECT * FROM singles
    UNION ALL
    SELECT grp, {2}, 'gap_s', gap_s
    FROM events
    INNER JOIN asked USING (stream)
    WHERE gap_s IS NOT NULL
),

plain AS (
    SELECT
        grp,
        metric,
        place,
        count(*) AS n,
        quantile_cont(value, [0.5, 0.95, 0.99]) AS percentiles,
        max(value) AS most
    FROM metrics
    WHERE value IS NOT NULL
    GROUP BY GROUPING SETS ((place, metric), (grp, place, metric))
),

twice AS (
    SELECT unnest([grp, NULL]) AS grp, ttft_s, round(ttft_s * 1e9)::BIGINT AS ttft
    FROM asked
    WHERE ttft_s IS NOT NULL
),

waited AS (
    SELECT
        grp,
        ttft_s,
        sum(ttft) OVER (PARTITION BY grp ORDER BY ttft_s) / sum(ttft) OVER (PARTITION BY grp) AS share
    FROM twice
),

weighted AS (
    SELECT
        grp,
        'ttft_s_weighted' AS metric,
        {3} AS place,
        count(*) AS n,
        [
            min(ttft_s) FILTER (share >= 0.5),
            min(ttft_s) FILTER (share >= 0.95),
            min(ttft_s) FILTER (share >= 0.99)
        ] AS percentiles,
        max(ttft_s) AS most
    FROM waited
    GROUP BY grp
)

SELECT grp, metric, n, percentiles, most
FROM (FROM plain UNION ALL FROM weighted)
ORDER BY place
"""
_STALLS = """
-- sums in whole ns: those of doubles depend on their order, which differs from run to run
WITH {0},

asked AS (SELECT stream, grp, duration_s FROM chosen WHERE streaming),

lasted AS (
    SELECT grp, count(*) AS streams, sum(round(duration_s * 1e9)::BIGINT) AS lasted
    FROM asked
    GROUP BY GROUPING SETS ((), (grp))
),

kinds AS (
    SELECT
        grp,
        kind,
        count(*) AS n,
        sum(round(stall_s * 1e9)::BIGINT) AS stalled,
        sum(round(stall_s * 1e9)::BIGINT) FILTER (duration_s IS NOT NULL) AS of_ended,
        max(stall_s) AS longest_s
    FROM stalls
    INNER JOIN asked USING (stream)
    GROUP BY GROUPING SETS ((kind), (grp, kind))
),

hit AS (
    SELECT grp, count(DISTINCT stream) AS hit
    FROM stalls
    INNER JOIN asked USING (stream)
    GROUP BY GROUPING SETS ((), (grp))
)

SELECT
    kinds.grp,
    any_value(hit),
    any_value(hit / streams),
    sum(n)::BIGINT,
    sum(stalled) / 1e9,
    sum(of_ended) / any_value(lasted),
    max(longest_s),
    list((kind, n) ORDER BY n DESC, kind)
FROM kinds
INNER JOIN lasted ON lasted.grp IS NOT DISTINCT FROM kinds.grp
INNER JOIN hit ON hit.grp IS NOT DISTINCT FROM kinds.grp
GROUP BY kinds.grp
"""
_TTFT = "WITH {0} SELECT ttft_s FROM chosen WHERE streaming AND ttft_s IS NOT NULL ORDER BY ALL"


def _spreads_of(selection: Selection) -> str:
    names = list(METRICS)
    at = {name: n * 10 for n, name in enumerate(names)}
    singles = (f"{{'place': {at[name]}, 'metric': '{name}', 'value': {METRICS[name]}}}" for name in names)
    return _SPREADS.format(selection.sql(), ", ".join(singles), at["gap_p99_s"] - 1, at["ttft_s_adjusted"] + 1)


def _spread(group: str | None, metric: str, n: int, percentiles: Sequence[float], largest: float) -> Spread:
    p50, p95, p99 = percentiles
    note = TOO_SMALL if n < ENOUGH else ""
    return Spread(group=group, metric=metric, n=n, p50=p50, p95=p95, p99=p99, max=largest, note=note)
