"""`recorder prune`."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import click

from recorder.log.prune import Pruning
from recorder.log.prune import prune as prune_segment

from .errors import Exit, note
from .keeping import Segments, dry_run_option, seconds_of
from .output import Column, Format, Row, print_rows
from .reading import format_option, paths_argument
from .text import count, utc

COLUMNS = (
    Column("file"),
    Column("action"),
    Column("bytes", right=True),
    Column("last_record"),
)


@click.command
@paths_argument
@click.option("--older-than", callback=seconds_of, required=True, metavar="AGE", help="30d, 12h, 90m or 45s.")
@dry_run_option
@format_option
def prune(paths: tuple[Path, ...], older_than: float, dry_run: bool, output: Format) -> Exit:
    """Delete recordings whose last record is older than AGE.

    Whole files are deleted, compressed or not; never one that a process is recording to, and never a file that
    is no recording. The last record is as old as the file's last change; copies made without their times are as
    old as the copy. A stream that goes on in a file that is kept is left out there.

    \b
    recorder prune recordings/ --older-than 30d --dry-run
    recorder prune recordings/ --older-than 30d
    """
    segments = Segments(paths)
    before = time.time_ns() - int(older_than * 1e9)
    done = list(segments.each(partial(prune_segment, before=before, dry_run=dry_run)))
    deleted = [one for one in done if one.deleted]
    print_rows((_row(one, dry_run=dry_run) for one in done), COLUMNS, output)
    became = "would be deleted" if dry_run else "deleted"
    size = sum(one.bytes for one in deleted)
    note(f"{count(len(deleted), 'file')}, {size:,} bytes, {became}; {len(done) - len(deleted):,} kept.")
    return segments.code


def _row(done: Pruning, *, dry_run: bool) -> Row:
    deleted = "would be deleted" if dry_run else "deleted"
    return {
        "file": str(done.path),
        "action": deleted if done.deleted else "live, left alone" if done.live else "kept",
        "bytes": done.bytes,
        "last_record": utc(done.last),
    }
