"""A histogram in text: for a first look at how a metric is spread."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

LINES = 10
_WIDTH = 40
_WIDE = 30
"""Largest over smallest value from which the bins are equal on a logarithmic scale."""
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def histogram(values: Iterable[float], unit: str) -> list[str]:
    """Lines of `from – to unit  bar  count`, at most 10; empty for no finite value.

    Bins are equally wide, or of equal ratio when the largest value is many times the smallest.
    """
    known = sorted(value for value in values if math.isfinite(value))
    if not known:
        return []
    edges = _edges(known[0], known[-1], min(LINES, 1 + math.isqrt(len(known))))
    counts = [0] * (len(edges) - 1)
    place = 0
    for value in known:
        while place < len(counts) - 1 and value >= edges[place + 1]:
            place += 1
        counts[place] += 1
    labels = [_label(edge, edges) for edge in edges]
    wide, most = max(map(len, labels)), max(counts)
    return [
        f"{low:>{wide}} – {high:>{wide}} {unit}  {_bar(count / most):<{_WIDTH}}  {count:>{len(str(most))}}"
        for (low, high), count in zip(pairwise(labels), counts, strict=True)
    ]


def _edges(low: float, high: float, bins: int) -> list[float]:
    if low == high:
        return [low, high]
    if low > 0 and high / low >= _WIDE:
        ratio = (high / low) ** (1 / bins)
        return [low * ratio**n for n in range(bins)] + [high]
    return [low + (high - low) * n / bins for n in range(bins)] + [high]


def _label(edge: float, edges: Sequence[float]) -> str:
    """With as many digits as tell the edges apart."""
    step = min((after - before for before, after in pairwise(edges)), default=0)
    digits = 3 if step <= 0 else max(0, min(6, 1 - math.floor(math.log10(step))))
    return f"{edge:.{digits}f}"


def _bar(share: float) -> str:
    whole, eighths = divmod(round(share * _WIDTH * 8), 8)
    return "█" * whole + (_EIGHTHS[eighths] if eighths else "")
