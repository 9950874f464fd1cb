"""The files of a recording: what they are called, where they are, and how they are opened, compressed or not."""

from __future__ import annotations

import glob
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, cast

from recorder.core.lines import decode_line
from recorder.core.records import Header

SUFFIX = ".jsonl"
COMPRESSED = ".jsonl.zst"
_FIRST_LINE = 1 << 16
"""Bytes; a header is a few hundred."""
_BUFFER = 1 << 17


class RecordingError(ValueError):
    """A recording cannot be read or written: `path`, `line` (from 1, or None), `reason`, `hint`."""

    def __init__(self, path: Path | str, reason: str, hint: str | None = None, *, line: int | None = None) -> None:
        self.path = Path(path)
        self.line = line
        self.reason = reason
        self.hint = hint
        where = f"{path}:{line}" if line else f"{path}"
        super().__init__(f"{where}: {reason}" + (f"; {hint}" if hint else ""))


def unreadable(path: Path, error: OSError) -> RecordingError:
    """What the operating system says, as an error of ours."""
    return RecordingError(path, why(error), "check that it is there and may be read")


def why(error: OSError) -> str:
    """What the operating system says, without number and path."""
    return (error.strerror or str(error)).lower()


class DamagedError(ValueError):
    """What was compressed cannot be had back from here on."""


def find_segments(path: str | os.PathLike[str]) -> list[Path]:
    """The segments that `path` names: a file, a directory (searched to its bottom), or a glob; sorted by name.

    Of a segment that stands there plain and compressed, because compressing it was cut short, the plain one.
    Raises RecordingError when there is none.
    """
    source = Path(path)
    try:
        if source.is_dir():
            found = sorted(child for child in source.rglob(f"*{SUFFIX}*") if is_segment(child))
            next(source.iterdir(), None)  # rglob is silent about a directory that it may not read
            if not found:
                raise RecordingError(source, f"no recordings in this directory (no *{SUFFIX} or *{COMPRESSED})")
            return _each_once(found)
        if source.exists():
            return [source]
    except PermissionError:
        raise RecordingError(source, "permission denied", "check its mode and owner") from None
    pattern: str = os.fspath(path)
    if glob.has_magic(pattern):
        found = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
        if found:
            return _each_once([segment for one in found for segment in find_segments(one)])
        raise RecordingError(source, "no file matches")
    raise RecordingError(source, "no such file or directory")


def is_segment(path: Path) -> bool:
    """Whether this is a file that is called as segments are."""
    return path.name.endswith((SUFFIX, COMPRESSED)) and path.is_file()


def is_compressed(path: Path) -> bool:
    return path.suffix == ".zst"


def compressed_name(path: Path) -> Path:
    """What a plain segment is called once it is compressed."""
    return path.with_name(f"{path.name}.zst")


def plain_name(path: Path) -> Path:
    """What a segment is called when it is not compressed."""
    return path.with_suffix("") if is_compressed(path) else path


def is_copy_of(compressed: Path, plain: Path) -> bool:
    """Whether the one was made of the other: their headers, which have an id that no other has, are equal."""
    try:
        return first_line(compressed) == first_line(plain)
    except (OSError, DamagedError):
        return False


def _each_once(found: Iterable[Path]) -> list[Path]:
    paths = list(found)
    plain = {compressed_name(path): path for path in paths}
    return [path for path in paths if path not in plain or not is_copy_of(path, plain[path])]


def open_segment(path: Path) -> BinaryIO:
    """The lines of a segment, decompressed; also of one that was compressed since its name was found.

    Raises OSError; reading may raise DamagedError, too.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        if is_compressed(path) or not compressed_name(path).is_file():
            raise
        path = compressed_name(path)
        file = path.open("rb")
    if not is_compressed(path):
        return file
    return cast("BinaryIO", io.BufferedReader(_Decompressed(file), _BUFFER))


def first_line(path: Path) -> bytes:
    """Raises OSError and DamagedError."""
    with open_segment(path) as file:
        return file.readline(_FIRST_LINE)


def header_of(path: Path) -> Header:
    """The header that a segment begins with. Raises OSError, and RecordingError where there is none."""
    try:
        record = decode_line(first_line(path))
    except ValueError:
        record = None
    if not isinstance(record, Header):
        raise RecordingError(path, "not a recording (its first line is no header)", line=1)
    return record


class _Decompressed(io.RawIOBase):
    """zstd off a file, frame after frame, in constant memory."""

    def __init__(self, file: BinaryIO) -> None:
        from recorder.core.zstd import ZstdError, ZstdFile

        self._file = file
        self._content = ZstdFile(file)
        self._damages = (ZstdError, EOFError)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            return self._content.readinto(buffer)
        except self._damages as error:
            raise DamagedError(str(error)) from None

    def close(self) -> None:
        self._content.close()
        self._file.close()
        super().close()
