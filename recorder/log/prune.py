"""Old segments, deleted: whole files, never one that its writer has open, never a file that is no recording.

The age of a segment is that of its last record, and that is when the file was last written: asking the clock of
the file system costs the same for plain, compressed and torn segments, and a copy made later only looks younger
and is kept longer. A file that says it is older than its own header (from an archive without times) is as old
as the header.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from .files import compressed_name, header_of, is_compressed, is_copy_of
from .lock import at_rest


class Pruning(Struct, frozen=True, kw_only=True):
    """What became of a segment. `last`: Unix time of its last record, ns. `deleted`: or would be, in a dry run."""

    path: Path
    bytes: int
    last: int
    deleted: bool
    live: bool


def prune(path: Path, *, before: int, dry_run: bool = False) -> Pruning:
    """Delete a segment whose last record is from before that Unix time (ns), unless its writer has it open.

    Raises RecordingError for a file that is no recording, and OSError.
    """
    header = header_of(path)
    with at_rest(path) as resting:
        there = path.stat()
        last = max(header.wall, there.st_mtime_ns)
        deleted = last < before and resting
        if deleted and not dry_run:
            _delete(path)
    return Pruning(path=path, bytes=there.st_size, last=last, deleted=deleted, live=not resting)


def _delete(path: Path) -> None:
    copy = compressed_name(path)
    if not is_compressed(path) and copy.exists() and is_copy_of(copy, path):
        copy.unlink()  # left by a compaction that was cut short; alone it would be back as a recording
    path.unlink()
