"""Which streams a command is about: options that select by time and by a condition in SQL."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from .keeping import seconds_of

Command = TypeVar("Command", bound=Callable[..., Any])
_AGE = re.compile("[0-9]+[smhd]")
_BEFORE_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def selection_options(command: Command) -> Command:
    """`--since`, `--until` (Unix ns or None) and `--where`."""
    moments = "2026-11-21, 2026-11-21T08:30 (UTC, or with +02:00), or 24h (ago)"
    options = (
        click.option("--since", metavar="TIME", callback=_moment, help=f"Sent then or later: {moments}."),
        click.option("--until", metavar="TIME", callback=_moment, help="Sent before then."),
        click.option("--where", metavar="SQL", help="A condition over the columns of streams."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _moment(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
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
