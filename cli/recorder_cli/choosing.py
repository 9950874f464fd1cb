"""Which streams a command is about: options that select by time and by a condition in SQL."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from .keeping import seconds_of

_AGE = re.compile("[0-9]+[smhd]")
_BEFORE_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--since`, `--until`, `--where`, and `--by` where the command has that, as one `selection`."""
    moments = "2026-11-21, 2026-11-21T08:30 (UTC, or with +02:00), or 24h (ago)"
    options = (
        click.option("--since", metavar="TIME", callback=_moment, help=f"Sent then or later: {moments}."),
        click.option("--until", metavar="TIME", callback=_moment, help="Sent before then."),
        click.option("--where", metavar="SQL", help="A condition over the columns of streams."),
    )

    @functools.wraps(command)
    def selecting(*, since: int | None, until: int | None, where: str | None, **others: Any) -> Any:
        from recorder.analytics.selection import Selection

        by = {"by": others.pop("by")} if "by" in others else {}
        try:
            selection = Selection(since_ns=since, until_ns=until, where=where, **by)
        except ValueError as error:
            raise click.UsageError(f"--by: {error}") from None
        return command(selection=selection, **others)

    for option in reversed(options):
        selecting = option(selecting)
    return selecting


def _moment(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Unix time in ns."""
    if value is None:
        return None
    if _AGE.fullmatch(value):
        return time.time_ns() - int(seconds_of(context, parameter, value) * 1e9)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no time; 2026-11-21, 2026-11-21T08:30 and 24h are") from None
    since_epoch = moment.replace(tzinfo=moment.tzinfo or UTC) - _BEFORE_EPOCH
    return (since_epoch.days * 86_400 + since_epoch.seconds) * 10**9 + since_epoch.microseconds * 1000
