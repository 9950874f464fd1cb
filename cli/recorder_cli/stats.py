"""`recorder stats`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from recorder.analytics.report import Outcomes, Spread, Stats

from .histogram import histogram
from .output import Column, Format, print_rows, write, write_json
from .reading import format_option, paths_argument, salvage_option
from .tables import database_option, load, query_errors
from .text import NOTHING

_ENOUGH_FOR_BARS = 10


@click.command
@paths_argument
@salvage_option
@database_option
@format_option
def stats(paths: tuple[Path, ...], salvage: bool, db: str | None, output: Format) -> None:
    """Latency and outcomes, overall and by model.

    Of the streams that have the number: headers_s, first_event_s (not a ping), ttft_s (first output of any
    kind) and ttft_text_s (first text) count from the send; gap_s is between successive outputs of a block,
    those of all streams together, gap_max_s the longest of each stream; duration_s is that of complete
    streams; tpot_s is seconds per output token, output_tps tokens per second. ttft_s_adjusted counts a
    stream without output as infinity: what a user felt, failures included.

    By the model that was asked for. Percentiles are interpolated linearly; n is how many values there are,
    and with fewer than 100 a 99th percentile says no more than the maximum. csv and jsonl have the
    percentiles, json has the outcomes too.

    \b
    recorder stats recordings/
    recorder stats recordings/ --format json
    """
    with query_errors():
        found = load(paths, salvage=salvage, payloads=False, db=db).stats()
    match output:
        case "table":
            _print(found)
        case "json":
            write_json(msgspec.to_builtins({"outcomes": found.outcomes, "percentiles": found.spreads}), indent=2)
        case _:
            print_rows(map(_spread_row, found.spreads), _COLUMNS, output)


def _print(found: Stats) -> None:
    one_model = len(found.outcomes) == 2  # it and all together, which are the same
    names = list(found.outcomes[0].outcomes) if found.outcomes else []
    counts = [_outcome_row(row, names) for row in found.outcomes if row.model is None or not one_model]
    print_rows(counts, [_MODEL, *(Column(name, right=True) for name in ("streams", *names))])
    if found.spreads:
        click.echo()
        spreads = [row for row in found.spreads if row.model is None or not one_model]
        print_rows(map(_spread_row, spreads), _COLUMNS)
    if len(found.ttft_s) >= _ENOUGH_FOR_BARS:
        click.echo()
        write("\n".join(["ttft_s", *histogram(found.ttft_s, "s")]))


def _outcome_row(row: Outcomes, names: list[str]) -> dict[str, Any]:
    return {"model": row.model, "streams": row.streams, **{name: row.outcomes.get(name, 0) for name in names}}


def _spread_row(spread: Spread) -> dict[str, Any]:
    return msgspec.structs.asdict(spread)


def _value(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.4f}" if abs(value) < 0.1 else f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"


def _model(model: str | None) -> str:
    return "(all)" if model is None else model


_MODEL = Column("model", _model)
_COLUMNS = (
    _MODEL,
    Column("metric"),
    Column("n", right=True),
    *(Column(name, _value, right=True) for name in ("p50", "p95", "p99", "max")),
    Column("note"),
)
