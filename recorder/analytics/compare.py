"""A against B: by how much the quantiles of a metric differ, with an interval.

The interval is a percentile bootstrap: A and B are drawn anew from their own values, as many as there are, again
and again. A quantile of such a draw is all that is needed of it, and which values it lies between can be drawn
by itself: the k-th smallest of n numbers drawn from the uniform distribution has the beta distribution
(k, n + 1 - k). So each draw costs the same whatever n is, and what comes out has the very distribution that
drawing n values would give. Streams are taken as independent of each other.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from msgspec import Struct

from .quoting import literal
from .report import Tables
from .selection import Selection
from .stats import METRICS

QUANTILES = (0.5, 0.9, 0.95, 0.99)
DRAWS = 2000
CONFIDENCE = 0.95
SEED = 20_261_121
_FEWEST = 10
"""Values below which no interval is worth much; a 95th percentile needs 20, a 99th 100."""


class Shift(Struct, kw_only=True):
    """One quantile of one metric: in A, in B, and B less A.

    `low`, `high`: the interval of the difference; None when there is none: infinity less infinity. `note`: `n too
    small` (under 10 values; under 20 for p95, 100 for p99), or `may be chance` (0 is in the interval).
    """

    metric: str
    quantile: str
    n_a: int
    n_b: int
    a: float
    b: float
    difference: float | None
    low: float | None
    high: float | None
    note: str


Values = dict[str, list[float]]
"""Ascending, by metric."""


def values_of(tables: Tables, selection: Selection, group: str | None = None) -> Values:
    """One value of each stream that has one, of all metrics with one value a stream; of one group, if given.

    Raises QueryError.
    """
    within = "" if group is None else f"AND grp = {literal(group)}"
    lists = ", ".join(
        f"coalesce(list_sort(list({sql}) FILTER ({sql} IS NOT NULL)), []) AS {metric}"
        for metric, sql in METRICS.items()
    )
    [row] = tables.query(f"WITH {selection.sql()} SELECT {lists} FROM chosen WHERE streaming {within}").rows  # noqa: S608
    return dict(zip(METRICS, row, strict=True))


def compare(a: Values, b: Values, *, draws: int = DRAWS, seed: int = SEED) -> list[Shift]:
    """Every quantile of QUANTILES of each metric that both have. The same seed gives the same intervals."""
    dice = random.Random(seed)  # noqa: S311 - statistics, no secret
    return [
        _shift(metric, quantile, a[metric], b[metric], draws, dice)
        for metric in a
        if a[metric] and b.get(metric)
        for quantile in QUANTILES
    ]


def quantile_cont(ordered: Sequence[float], quantile: float) -> float:
    """As DuckDB's: interpolated linearly between the two nearest of the values."""
    place = (len(ordered) - 1) * quantile
    return _between(ordered, math.floor(place), math.ceil(place), place - math.floor(place))


def drawn(ordered: Sequence[float], quantile: float, dice: random.Random) -> float:
    """The quantile of as many values drawn, with replacement, from these."""
    n = len(ordered)
    place = (n - 1) * quantile
    k = math.floor(place) + 1
    low = dice.betavariate(k, n + 1 - k)
    high = low + (1 - low) * dice.betavariate(1, n - k) if place % 1 else low
    return _between(ordered, _index(low, n), _index(high, n), place % 1)


def _index(uniform: float, n: int) -> int:
    return min(int(uniform * n), n - 1)


def _between(ordered: Sequence[float], low: int, high: int, share: float) -> float:
    below, above = ordered[low], ordered[high]
    return below if below == above or not share else below + (above - below) * share


def _shift(
    metric: str, quantile: float, a: Sequence[float], b: Sequence[float], draws: int, dice: random.Random
) -> Shift:
    differences = sorted(drawn(b, quantile, dice) - drawn(a, quantile, dice) for _ in range(draws))
    known = not any(map(math.isnan, differences))
    tail = (1 - CONFIDENCE) / 2
    low, high = (quantile_cont(differences, tail), quantile_cont(differences, 1 - tail)) if known else (None, None)
    at_a, at_b = quantile_cont(a, quantile), quantile_cont(b, quantile)
    few = min(len(a), len(b)) < max(_FEWEST, round(1 / (1 - quantile)))
    chance = low is not None and high is not None and low <= 0 <= high
    return Shift(
        metric=metric,
        quantile=f"p{quantile * 100:g}",
        n_a=len(a),
        n_b=len(b),
        a=at_a,
        b=at_b,
        difference=None if math.isnan(at_b - at_a) else at_b - at_a,
        low=low,
        high=high,
        note="n too small" if few else "may be chance" if chance else "",
    )
