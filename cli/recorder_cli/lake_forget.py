"""`recorder lake forget`."""

from __future__ import annotations

import click

from recorder.analytics.lake.rewrite import Forgetting, Forgotten
from recorder.analytics.lake.rewrite import forget as forget_in_lake
from recorder.analytics.lake.store import Store

from .errors import Exit, note, tell
from .keeping import dry_run_option
from .lakes import store_errors
from .output import Column, Format, Row, print_rows
from .reading import format_option
from .text import count

COLUMNS = (
    Column("day"),
    Column("host"),
    Column("table"),
    Column("rows", right=True),
    Column("objects", right=True),
)


@click.command
@click.argument("url", metavar="URL")
@click.option("--tag", required=True, metavar="NAME=VALUE", help="Of the streams that go.")
@dry_run_option
@format_option
def forget(url: str, tag: str, dry_run: bool, output: Format) -> Exit:
    """Take the streams with a tag out of a lake.

    Every object that has rows of such a stream, or of its call, is written anew without them, and the old one is
    deleted. Then all of it is read again: exit code 0 says that no object holds them any more. What is told is how
    many rows went, of which tables. Recordings that are still on their hosts are not touched, and would be
    shipped: recorder edit and recorder prune are for those. A bucket that keeps versions keeps them.

    \b
    recorder lake forget s3://bucket/lake --tag user=1234 --dry-run
    recorder lake forget s3://bucket/lake --tag user=1234
    """
    name, equals, value = tag.partition("=")
    if not name or not equals:
        raise click.UsageError(f"--tag {tag}: it is NAME=VALUE")
    with store_errors():
        done = forget_in_lake(Store(url), name, value, dry_run=dry_run)
    print_rows(map(_row, done.removed), COLUMNS, output)
    would = "would be removed" if dry_run else "removed"
    note(f"{count(len(done.streams), 'stream')} {would}." + ("" if dry_run else " All objects read again."))
    return _code(done)


def _row(one: Forgotten) -> Row:
    place = {"day": one.partition.day, "host": one.partition.host}
    return {**place, "table": one.table, "rows": one.rows, "objects": one.objects}


def _code(done: Forgetting) -> Exit:
    for partition in done.unfinished:
        tell("error", f"{partition.path}: a segment there is not shipped whole; ship it, then run this again")
    for partition in done.conflicts:
        tell("error", f"{partition.path}: rewritten by somebody else meanwhile; run this again")
    if done.left:
        tell("error", f"{count(done.left, 'row')} came meanwhile; run this again")
    if done.writing:
        tell(
            "error",
            f"{count(done.writing, 'file')} being written, or left by a process just killed; run this again",
        )
    return Exit.CHECK_FAILED if done.unfinished or done.conflicts or done.left or done.writing else Exit.OK
