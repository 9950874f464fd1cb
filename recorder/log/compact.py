"""Segments that nobody writes any more, compressed one by one: `X.jsonl` becomes `X.jsonl.zst`.

Whenever it is cut short, one of the two is there, whole, or both are: then readers take the plain one, and the
next run does its work again. The compressed file is complete on the disk, and was read back and compared,
before the plain one goes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from msgspec import Struct

from .files import RecordingError, compressed_name, header_of, is_copy_of, open_segment
from .lock import at_rest

LEVEL = 3
_PIECE = 1 << 20


class Compaction(Struct, frozen=True, kw_only=True):
    """What became of a segment: its size in bytes, and that of what it was compressed to.

    `compressed_bytes` is None when it was not compressed: it is `live`, or it was a dry run.
    """

    path: Path
    bytes: int
    compressed_bytes: int | None = None
    live: bool = False


def compact(path: Path, *, dry_run: bool = False) -> Compaction:
    """Compress a plain segment, unless its writer has it open.

    Raises RecordingError for a file that is no recording, or whose compressed name is taken, and OSError: then
    the segment is as it was.
    """
    header_of(path)
    target = compressed_name(path)
    if target.exists() and not is_copy_of(target, path):
        raise RecordingError(
            path, f"{target.name} is there already and is not made of it", "rename one of the two"
        )
    with at_rest(path) as resting:
        size = path.stat().st_size
        if dry_run or not resting:
            return Compaction(path=path, bytes=size, live=not resting)
        compressed = _replace(path, target)
    return Compaction(path=path, bytes=size, compressed_bytes=compressed)


def _replace(path: Path, target: Path) -> int:
    """Returns the size of what it compressed. What a run before left unfinished is overwritten."""
    unfinished = path.with_name(f"{path.name}.tmp.zst")
    try:
        digest = _compress(path, unfinished)
        with open_segment(unfinished) as file:
            if hashlib.file_digest(file, "sha256").digest() != digest:  # pyright: ignore[reportArgumentType]
                raise RecordingError(
                    path, "what was compressed does not read back as it was", "nothing was changed"
                )
        shutil.copystat(path, unfinished)
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)
    path.unlink()
    return target.stat().st_size


def _compress(path: Path, target: Path) -> bytes:
    """Returns the SHA-256 of the plain bytes. The compressed ones are on the disk then."""
    from recorder.core.zstd import CompressionParameter, ZstdFile

    options: dict[int, int] = {
        CompressionParameter.compression_level: LEVEL,
        CompressionParameter.checksum_flag: 1,
    }
    digest = hashlib.sha256()
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with path.open("rb") as plain, open(fd, "wb") as file:  # noqa: PTH123 - made with its mode
        with ZstdFile(file, "wb", options=options) as packed:
            while piece := plain.read(_PIECE):
                digest.update(piece)
                packed.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return digest.digest()


def _sync_directory(path: Path) -> None:
    """Wait until a name in it survives a power cut; where a directory can be opened (not on Windows)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
