"""`recorder tail`."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from recorder.core.progress import Progress
from recorder.core.timing import STALL_S
from recorder.log.live import Live

from .errors import note, warn
from .output import Column, Format, Row, print_rows
from .reading import paths_argument
from .text import seconds, utc, visible, width

POLL_S = 0.2
"""How often is looked for new lines, in seconds."""
_FORMATS: tuple[Format, ...] = ("table", "jsonl", "csv")


@click.command
@paths_argument
@click.option("--all", "everything", is_flag=True, help="Begin with the streams that ended before.")
@click.option(
    "--format",
    "output",
    type=click.Choice(_FORMATS),
    default="table",
    help="table shows open streams live on a terminal, and is plain text elsewhere.  [default: table]",
)
def tail(paths: tuple[Path, ...], everything: bool, output: Format) -> None:
    """Watch streams as they happen.

    Each PATH is a file, a directory or a glob, and need not be there yet: new files are followed as they
    appear. On a terminal open streams are shown live, and each becomes one line when it ends. Elsewhere one
    line is printed when a stream ends, and one when it stalls: no output for more than 2 s.

    ttft_s is the time from the send to the first output of any kind, last_s the age of the last event, stall_s
    the time since the last output, when that is a stall; of a stream that ended, all its stalls together. The
    API says tokens at the end of a stream, so characters are shown until then. A stream is lost when its process
    went away in the middle of it.

    \b
    recorder tail recordings/
    recorder tail recordings/ | grep -v complete
    recorder tail recordings/ --all --format jsonl > streams.jsonl
    """
    live = Live(paths, everything=everything, report=warn)
    try:
        live.begin()
        if output == "table" and sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
            from .tail_screen import watch

            watch(live, paths, time.time_ns, pause)
        else:
            rows = lines(live, paths, time.time_ns, pause)
            _print_plain(rows) if output == "table" else print_rows(rows, COLUMNS, output)
    finally:
        live.close()


def pause() -> None:
    """Wait for the next look. Raises BrokenPipeError when the reader of our output went away."""
    if sys.stdout.isatty() or not hasattr(select, "poll"):  # no poll on Windows
        time.sleep(POLL_S)
        return
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    if output.poll(POLL_S * 1000):
        raise BrokenPipeError


def tell_waiting(live: Live, paths: tuple[Path, ...]) -> None:
    """Say so when there is nothing yet."""
    if not live.has_seen_any:
        note(f"{', '.join(map(str, paths))}: no recording there yet; waiting for one")


def lines(live: Live, paths: tuple[Path, ...], now: Callable[[], int], wait: Callable[[], None]) -> Iterator[Row]:
    """A row for each stream when it ends, and one when it stalls; without an end."""
    stalled: dict[str, int] = {}
    first = True
    while True:
        for stream in live.poll():
            stalled.pop(stream.id, None)
            yield row(stream, stream.outcome, now())
        if first:
            tell_waiting(live, paths)
            first = False
        for stream in live.open.values():
            since = stream.progress_at
            if stream.paused_s(now()) > STALL_S and stalled.get(stream.id) != since:
                stalled[stream.id] = since
                yield row(stream, "stalled", now())
        wait()


def row(stream: Progress, state: str, now: int) -> Row:
    """What is said of a stream, for a program. `state`: its outcome, or `stalled`."""
    is_open = state == "stalled"
    return {
        "stream": stream.id,
        "sent": utc(stream.sent),
        "model": stream.model,
        "state": state,
        "status": stream.status,
        "error_type": stream.error_type,
        "ttft_s": stream.ttft_s,
        "duration_s": stream.open_s(now) if is_open or stream.end else None,
        "stalls": stream.stalls + is_open,
        "stall_s": stream.paused_s(now) if is_open else stream.stalled_s,
        "output_chars": stream.output_chars,
        "output_tokens": stream.output_tokens,
    }


COLUMNS = (
    Column("stream"),
    Column("sent"),
    Column("model"),
    Column("state"),
    Column("status", right=True),
    Column("error_type"),
    Column("ttft_s", seconds, right=True),
    Column("duration_s", seconds, right=True),
    Column("stalls", right=True),
    Column("stall_s", seconds, right=True),
    Column("output_chars", right=True),
    Column("output_tokens", right=True),
)
_WIDTHS = (16, 24, 26, 14, 6, 16, 7, 10, 6, 7, 12, 13)


def _print_plain(rows: Iterator[Row]) -> None:
    """Aligned as far as that is possible when no line waits for the next."""
    _print_line([column.name for column in COLUMNS])
    for one in rows:
        _print_line([visible(column.show(one[column.name])) for column in COLUMNS])


def _print_line(cells: list[Any]) -> None:
    padded = (
        " " * (wide - width(cell)) + cell if column.right else cell + " " * (wide - width(cell))
        for cell, wide, column in zip(cells, _WIDTHS, COLUMNS, strict=True)
    )
    click.echo("  ".join(padded).rstrip())
