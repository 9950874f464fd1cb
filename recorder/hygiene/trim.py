"""Recordings without what no test uses: whole files deleted, or written again without some streams."""

from __future__ import annotations

import secrets as random
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from msgspec import Struct

from recorder.hygiene.status import FileStatus
from recorder.log.edit import Edits, edit_recording
from recorder.log.files import is_compressed
from recorder.log.lock import at_rest


class Trimmed(Struct, frozen=True, kw_only=True):
    """What became of a file, or would become: `removed` are ids of its streams."""

    path: Path
    action: Literal["deleted", "trimmed", "left alone"]
    removed: list[str] = []
    why: str = ""


def trim(found: FileStatus, *, unused: bool, duplicates: bool, dry_run: bool = False) -> Trimmed | None:
    """Take out of a file what it holds without need; None when there is nothing.

    A stream that was used stays, also when it is a duplicate. Raises RecordingError and OSError: then the file is
    as it was.
    """
    gone = set(found.unused or []) if unused else set[str]()
    if duplicates:
        gone |= {one for one in found.duplicates if found.unused is None or one in found.unused}
    removed = [one for one in dict.fromkeys(found.streams) if one in gone]
    if not removed:
        return None
    if found.damaged or found.unreadable:
        return Trimmed(path=found.path, action="left alone", why="damaged")
    whole = len(removed) == len(set(found.streams))
    if is_compressed(found.path) and not whole:
        return Trimmed(path=found.path, action="left alone", why="compressed")
    with at_rest(found.path) as resting:
        if not resting:
            return Trimmed(path=found.path, action="left alone", why="live")
        if not dry_run:
            found.path.unlink() if whole else _without(found.path, removed)
    return Trimmed(path=found.path, action="deleted" if whole else "trimmed", removed=removed)


def _without(path: Path, streams: Collection[str]) -> None:
    """Put a copy without these streams in the place of the file."""
    copy = path.with_name(f".{path.stem}.{random.token_hex(4)}.jsonl")
    try:
        edit_recording(path, copy, Edits(drop=tuple(streams)), report=lambda _: None)
        shutil.copymode(path, copy)
        copy.replace(path)
    finally:
        copy.unlink(missing_ok=True)
