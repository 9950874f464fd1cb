"""What `recorder stats` prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import click
import msgspec

from recorder.analytics.compare import Shift
from recorder.analytics.goodput import Goodput, Slo
from recorder.analytics.selection import Selection
from recorder.analytics.stats import Outcomes, Stalls, Stats

from .errors import note
from .histogram import histogram
from .output import Column, Format, Row, print_rows, write, write_json
from .text import NOTHING

_ENOUGH_FOR_BARS = 10
_OF_A_GROUP = ("ttft_s", "ttft_s_adjusted", "gap_s", "gap_max_s", "duration_s")
"""The metrics that a table has of each group; of all streams together it has every one."""
_COMPARED = ("ttft_s", "ttft_s_adjusted", "gap_max_s", "duration_s", "tpot_s")
"""The metrics that a table compares when none is named."""


def print_stats(found: Stats, selection: Selection, metrics: Sequence[str], output: Format) -> None:
    spreads = [one for one in found.spreads if not metrics or one.metric in metrics]
    rows = [_grouped(msgspec.structs.asdict(one), selection) for one in spreads]
    columns = (_group(selection), *_SPREAD)
    match output:
        case "table":
            _print_tables(found, selection, metrics)
        case "json":
            document = {
                "by": selection.by,
                "outcomes": found.outcomes,
                "percentiles": spreads,
                "stalls": found.stalls,
            }
            write_json(msgspec.to_builtins(document), indent=2)
        case _:
            print_rows(rows, columns, output)


def _print_tables(found: Stats, selection: Selection, metrics: Sequence[str]) -> None:
    alone = len(found.outcomes) == 2  # one group and all together are the same

    def shown(rows: Iterable[Any]) -> list[Any]:
        return [one for one in rows if one.group is None or not alone]

    if not found.outcomes:
        note("No stream there was sent then, or is as asked.")
    names = list(found.outcomes[0].outcomes) if found.outcomes else []
    counts = [_outcome_row(one, names, selection) for one in shown(found.outcomes)]
    print_rows(counts, [_group(selection), *_numbers("streams", *names, "no_output")])
    spreads = [
        _grouped(msgspec.structs.asdict(one), selection)
        for one in shown(found.spreads)
        if (one.metric in metrics if metrics else one.group is None or one.metric in _OF_A_GROUP)
    ]
    if spreads:
        click.echo()
        print_rows(spreads, (_group(selection), *_SPREAD))
    if found.stalls:
        click.echo()
        stalls = [_stall_row(one, selection) for one in shown(found.stalls)]
        print_rows(stalls, (_group(selection), *_STALLS), quiet=True)
    if len(found.ttft_s) >= _ENOUGH_FOR_BARS:
        click.echo()
        write("\n".join(["ttft_s", *histogram(found.ttft_s, "s")]))


def print_goodput(judged: Sequence[Goodput], selection: Selection, slo: Slo, output: Format) -> None:
    """`missed_*`: how many calls missed that limit; one may have missed several."""
    missed = [f"missed_{name}" for name in slo.names]
    rows: list[Row] = [
        {
            selection.label: one.group,
            "calls": one.calls,
            "met": one.met,
            "goodput": one.goodput,
            **dict(zip(missed, one.missed.values(), strict=True)),
        }
        for one in judged
        if output != "table" or len(judged) > 2 or one.group is None
    ]
    goodput = Column("goodput", _percent, right=True)
    print_rows(rows, (_group(selection), *_numbers("calls", "met"), goodput, *_numbers(*missed)), output)


def print_shifts(shifts: Sequence[Shift], output: Format, *, all_metrics: bool) -> None:
    shown = [one for one in shifts if all_metrics or output != "table" or one.metric in _COMPARED]
    print_rows([msgspec.structs.asdict(one) for one in shown], _SHIFT, output)


def _grouped(row: dict[str, Any], selection: Selection) -> Row:
    return {selection.label: row.pop("group"), **row}


def _outcome_row(one: Outcomes, names: list[str], selection: Selection) -> Row:
    counts = {name: one.outcomes.get(name, 0) for name in names}
    return {selection.label: one.group, "streams": one.streams, **counts, "no_output": one.no_output}


def _stall_row(one: Stalls, selection: Selection) -> Row:
    row = _grouped(msgspec.structs.asdict(one), selection)
    return {**row, "stalled_streams": one.streams}


def _group(selection: Selection) -> Column:
    return Column(selection.label, _name)


def _name(group: str | None) -> str:
    return "(all)" if group is None else group or '""'


def _value(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.4f}" if abs(value) < 0.1 else f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"


def _signed(value: float | None) -> str:
    return f"+{_value(value)}" if value is not None and value > 0 else _value(value)


def _percent(share: float | None) -> str:
    """Rounded down: what is not all is never shown as 100 %."""
    return NOTHING if share is None else f"{int(share * 10_000) / 100:.2f}%"


def _short(note: str) -> str:
    """`n too small`, beside the p99 that it is about."""
    return note.removeprefix("p99: ")


def _numbers(*names: str) -> list[Column]:
    return [Column(name, right=True) for name in names]


def _values(*names: str) -> list[Column]:
    return [Column(name, _value, right=True) for name in names]


_SPREAD = (
    Column("metric"),
    Column("n", right=True),
    *_values("p50", "p95", "p99"),
    Column("max", _value, right=True, spare=1),  # rather than that models cannot be told apart
    Column("note", narrow=_short),
)
_STALLS = (
    *_numbers("stalls"),
    Column("stalled_streams", right=True),
    Column("share", _percent, right=True),
    *_values("stalled_s"),
    Column("stalled_ratio", _percent, right=True, spare=1),
    Column("max_s", _value, right=True, spare=2),
    Column("kinds"),
)
_SHIFT = (
    Column("metric"),
    Column("quantile"),
    *(Column(name, right=True, spare=1) for name in ("n_a", "n_b")),
    *_values("a", "b"),
    *(Column(name, _signed, right=True) for name in ("difference", "low", "high")),
    Column("note"),
)
