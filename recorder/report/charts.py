"""The charts of the page as files. What the page's program does with the data of a chart is done here alike."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .data import OTHERS, UNIT_S, Data, Recorded
from .detail import Row
from .vega import CHARTS, asset, chart, picture

DRAWN = 2500
"""Points of one chart: the slowest fifth of so many, and others by chance. More are a blot, and slow."""
BUCKETS = 60
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
    sets, params = _datasets(data, recorded.details)
    written: list[Path] = []
    for name in CHARTS:
        spec = _spec(name, data, params)
        spec["datasets"] = {name: rows for name, rows in sets.items() if f'"name": "{name}"' in json.dumps(spec)}
        if not any(spec["datasets"].values()):
            continue
        png, svg = picture(spec)
        for suffix, content in ((".png", png), (".svg", svg)):
            written.append(directory / f"{name}{suffix}")
            written[-1].write_bytes(content)
    return written


def _spec(name: str, data: Data, params: dict[str, float]) -> dict[str, Any]:
    text = json.dumps(chart(name)).replace('"@groups"', json.dumps(data.groups))
    spec: dict[str, Any] = json.loads(text)
    meta = spec["usermeta"]
    for param in spec.get("params", ()):
        param["value"] = params.get(param["name"], param.get("value"))
    spec["params"] = [param for param in spec.get("params", ()) if "select" not in param]
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


def _datasets(data: Data, details: Sequence[Row]) -> tuple[dict[str, list[Row]], dict[str, float]]:
    rows = list(_rows(data))
    t0, t1 = rows[0]["t"], rows[-1]["t"]
    step = max(1.0, (t1 - t0) / (BUCKETS - 1e-6))
    for row in rows:
        row["bucket"] = int((row["t"] - t0) / step)
    window = [{**row, "t": 0} for row in rows[:WINDOW]]
    sent = {row["stream"]: row for row in window}
    one = details[0] if details else {}
    sets = {
        "rows": rows,
        "drawn": _drawn(rows),
        "calls": [row for row in rows if row["last"]],
        "window": window,
        "runs": [_run(run, sent[one["stream"]]) for one in details if one["stream"] in sent for run in one["runs"]],
        "gaps": _gaps(data),
        "sides": _sides(rows),
        **{name: one.get(name, []) for name in ("spans", "curve", "strip", "stalls", "pings")},
    }
    return sets, {"t0": t0, "step": step}


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
    slowest = sorted(rows, key=lambda row: -(row["ttft_s"] or 0))
    first, rest = slowest[: DRAWN // 5], sorted(slowest[DRAWN // 5 :], key=lambda row: row["t"])
    left = DRAWN - len(first)
    return first + [rest[n * len(rest) // left] for n in range(left)]


def _run(run: Row, sent: Row) -> Row:
    spread = {"from": run["start"], "to": run["end"]}
    return {"stream": sent["stream"], "model": sent["model"], "kind": run["kind"], **spread}


def _gaps(data: Data) -> list[Row]:
    totals: dict[int, int] = {}
    for code, n in zip(data.gaps["codes"], data.gaps["counts"], strict=True):
        totals[code] = totals.get(code, 0) + n
    types = data.gaps["types"]
    return [
        {"type": types[code // 1000], "bin": code % 1000 - 500, "n": n} for code, n in sorted(totals.items())
    ]


def _sides(rows: Sequence[Row]) -> list[Row]:
    """The first half of the time against the second; the page lets one choose."""
    half = (rows[0]["t"] + rows[-1]["t"]) / 2
    return [{"side": "A" if row["t"] < half else "B", "value": row["ttft_s"]} for row in rows]
