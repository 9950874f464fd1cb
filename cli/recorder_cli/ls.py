"""`recorder ls`."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from recorder.core.timing import Outcome

from .output import Format
from .reading import format_option, paths_argument, salvage_option, streams_of
from .streams import rows_of, streams_table


@click.command
@paths_argument
@click.option("--outcome", "outcomes", type=click.Choice(get_args(Outcome)), multiple=True, help="Only these.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="The first N of them.")
@salvage_option
@format_option
def ls(
    paths: tuple[Path, ...], outcomes: tuple[str, ...], limit: int | None, salvage: bool, output: Format
) -> None:
    """List the streams of recordings.

    One row per stream, in the order in which they were sent. Each PATH is a file, a directory or a glob.

    ttft_s is the time from the send to the first output of any kind (text, thinking, tool input),
    ttft_text_s to the first text; both are empty when there was none.

    \b
    recorder ls recordings/
    recorder ls recordings/ --outcome failed --outcome truncated
    recorder ls recordings/ --format csv > streams.csv
    """
    rows = rows_of(streams_of(paths, salvage=salvage))
    wanted = [row for row in rows if not outcomes or row["outcome"] in outcomes]
    streams_table(wanted[:limit], output)
