"""What the page knows: a row for every stream, the gaps and stalls of all, and the events of a few of them.

A table goes to the page column by column. Times become whole numbers of 10 µs, names numbers of a list.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from importlib.resources import files as resources
from pathlib import Path
from random import Random
from typing import Any, Protocol, cast

from msgspec import Struct

from recorder.log.pick import pick_streams

from .detail import Row, detail

UNIT_S = 1e-5
STALLS = 20_000
"""As in sql/stalls.sql."""
GROUPS = 7
"""Models that have a colour of their own; Okabe and Ito gave eight colours, one of which is for the rest."""
OTHERS = "(other models)"
DETAILS_BYTES = 24 << 20
"""What the details may take in memory, about; they compress to a fifth."""
_SECONDS = (
    *("headers_s", "first_event_s", "ttft_s", "ttft_text_s", "stream_s", "tail_s", "duration_s", "gap_p50_s"),
    *("gap_p99_s", "gap_max_s", "stalled_s", "hold_s", "ttft_call_s", "duration_call_s"),
)
_NAMES = ("model", "tags", "outcome", "error_type", "call")
_PLAIN = ("stream", "attempt", "wall_ms", "status", "stalls", "pings", "events", "output_chars", "output_tokens")
_STALL = ("stream", "seq", "kind", "type", "start_s", "stall_s", "hold_s", "pings")
_SCALED = {"tpot_s": 1e6, "cache_share": 1e3}


class Answers(Protocol):
    """What is asked of loaded tables: `analytics.report.Tables` is one."""

    def query(self, query: str) -> Any: ...


class Data(Struct, kw_only=True):
    """`columns`: of the streams, by when they were sent; `names`: what the numbers in a column of names stand
    for. `gaps`: of stream `n` those from `starts[n]` up to `starts[n + 1]`; `codes` are `type * 1000 + bin + 500`.
    """

    count: int
    groups: list[str]
    """Models that have a colour, the most frequent first."""
    columns: dict[str, list[Any]]
    names: dict[str, list[Any]]
    gaps: dict[str, list[Any]]
    stalls: dict[str, list[Any]]
    more_stalls: bool
    """There are shorter ones, too."""


OPEN = "open"
"""Outcome of a stream that goes on."""


def empty_data() -> Data:
    """Of no stream."""
    names = (*_NAMES, *_PLAIN, "input", *_SECONDS, *_SCALED, "consumer_bound", "last")
    return Data(
        count=0,
        groups=[],
        columns={name: [] for name in names},
        names={name: [] for name in _NAMES},
        gaps={"types": [], "starts": [0], "codes": [], "counts": []},
        stalls={name: [] for name in _STALL},
        more_stalls=False,
    )


def read_data(tables: Answers, running: Collection[str] = ()) -> Data:
    """`running`: streams that have no end yet, but are not lost. Raises QueryError."""
    names, table = _query(tables, "streams")
    columns = dict(zip(names, map(list, zip(*table, strict=True)), strict=True)) if table else {}
    _, stalls = _query(tables, "stalls")
    if not table:
        return empty_data()
    _mark_open(columns, running)
    places = {stream: place for place, stream in enumerate(columns["stream"])}
    models = Counter(columns["model"])
    groups = [model for model, _ in models.most_common()]
    return Data(
        count=len(places),
        groups=groups if len(groups) <= GROUPS else [*groups[: GROUPS - 1], OTHERS],
        gaps=_gaps(_query(tables, "gaps")[1], places),
        stalls=_stalls(stalls, places),
        more_stalls=len(stalls) == STALLS,
        **_encoded(columns),
    )


def _query(tables: Answers, name: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    sql = resources("recorder.report").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    answer = tables.query(sql)
    return [column for column, _ in answer.columns], list(answer.rows)


def _encoded(columns: dict[str, list[Any]]) -> dict[str, Any]:
    out: dict[str, list[Any]] = {name: columns[name] for name in _PLAIN}
    names: dict[str, list[Any]] = {}
    out["input"] = columns["input"]
    for name in _SECONDS:
        out[name] = _times(columns[name], 1 / UNIT_S)
    for name, scale in _SCALED.items():
        out[name] = _times(columns[name], scale)
    for name in ("consumer_bound", "last"):
        out[name] = [int(bool(value)) for value in columns[name]]
    for name in _NAMES:
        out[name], names[name] = _numbered(columns[name])
    return {"columns": out, "names": names}


def _times(values: Iterable[float | None], scale: float) -> list[int | None]:
    return [None if value is None else round(value * scale) for value in values]


def _numbered(values: Sequence[Any]) -> tuple[list[int], list[Any]]:
    """Each value as its place in a list of all that there are. Tags are mappings."""
    places: dict[Any, int] = {}
    return [places.setdefault(_hashable(value), len(places)) for value in values], list(places)


def _hashable(value: Any) -> Any:
    return tuple(cast("dict[str, str]", value).items()) if isinstance(value, dict) else value


def _gaps(rows: Iterable[tuple[Any, ...]], places: dict[str, int]) -> dict[str, list[Any]]:
    by_place: dict[int, tuple[list[str], list[int], list[int]]] = {
        places[stream]: (types, bins, counts) for stream, types, bins, counts in rows if stream in places
    }
    types: dict[str, int] = {}
    starts, codes, counts = [0], list[int](), list[int]()
    for place in range(len(places)):
        for kind, bin_, n in zip(*by_place.get(place, ((), (), ())), strict=True):
            codes.append(types.setdefault(kind, len(types)) * 1000 + bin_ + 500)
            counts.append(n)
        starts.append(len(codes))
    return {"types": list(types), "starts": starts, "codes": codes, "counts": counts}


def _stalls(rows: Iterable[tuple[Any, ...]], places: dict[str, int]) -> dict[str, list[Any]]:
    known = [(places[row[0]], *row[1:]) for row in rows if row[0] in places]
    return {name: [row[n] for row in known] for n, name in enumerate(_STALL)}


def _mark_open(columns: dict[str, list[Any]], running: Collection[str]) -> None:
    """A stream that goes on is no call that failed."""
    for place, stream in enumerate(columns["stream"]):
        if stream in running and columns["outcome"][place] == "lost":
            columns["outcome"][place], columns["last"][place] = OPEN, False


class Choice(Struct, kw_only=True):
    """Streams that are shown event by event, and why: `slowest`, `stalled`, `not complete`, `by chance`."""

    ids: list[str]
    reasons: dict[str, int]


def choose(data: Data, limit: int, seed: int = 0) -> Choice:
    """At most `limit` streams: a quarter for each reason, and by chance as many as are left."""
    columns, outcomes = data.columns, data.names["outcome"]
    order = list(range(data.count))
    Random(seed).shuffle(order)  # noqa: S311 - a sample, no secret
    failed = [n for n in order if outcomes[columns["outcome"][n]] != "complete"]
    wanted = {
        "slowest": _highest(columns["ttft_s"]),
        "stalled": _highest(columns["stalled_s"]),
        "not complete": failed,
    }
    chosen: dict[int, str] = {}
    for reason, places in wanted.items():
        new = [place for place in places[:limit] if place not in chosen]
        chosen.update(dict.fromkeys(new[: limit // 4], reason))
    rest = [place for place in order if place not in chosen]
    chosen.update(dict.fromkeys(rest[: limit - len(chosen)], "by chance"))
    return Choice(ids=[columns["stream"][place] for place in chosen], reasons=dict(Counter(chosen.values())))


def _highest(values: Sequence[float | None]) -> list[int]:
    """Places of the values above 0, the highest first."""
    known = [(value, place) for place, value in enumerate(values) if value]
    return [place for _, place in sorted(known, key=lambda one: (-one[0], one[1]))]


class Recorded(Struct, kw_only=True):
    """All that a page is made of. `details`: of the streams that were chosen, those that there was room for."""

    data: Data
    choice: Choice
    details: list[Row]


def gather(tables: Answers, segments: Iterable[Path], limit: int) -> Recorded:
    """What loaded tables and their segments tell; `limit` streams at most event by event.

    Raises QueryError, and RecordingError for a segment that cannot be opened.
    """
    data = read_data(tables)
    choice = choose(data, limit)
    return Recorded(data=data, choice=choice, details=_details(segments, choice.ids))


def _details(segments: Iterable[Path], ids: Sequence[str]) -> list[Row]:
    """Until they are too large together; the first ones win."""
    streams = pick_streams(segments, ids)
    room = DETAILS_BYTES
    details: list[Row] = []
    for one in ids:
        if one in streams and room > 0:
            details.append(detail(streams.pop(one)))
            room -= len(json.dumps(details[-1]))
    return details
