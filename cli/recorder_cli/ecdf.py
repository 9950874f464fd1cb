"""A cumulative distribution in text: which share of the values is no larger than what stands below.

Our own few lines: the library that fits, plotext, has another programming interface from each major version to the
next, and takes longer to load than the rest of the command.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence

MARKS = "●▲■◆○△□◇"
"""One for each series, so that they are told apart without colours. Eight: the ones after begin again."""
_HEIGHT = 16
_LABEL = 6
_LEAST = 20


def ecdf(series: Mapping[str, Sequence[float]], unit: str, width: int) -> list[str]:
    """Lines of at most `width` columns; empty when no series has a value above 0. The scale is logarithmic."""
    known = {name: sorted(value for value in values if 0 < value < math.inf) for name, values in series.items()}
    known = {name: values for name, values in known.items() if values}
    if not known:
        return []
    low, high = min(values[0] for values in known.values()), max(values[-1] for values in known.values())
    high = high if high > low else low * 1.1
    room = max(_LEAST, width - _LABEL - 2)
    grid = [[" "] * room for _ in range(_HEIGHT)]
    for n, values in enumerate(known.values()):
        _draw(grid, values, low, high, MARKS[n % len(MARKS)])
    lines = [f"{_share(row):>{_LABEL}} ┤{''.join(cells).rstrip()}" for row, cells in enumerate(grid)]
    legend = [
        f"{MARKS[n % len(MARKS)]} {name} (n = {len(values):,})" for n, (name, values) in enumerate(known.items())
    ]
    return [*lines, *_axis(low, high, unit, room), *legend]


def _draw(grid: list[list[str]], values: Sequence[float], low: float, high: float, mark: str) -> None:
    room = len(grid[0])
    before: int | None = None
    for column in range(room):
        edge = low * (high / low) ** ((column + 1) / room)
        share = bisect_right(values, edge * (1 + 1e-12)) / len(values)
        row = round((1 - share) * (_HEIGHT - 1))
        if share:
            for between in range(row, max(row + 1, row if before is None else before)):
                grid[between][column] = mark
            before = row
        if share == 1:
            return


def _share(row: int) -> str:
    return f"{100 * (1 - row / (_HEIGHT - 1)):.0f} %" if row % 3 == 0 else ""


def _axis(low: float, high: float, unit: str, room: int) -> list[str]:
    """Ticks at round values, as many as there is room for."""
    line, labels = ["─"] * room, [" "] * (room + 8)
    free = 0
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        for step in (1, 2, 5):
            value = step * 10.0**power
            column = round(math.log(value / low) / math.log(high / low) * room)
            text = f"{value:g}"
            if free <= column < room:
                line[column] = "┬"
                labels[column : column + len(text)] = text
                free = column + len(text) + 2
    start = " " * (_LABEL + 2)
    return [f"{' ' * _LABEL} └{''.join(line)}", f"{start}{''.join(labels).rstrip()} {unit}"]
