"""A stream on one line: time goes to the right, and a column shows what went on in its part of it."""

from __future__ import annotations

from collections.abc import Sequence

from recorder.core.arrivals import Stream as Arrivals
from recorder.core.records import Event, Gap
from recorder.core.timing import STALL_S
from recorder.log.streams import Stream

HEADERS, FIRST, IDLE, STALL, PING, DROPPED = "░", "▒", " ", "·", "•", "?"
_HEIGHTS = "▁▂▃▄▅▆▇█"
LEGEND = (
    f"{HEADERS} wait for headers  {FIRST} wait for output  {_HEIGHTS[0]}{_HEIGHTS[-1]} characters  "
    f"{STALL} stall  {PING} ping  {DROPPED} not recorded"
)


def oneline(stream: Stream, columns: int, end_s: float | None = None) -> str:
    """At most `columns` characters, for `end_s` seconds (None: as long as the stream took).

    The height is of the most characters that any column has. Where a stall and a ping are in one column, the ping
    is shown; where output is too, that.
    """
    arrivals = Arrivals(stream.records)
    end = round(end_s * 1e9) if end_s else arrivals.last_at
    if end <= 0 or not arrivals.arrivals:
        return ""
    last = min(columns - 1, _column(arrivals.last_at, end, columns))
    cells = [IDLE] * (last + 1)
    _waits(cells, arrivals, end, columns)
    for pause in arrivals.pauses:
        if pause.ns > STALL_S * 1e9 and isinstance(arrivals.arrivals[pause.before].record, Event):
            before, after = arrivals.arrivals[pause.before].at, arrivals.arrivals[pause.after].at
            _fill(cells, _column(before, end, columns) + 1, _column(after, end, columns), STALL)
    for arrival in arrivals.arrivals:
        place = min(last, _column(arrival.at, end, columns))
        if isinstance(arrival.record, Gap):
            cells[place] = DROPPED
        elif isinstance(arrival.record, Event) and arrival.record.event == "ping":
            cells[place] = PING
    _characters(cells, arrivals.outputs, end, columns)
    return "".join(cells)


def _column(at: int, end: int, columns: int) -> int:
    return at * columns // end


def _fill(cells: list[str], start: int, stop: int, mark: str) -> None:
    for place in range(max(0, start), min(stop, len(cells))):
        cells[place] = mark


def _waits(cells: list[str], stream: Arrivals, end: int, columns: int) -> None:
    headers = stream.response.at if stream.response else stream.last_at
    _fill(cells, 0, _column(headers, end, columns) + 1, HEADERS)
    if stream.response and stream.outputs:
        first = _column(stream.outputs[0].at, end, columns)
        _fill(cells, _column(headers, end, columns) + 1, first, FIRST)


def _characters(cells: list[str], outputs: Sequence[Event], end: int, columns: int) -> None:
    sums = [0] * len(cells)
    for event in outputs:
        sums[min(len(cells) - 1, _column(event.at, end, columns))] += event.chars or 0
    most = max(sums, default=0)
    for place, chars in enumerate(sums):
        if chars:
            cells[place] = _HEIGHTS[max(0, -(-chars * len(_HEIGHTS) // most) - 1)]
