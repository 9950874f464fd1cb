"""`recorder plot`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from textwrap import wrap

import click

from recorder.log.streams import Stream

from .ecdf import ecdf
from .histogram import histogram
from .oneline import LEGEND, oneline
from .output import on_terminal, write
from .reading import paths_argument, salvage_option, streams_of
from .tables import load, query_errors
from .text import NOTHING, seconds, width

METRICS = (
    *("headers_s", "first_event_s", "ttft_s", "ttft_text_s", "stream_s", "duration_s", "gap_s", "gap_p50_s"),
    *(
        "gap_p99_s",
        "gap_max_s",
        "silence_max_s",
        "stalled_s",
        "tpot_s",
        "output_tps",
        "output_cps",
        "wait_s",
        "hold_s",
    ),
)
_UNITS = {"output_tps": "tokens/s", "output_cps": "characters/s"}
_BY = ("model", "outcome", "nothing")
_LINE = 100
"""Columns, where there is no terminal to ask."""
_GROUPS = 8


@click.command
@paths_argument
@click.option(
    "--metric",
    type=click.Choice(METRICS),
    default="ttft_s",
    show_default=True,
    metavar="METRIC",
    help="Of each stream, or gap_s, all gaps together.",
)
@click.option("--by", type=click.Choice(_BY), default="model", show_default=True, help="A curve for each.")
@click.option("--timelines", is_flag=True, help="Instead, each stream as one line: waits, output, stalls, pings.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    metavar="N",
    help="The first N timelines.",
)
@salvage_option
def plot(paths: tuple[Path, ...], metric: str, by: str, timelines: bool, limit: int, salvage: bool) -> None:
    """Draw recordings in the terminal: how one metric is spread, or streams as timelines.

    First the share of streams that needed no longer than so many seconds, by model, then how many took how long.
    The metrics are columns of the table streams ("recorder stats -h" says what they mean). Streams without the
    number are left out. `recorder report` draws more, for a browser.

    \b
    recorder plot recordings/
    recorder plot recordings/ --metric gap_s --by nothing
    recorder plot recordings/ --timelines
    """
    room = shutil.get_terminal_size((_LINE, 0)).columns if on_terminal() else _LINE
    if timelines:
        lines = _timelines(list(islice(streams_of(paths, salvage=salvage), limit)), room)
    else:
        lines = _spread(_values(paths, metric, by, salvage=salvage), metric, room)
    write("\n".join(lines))


def _values(paths: tuple[Path, ...], metric: str, by: str, *, salvage: bool) -> dict[str, list[float]]:
    key = {
        "model": "coalesce(request_model, model, '(unknown)')",
        "outcome": "outcome",
        "nothing": "'all streams'",
    }[by]
    table = "events INNER JOIN streams USING (stream)" if metric == "gap_s" else "streams"
    query = (
        f"SELECT {key} AS name, list({metric}) FROM {table} WHERE {metric} IS NOT NULL "  # noqa: S608 - ours
        f"GROUP BY name ORDER BY count(*) DESC, name LIMIT {_GROUPS}"
    )
    with query_errors():
        rows = load(paths, salvage=salvage, payloads=False).query(query).rows
        return {name: values for name, values in rows}  # noqa: C416 - they are typed so


def _spread(values: dict[str, list[float]], metric: str, room: int) -> Iterator[str]:
    if not values:
        yield f"No stream has {metric}."
        return
    unit = _UNITS.get(metric, "s")
    yield f"share of streams by {metric}" if metric != "gap_s" else "share of gaps by length"
    yield from ecdf(values, unit, room)
    yield ""
    yield metric
    yield from histogram([one for many in values.values() for one in many], unit)


def _timelines(streams: list[Stream], room: int) -> Iterator[str]:
    """All on the scale of the longest."""
    rows = [
        (stream, stream.timing())
        for stream in sorted(streams, key=lambda one: (one.request.wall, one.request.mono))
    ]
    ends = [max((record.at for record in stream.records), default=0) / 1e9 for stream, _ in rows]
    longest = max(ends, default=0.0)
    if not longest:
        yield "No streams there."
        return
    wide = max(width(timing.outcome) for _, timing in rows)
    columns = max(10, room - 8 - wide - 8 - 6)
    for stream, timing in rows:
        took = seconds(timing.duration_s) if timing.duration_s is not None else NOTHING
        yield f"{stream.id[:8]}  {oneline(stream, columns, longest):<{columns}}  {took:>7}  {timing.outcome}"
    scale = f"{longest:.1f} s"
    yield f"{'':8}  {'0':<{columns - len(scale)}}{scale}"
    yield from wrap(LEGEND, room)
