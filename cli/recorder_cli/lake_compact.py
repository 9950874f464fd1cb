"""`recorder lake compact`."""

from __future__ import annotations

import click

from recorder.analytics.lake.rewrite import TARGET_BYTES, Compacted
from recorder.analytics.lake.rewrite import compact as compact_lake
from recorder.analytics.lake.store import Store

from .errors import Exit, note, warn
from .keeping import dry_run_option
from .lakes import store_errors
from .output import Column, Format, Row, print_rows
from .reading import format_option
from .text import count

_NUMBERS = ("objects", "bytes", "objects_after", "bytes_after")
COLUMNS = (Column("day"), Column("host"), *(Column(name, right=True) for name in _NUMBERS))
_TARGET = "Up to how many MiB are merged into one set of objects."


@click.command
@click.argument("url", metavar="URL")
@click.option("--target", type=click.IntRange(1), default=TARGET_BYTES >> 20, show_default=True, help=_TARGET)
@dry_run_option
@format_option
def compact(url: str, target: int, dry_run: bool, output: Format) -> Exit:
    """Merge the small objects of a lake.

    The objects of a day and host that are smaller than half of the target become few large ones, sorted as before.
    Whenever it is stopped nothing is missing; run it again. Two at once do no harm. It also deletes what a run
    that was killed left behind. A reader that lists objects itself may see rows twice for the moment in which the
    old ones are being deleted.

    \b
    recorder lake compact s3://bucket/lake --dry-run
    recorder lake compact s3://bucket/lake
    """
    with store_errors():
        done = list(compact_lake(Store(url), target_bytes=target << 20, dry_run=dry_run))
    print_rows(map(_row, done), COLUMNS, output)
    for one in done:
        if one.conflict:
            warn(f"{one.partition.path}: rewritten by somebody else meanwhile; left alone")
    before, after = sum(one.objects for one in done), sum(one.objects_after for one in done)
    became = "would become" if dry_run else "became"
    note(f"{count(before, 'object')} {became} {after:,}.")
    return Exit.CHECK_FAILED if any(one.conflict for one in done) else Exit.OK


def _row(one: Compacted) -> Row:
    return {
        "day": one.partition.day,
        "host": one.partition.host,
        **{name: getattr(one, name) for name in _NUMBERS},
    }
