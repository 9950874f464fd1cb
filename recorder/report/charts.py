"""The charts of the page as files. What the page's program does with the data of a chart is done here alike."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .aggregate import (
    curve_rows,
    ecdf,
    ecdf_rows,
    goodput_rows,
    heat_rows,
    quantile,
    rolling_rows,
    run_rows,
    shift_rows,
    volume_rows,
)
from .data import OTHERS, UNIT_S, Data, Recorded
from .detail import Row
from .vega import CHARTS, asset, chart, picture

DRAWN = 1500
"""Points of one chart: the slowest tenth of so many, and of the others every so manyth. More are a blot."""
LIMITS = {"ttft": 5.0, "gap": 2.0, "duration": 60.0}
"""Seconds that goodput is about, until the reader of the page says others."""
WINDOW = 40
"""Requests that stand one under the other."""
_WIDTH = 860
_FIELDS = (
    *("headers_s", "ttft_s", "ttft_text_s", "stream_s", "duration_s", "gap_p50_s", "gap_max_s"),
    *("ttft_call_s", "duration_call_s"),
)


def write_charts(recorded: Recorded, directory: Path) -> list[Path]:
    """Write a PNG and an SVG of each chart; those of one stream are of the first that is told event by event.

    Raises MissingExtra, and OSError where nothing can be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    data = recorded.data
    sets = datasets(data, recorded.details)
    end = recorded.details[0]["end_s"] if recorded.details else 1.0
    written: list[Path] = []
    for name in CHARTS:
        spec = _spec(name, data.groups, end)
        spec["datasets"] = {name: rows for name, rows in sets.items() if f'"name": "{name}"' in json.dumps(spec)}
        if not any(spec["datasets"].values()):
            continue
        png, svg = picture(spec)
        for suffix, content in ((".png", png), (".svg", svg)):
            written.append(directory / f"{name}{suffix}")
            written[-1].write_bytes(content)
    return written


def _spec(name: str, groups: Sequence[str], end: float) -> dict[str, Any]:
    text = json.dumps(chart(name)).replace('"@groups"', json.dumps(groups))
    spec: dict[str, Any] = json.loads(text)
    meta = spec["usermeta"]
    spec["params"] = [{**param, "value": end} for param in spec.get("params", ()) if "select" not in param]
    title = {"text": meta["title"], "subtitle": _lines(meta["caption"])}
    return {**spec, "width": _WIDTH, "title": title, "padding": 12, "config": json.loads(asset("config.json"))} | {
        "background": "white"
    }


def _lines(caption: str, width: int = 130) -> list[str]:
    lines = [""]
    for word in caption.split():
        lines = [*lines, ""] if len(lines[-1]) + len(word) > width else lines
        lines[-1] = f"{lines[-1]} {word}".lstrip()
    return lines


def datasets(data: Data, details: Sequence[Row]) -> dict[str, list[Row]]:
    """What the charts draw, by the name that their documents give it. `data` is of one stream at least."""
    rows = list(_rows(data))
    window = [{**row, "t": 0} for row in rows[:WINDOW]]
    sent = {row["stream"]: row for row in window}
    shown = [row for row in rows if (row["ttft_s"] or 0) > 0]
    one = details[0] if details else {}
    return {
        "volume": volume_rows(rows),
        "ecdf": ecdf_rows(rows, data.groups),
        "rolling": rolling_rows(rows),
        "drawn": _drawn(shown),
        "heat": heat_rows(rows),
        "goodput": goodput_rows([row for row in rows if row["last"]], data.groups, LIMITS),
        "window": window,
        "runs": [
            _run(run, sent[each["stream"]])
            for each in details
            if each["stream"] in sent
            for run in run_rows(each["frames"])
        ],
        "curve": curve_rows(one["frames"]) if one else [],
        "gaps": _gaps(data),
        **_compared(rows),
        **{name: one.get(name, []) for name in ("spans", "strip", "stalls", "pings")},
    }


def _rows(data: Data) -> Iterator[Row]:
    columns, names = data.columns, data.names
    for n in range(data.count):
        model = names["model"][columns["model"][n]]
        outcome = names["outcome"][columns["outcome"][n]]
        share = columns["cache_share"][n]
        yield {
            "stream": columns["stream"][n],
            "t": columns["wall_ms"][n],
            "model": model,
            "group": model if model in data.groups else OTHERS,
            "outcome": outcome,
            "ended": "complete" if outcome == "complete" else "not complete",
            "last": columns["last"][n],
            "input": columns["input"][n],
            "cache_share": None if share is None else share / 1000,
            **{name: _seconds(columns[name][n]) for name in _FIELDS},
        }


def _seconds(value: int | None) -> float | None:
    return None if value is None else value * UNIT_S


def _drawn(rows: Sequence[Row]) -> list[Row]:
    """The slowest, and of the others every so manyth."""
    if len(rows) <= DRAWN:
        return list(rows)
    limit = sorted(row["ttft_s"] for row in rows)[-DRAWN // 10]
    slowest = [row for row in rows if row["ttft_s"] >= limit]
    rest = [row for row in rows if row["ttft_s"] < limit]
    left = DRAWN - DRAWN // 10
    return slowest + [rest[n * len(rest) // left] for n in range(left)]


def _run(run: Row, sent: Row) -> Row:
    spread = {"from": run["start"], "to": run["end"]}
    return {"stream": sent["stream"], "model": sent["model"], "kind": run["kind"], **spread}


def _gaps(data: Data) -> list[Row]:
    totals: dict[int, int] = {}
    for code, n in zip(data.gaps["codes"], data.gaps["counts"], strict=True):
        totals[code] = totals.get(code, 0) + n
    types = data.gaps["types"]
    return [{"type": types[code // 1000], "bin": code % 1000 - 500, "n": n} for code, n in sorted(totals.items())]


def _compared(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The first half of the time against the second; the page lets one choose."""
    half = (rows[0]["t"] + rows[-1]["t"]) / 2
    known = [row for row in rows if (row["ttft_s"] or 0) > 0]
    a = sorted(row["ttft_s"] for row in known if row["t"] < half)
    b = sorted(row["ttft_s"] for row in known if row["t"] >= half)
    if len(a) < 2 or len(b) < 2:
        return {}
    return {
        "sides": [*ecdf(a, side="A"), *ecdf(b, side="B")],
        "medians": [{"side": "A", "seconds": quantile(a, 0.5)}, {"side": "B", "seconds": quantile(b, 0.5)}],
        "shift": shift_rows(a, b),
    }
