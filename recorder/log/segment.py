"""One file of a recording, open for appending whole lines."""

from __future__ import annotations

import errno
import os
import secrets
import time
from pathlib import Path

from recorder.core.lines import decode_line, encode_line
from recorder.core.records import Header

from .reader import SUFFIX, RecordingError

try:
    import fcntl
except ImportError:  # Windows has no flock: a file is then guarded by nothing but O_EXCL
    fcntl = None


class Segment:
    """A file that whole lines are appended to, a system call at a time."""

    def __init__(self, fd: int, path: Path) -> None:
        self.path = path
        self._fd = fd

    @classmethod
    def create(cls, directory: Path, header: Header) -> Segment:
        """A new segment in `directory`, which is made if it is not there. Raises OSError."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        started = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(header.wall / 1e9))
        path = directory / f"{started}-{header.pid}-{secrets.token_hex(3)}{SUFFIX}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | _CLOEXEC, 0o600)
        try:
            return cls._started(fd, path, encode_line(header))
        except OSError:
            path.unlink(missing_ok=True)  # on a full disk every new try would leave an empty file
            raise

    @classmethod
    def append(cls, path: Path, header: Header) -> Segment:
        """`path` itself, made if it is not there; never glued to a torn last line.

        Raises OSError, and RecordingError for a file that is no recording or that another writer has open.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_appendable(path)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _CLOEXEC, 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise RecordingError(
                path, "another writer has it open", "give each its own file, or one directory for all"
            ) from None
        size = os.fstat(fd).st_size
        torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
        return cls._started(fd, path, b"\n" * torn + encode_line(header))

    @classmethod
    def _started(cls, fd: int, path: Path, line: bytes) -> Segment:
        size = os.fstat(fd).st_size
        try:
            if os.write(fd, line) == len(line):
                return cls(fd, path)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        except OSError:
            os.ftruncate(fd, size)  # half a header would make the file no recording for ever
            os.close(fd)
            raise

    def write(self, data: bytes | memoryview) -> int:
        """Append; returns how many bytes were taken, which may be fewer. Raises OSError."""
        return os.write(self._fd, data)

    def is_gone(self) -> bool:
        """True when the file is no longer where it was."""
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return True
        ours = os.fstat(self._fd)
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)

    def sync(self) -> None:
        """Wait until what was written survives a power cut. Raises OSError."""
        getattr(os, "fdatasync", os.fsync)(self._fd)

    def close(self) -> None:
        os.close(self._fd)


_CLOEXEC = getattr(os, "O_CLOEXEC", 0)


def check_appendable(path: Path) -> None:
    """Raises RecordingError when `path` is a file with something in it that is no recording."""
    if not path.is_file() or path.stat().st_size == 0:
        return
    with path.open("rb") as file:
        line = file.readline(1 << 16)
    try:
        is_recording = isinstance(decode_line(line), Header)
    except ValueError:
        is_recording = False
    if not is_recording:
        raise RecordingError(path, "not a recording", "nothing was written; choose another name", line=1)
