"""What the charts of many streams show, out of their rows; as `assets/aggregate.js`, which a test holds equal.

Times of day are ms, all others seconds. `p` of a quantile is a share.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

Row = dict[str, Any]
BUCKETS = 60
_STEPS = 200
_AROUND = 1
"""Parts of the time before and after one that its rolling percentiles are of, too."""
_MARKS = 2000
_GAPS = (("under 25 ms", 0.025), ("25 to 50 ms", 0.05))
_LONG = "over 50 ms"
_HOUR, _DAY = 3_600_000, 86_400_000
LIMITED = ("all of them", "complete", "first token", "longest gap", "duration")


def quantile(ordered: Sequence[float], p: float) -> float:
    """Of sorted values, interpolated linearly."""
    at = (len(ordered) - 1) * p
    low = int(at)
    return ordered[low] + (at - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


def parts(rows: Sequence[Row]) -> tuple[int, float]:
    """Where the time begins that rows span, and how long one of its parts is."""
    t0: int = rows[0]["t"]
    return t0, max(1.0, (rows[-1]["t"] - t0) / (BUCKETS - 1e-6))


def volume_rows(rows: Sequence[Row]) -> list[Row]:
    t0, step = parts(rows)
    counts: dict[tuple[int, str], int] = defaultdict(int)
    for row in rows:
        counts[int((row["t"] - t0) / step), row["ended"]] += 1
    return [
        {"from": t0 + bucket * step, "to": t0 + (bucket + 1) * step, "ended": ended, "n": n}
        for (bucket, ended), n in counts.items()
    ]


def ecdf_rows(rows: Sequence[Row], groups: Sequence[str]) -> list[Row]:
    points: list[Row] = []
    for group in groups:
        for metric in ("ttft_s", "ttft_text_s"):
            known = _known((row for row in rows if row["group"] == group), metric)
            points += ecdf(known, group=group, metric=metric)
    return points


def ecdf(ordered: Sequence[float], **fields: str) -> list[Row]:
    """Points of a cumulative distribution."""
    size = min(_STEPS, len(ordered))
    shares = [(n + 0.5) / size for n in range(size)]
    return [{**fields, "p": p, "seconds": quantile(ordered, p)} for p in shares]


def rolling_rows(rows: Sequence[Row]) -> list[Row]:
    t0, step = parts(rows)
    buckets: list[list[Row]] = [[] for _ in range(BUCKETS)]
    for row in rows:
        buckets[int((row["t"] - t0) / step)].append(row)
    points: list[Row] = []
    for n in range(BUCKETS):
        near = buckets[max(0, n - _AROUND) : n + _AROUND + 1]
        known = _known((row for bucket in near for row in bucket), "ttft_s")
        for line, p in (("p50", 0.5), ("p95", 0.95)) if known else ():
            points.append({"middle": t0 + (n + 0.5) * step, "line": line, "seconds": quantile(known, p)})
    return points


def heat_rows(rows: Sequence[Row]) -> list[Row]:
    hours: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        hours[row["t"] // _HOUR].append(row)
    known = {at: sorted(row["ttft_s"] for row in of if row["ttft_s"] is not None) for at, of in hours.items()}
    return [
        {"day": at // 24 * _DAY, "hour": at % 24, "seconds": quantile(values, 0.95), "n": len(values)}
        for at, values in known.items()
        if values
    ]


def goodput_rows(calls: Sequence[Row], groups: Sequence[str], limits: Mapping[str, float]) -> list[Row]:
    """`limits`: seconds, of `ttft`, `gap` and `duration`."""
    points: list[Row] = []
    for group in groups:
        kept = [_kept(row, limits) for row in calls if row["group"] == group]
        for limit, each in zip(LIMITED, zip(*kept, strict=True), strict=True) if kept else ():
            points.append({"group": group, "limit": limit, "share": sum(each) / len(kept), "n": len(kept)})
    return points


def _kept(row: Row, limits: Mapping[str, float]) -> tuple[bool, ...]:
    some = row["ttft_s"] is not None
    each = (
        row["outcome"] == "complete",
        row["ttft_call_s"] is not None and row["ttft_call_s"] <= limits["ttft"],
        some and not (row["gap_max_s"] is not None and row["gap_max_s"] > limits["gap"]),
        some and row["duration_call_s"] is not None and row["duration_call_s"] <= limits["duration"],
    )
    return all(each), *each


def shift_rows(a: Sequence[float], b: Sequence[float]) -> list[Row]:
    points: list[Row] = []
    for n in range(19):
        p = (n + 1) / 20
        before, after = quantile(a, p), quantile(b, p)
        sign = "B slower" if after > before else "B faster"
        points.append({"p": p, "A": before, "B": after, "later": after - before, "sign": sign})
    return points


def curve_rows(frames: Mapping[str, Sequence[Any]]) -> list[Row]:
    """Characters so far, at each output or every so manyth."""
    sums = list(accumulate(frames["chars"]))
    last = len(sums) - 1
    places = range(last + 1) if last < _MARKS else [n * last // (_MARKS - 1) for n in range(_MARKS)]
    return [{"at": frames["at"][place], "chars": sums[place]} for place in places]


def run_rows(frames: Mapping[str, Sequence[Any]]) -> list[Row]:
    """The output as runs of gaps of one kind, at most `_MARKS`."""
    runs: list[Row] = []
    for start, end in pairwise(frames["at"]):
        kind = next((name for name, limit in _GAPS if end - start < limit), _LONG)
        if end > start and runs and runs[-1]["kind"] == kind:
            runs[-1]["end"] = end
        elif end > start:
            runs.append({"kind": kind, "start": start, "end": end})
    return runs[:_MARKS]


def _known(rows: Iterable[Row], metric: str) -> list[float]:
    """Sorted; those that a logarithmic scale can show."""
    return sorted(row[metric] for row in rows if row[metric] is not None and row[metric] > 0)
