"""Who has a segment open: its writer holds an exclusive `flock` on it for as long as it lives.

The kernel lets go of it when the process dies, however it dies. The child of a fork shares it until it closes
its copy of the descriptor, which it does first of all.

Where there are no such locks (Windows, some network file systems) nobody can know. A segment then counts as
live unless its last line is a footer: better to leave a dead one alone than to take one from its writer.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from recorder.core.lines import decode_line
from recorder.core.records import Footer

from .files import is_compressed

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LAST_LINE = 1 << 13
"""Bytes; a footer has a few hundred."""


def lock(fd: int, *, shared: bool = False) -> bool | None:
    """Take the lock, to be held until the descriptor is closed. False when another has it, None when there are
    no locks here."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def is_live(path: Path) -> bool:
    """Whether a writer has this segment open, or may have. Raises OSError."""
    if is_compressed(path):
        return False
    fd = os.open(path, os.O_RDONLY)
    try:
        return not _at_rest(fd, path, shared=True)
    finally:
        os.close(fd)


@contextmanager
def at_rest(path: Path) -> Generator[bool]:
    """Keep writers off a segment meanwhile; False when one has it open, or may have, or when the file is gone.

    Raises OSError.
    """
    if fcntl is None:  # there is no lock to hold, and Windows deletes no file that is open
        yield is_compressed(path) or is_sealed(path)
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        yield is_compressed(path) or (_at_rest(fd, path) and is_same_file(fd, path))
    finally:
        os.close(fd)


def is_same_file(fd: int, path: Path) -> bool:
    """False when the file that is open is no longer the one of that name."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(fd))


def _at_rest(fd: int, path: Path, *, shared: bool = False) -> bool:
    taken = lock(fd, shared=shared)
    return is_sealed(path) if taken is None else taken


def is_sealed(path: Path) -> bool:
    """Whether the last line of a plain segment is a footer. Raises OSError."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_LINE))
        return ends_with_footer(file.read())


def ends_with_footer(tail: bytes) -> bool:
    """Whether the last line is a footer, of the last `LAST_LINE` bytes of a segment or more."""
    line = tail.removesuffix(b"\n").rpartition(b"\n")[2] + b"\n"
    try:
        return isinstance(decode_line(line), Footer)
    except ValueError:
        return False
