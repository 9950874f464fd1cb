"""`recorder stats`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import click

from recorder.analytics.compare import SEED, Values, compare, values_of
from recorder.analytics.goodput import Goodput, Slo, goodput, parse_share, parse_slo
from recorder.analytics.report import Tables
from recorder.analytics.selection import Selection
from recorder.analytics.stats import SPREADS
from recorder.analytics.stats import stats as stats_of

from .choosing import selection_options
from .errors import Exit, Failure, note
from .output import Format
from .reading import format_option, salvage_option
from .stats_tables import print_goodput, print_shifts, print_stats
from .tables import database_option, load, query_errors

_BY = "model (asked for), hour, day, hour-of-day (UTC), tag:NAME, or a column of streams."
_LIMITS = "Limits: ttft=2s,ttft_text=3s,gap=1s,tpot=50ms,duration=30s,complete: any of these."
_PAIR = "B against A: two paths, or with a PATH two of its groups."
_METRIC = "Only this one; may be given again."
_LEAST = "With --slo: less than this exits with 1."
_SEED = "Of the intervals of --compare.  [default: a fixed one]"


def _parsed(parse: Callable[[str], Any]) -> Callable[..., Any]:
    """The value of an option as what `parse` makes of it."""

    def callback(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Any:
        try:
            return None if value is None else parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return callback


@click.command
@click.argument("paths", metavar="PATH...", type=click.Path(path_type=Path), nargs=-1)
@click.option("--by", default="model", metavar="GROUP", show_default=True, help=_BY)
@selection_options
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    type=click.Choice(SPREADS),
    metavar="NAME",
    help=_METRIC,
)
@click.option("--compare", "pair", nargs=2, metavar="A B", help=_PAIR)
@click.option("--seed", type=int, default=SEED, help=_SEED)
@click.option("--slo", callback=_parsed(parse_slo), metavar="LIMITS", help=_LIMITS)
@click.option(
    "--min-goodput",
    callback=_parsed(parse_share),
    default="100%",
    metavar="SHARE",
    show_default=True,
    help=_LEAST,
)
@salvage_option
@database_option
@format_option
def stats(paths: tuple[Path, ...], salvage: bool, db: str | None, **question: Any) -> None:
    """Latency, outcomes and stalls, overall and by model.

    Of the streams that have the number: headers_s, first_event_s (not a ping), ttft_s (first output of any
    kind) and ttft_text_s (first text) count from the send; gap_s is between successive outputs of a block,
    those of all streams together, gap_p99_s and gap_max_s are of each stream; duration_s is that of complete
    streams; tpot_s is seconds per output token, output_tps tokens per second. ttft_s_adjusted counts a stream
    without output as infinity: what a user felt, failures included. ttft_s_weighted weighs each wait by itself:
    of the time spent waiting, half was in waits of up to its p50. A table has a few of these for each group;
    csv has all, and json the outcomes and stalls, too.

    Percentiles are interpolated linearly; n is how many values there are, and with fewer than 100 a 99th
    percentile says no more than the maximum.

    --compare tells by how much quantiles differ, with the 95 % interval of a seeded bootstrap. --slo tells the
    goodput: the share of the calls sent, retries included, that met every limit; what failed did not.

    \b
    recorder stats recordings/ --by tag:feature --since 24h
    recorder stats recordings/ --where "input_tokens > 10000" --metric ttft_s
    recorder stats --compare before/ after/
    recorder stats recordings/ --by tag:variant --compare control new
    recorder stats recordings/ --slo ttft=2s,gap=1s,complete --min-goodput 99%
    """
    with query_errors():
        _answer(paths, partial(load, salvage=salvage, payloads=False, db=db), **question)


def _answer(
    paths: tuple[Path, ...],
    tables_of: Callable[[Sequence[Path]], Tables],
    *,
    selection: Selection,
    metrics: tuple[str, ...],
    pair: tuple[str, str] | None,
    seed: int,
    slo: Slo | None,
    min_goodput: Fraction,
    output: Format,
) -> None:
    """One of three questions."""
    if not paths and not pair:
        raise click.UsageError("Missing argument 'PATH...'")
    if pair and slo:
        raise click.UsageError("--compare and --slo are two questions")
    if pair and paths:
        tables = tables_of(paths)
        values = [values_of(tables, selection, group) for group in pair]
        _print_shifts(values, [f"{selection.by} {one!r}" for one in pair], metrics, seed, output)
    elif pair:
        values = [values_of(tables_of([Path(one)]), selection) for one in pair]
        _print_shifts(values, pair, metrics, seed, output)
    elif slo:
        _print_goodput(goodput(tables_of(paths), slo, selection), selection, slo, min_goodput, output)
    else:
        print_stats(stats_of(tables_of(paths), selection), selection, metrics, output)


def _print_goodput(judged: list[Goodput], selection: Selection, slo: Slo, least: Fraction, output: Format) -> None:
    """Raises Failure for less than `least`."""
    print_goodput(judged, selection, slo, output)
    [together, *_] = judged
    if together.goodput is None:
        raise Failure("no calls that asked for a stream: nothing was judged", Exit.NOTHING_TO_READ)
    if not together.reaches(least):
        asked = f"{float(least):.6%}".rstrip("%").rstrip("0").rstrip(".")
        raise Failure(
            f"goodput: {together.met:,} of {together.calls:,} calls met every limit, fewer than {asked} %",
            Exit.CHECK_FAILED,
        )


def _print_shifts(
    values: Sequence[Values], names: Sequence[str], metrics: tuple[str, ...], seed: int, output: Format
) -> None:
    """Raises Failure where there is nothing to compare."""
    for name, found in zip(names, values, strict=True):
        if not any(found.values()):
            raise Failure(f"{name}: no streams to compare", Exit.NOTHING_TO_READ)
    a, b = (_chosen(found, metrics) for found in values)
    print_shifts(compare(a, b, seed=seed), output, all_metrics=bool(metrics))
    note(f"B less A; intervals of 95 %, bootstrap, seed {seed}.")


def _chosen(values: Values, metrics: tuple[str, ...]) -> Values:
    return {name: found for name, found in values.items() if not metrics or name in metrics}
