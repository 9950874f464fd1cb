"""`recorder compact`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from recorder.log.compact import Compaction
from recorder.log.compact import compact as compact_segment
from recorder.log.files import is_compressed

from .errors import Exit, note
from .keeping import Segments, dry_run_option
from .output import Column, Format, Row, print_rows
from .reading import format_option, paths_argument
from .text import count, number

COLUMNS = (
    Column("file"),
    Column("action"),
    Column("bytes", right=True),
    Column("compressed_bytes", right=True),
    Column("ratio", number, right=True, spare=1),
)


@click.command
@paths_argument
@dry_run_option
@format_option
def compact(paths: tuple[Path, ...], dry_run: bool, output: Format) -> Exit:
    """Compress recordings that are no longer written.

    Each file X.jsonl becomes X.jsonl.zst, about a sixth of its size; every command reads both. A file that a
    process is recording to is left alone. The original goes only after the compressed file is on the disk and
    was read back and compared, so nothing is lost when this is stopped halfway; run it again then.

    \b
    recorder compact recordings/ --dry-run
    recorder compact recordings/
    """
    segments = Segments(paths)
    done = [one for one in segments.each(partial(_compact, dry_run=dry_run)) if one]
    print_rows((_row(one) for one in done), COLUMNS, output)
    packed = [one for one in done if not one.live]
    before, after = sum(one.bytes for one in packed), sum(one.compressed_bytes or 0 for one in packed)
    became = "would be compressed" if dry_run else f"compressed to {after:,}"
    note(f"{count(len(packed), 'file')}, {before:,} bytes, {became}; {len(done) - len(packed):,} left alone.")
    return segments.code


def _compact(path: Path, *, dry_run: bool) -> Compaction | None:
    return None if is_compressed(path) else compact_segment(path, dry_run=dry_run)


def _row(done: Compaction) -> Row:
    after = done.compressed_bytes
    action = "live, left alone" if done.live else "would be compressed" if after is None else "compressed"
    return {
        "file": str(done.path),
        "action": action,
        "bytes": done.bytes,
        "compressed_bytes": after,
        "ratio": round(done.bytes / after, 1) if after else None,
    }
