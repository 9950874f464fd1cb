"""One file of a recording, open for appending whole lines."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from recorder.core.lines import encode_line
from recorder.core.records import Header
from recorder.core.seal import Seal

from .files import RecordingError, header_of
from .lock import is_same_file, lock


class Segment:
    """A file that whole lines are appended to, a system call at a time."""

    def __init__(self, fd: int, path: Path, header: Header) -> None:
        self.path = path
        self.header = header
        self.seal = Seal()
        """Of what the file took, from the header on."""
        self._fd = fd

    @classmethod
    def create(cls, path: Path, header: Header) -> Segment:
        """A new file, in a directory that is made if it is not there. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | _CLOEXEC
        try:  # first without a look at the directory: beside a busy thread each system call costs 5 ms
            fd = os.open(path, flags, 0o600)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(path, flags, 0o600)
        try:
            if lock(fd) is False:  # somebody looks at it in this very moment
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(path))
            return cls(fd, path, header)._started(size=0)
        except OSError:
            os.close(fd)
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
            if lock(fd) is False:
                raise RecordingError(
                    path, "another writer has it open", "give each its own file, or one directory for all"
                )
            if not is_same_file(fd, path):  # removed, or compressed, while it was being opened
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            size = os.fstat(fd).st_size
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            return cls(fd, path, header)._started(b"\n" * torn, size=size)
        except (OSError, RecordingError):
            os.close(fd)
            raise

    def _started(self, before: bytes = b"", *, size: int) -> Segment:
        line = encode_line(self.header)
        self._append_whole(before + line, size)
        self.seal.add(line)
        return self

    def _append_whole(self, line: bytes, size: int) -> None:
        """All of it or nothing, to a file of `size` bytes: half a header would make it no recording for ever.

        Raises OSError.
        """
        try:
            if os.write(self._fd, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        except OSError:
            with suppress(OSError):  # a device has no length; what counts is why it took nothing
                os.ftruncate(self._fd, size)
            raise

    def write(self, data: memoryview) -> int:
        """Append; returns how many bytes were taken, which may be fewer. Raises OSError."""
        taken = os.write(self._fd, data)
        self.seal.add(data[:taken])
        return taken

    def end(self, stats: dict[str, object]) -> None:
        """Write the footer, which stands at the end of a line. Raises OSError."""
        self._append_whole(self.seal.footer(self.header.segment, stats), os.fstat(self._fd).st_size)

    def is_gone(self) -> bool:
        """True when the file is no longer where it was."""
        return not is_same_file(self._fd, self.path)

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
    try:
        header_of(path)
    except RecordingError:
        raise RecordingError(path, "not a recording", "nothing was written; choose another name", line=1) from None
