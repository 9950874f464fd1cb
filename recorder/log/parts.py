"""The segments that lie in a file, one after the other, and which of them are over: nothing comes to them any
more.

Most files are one segment. A file that several processes appended to, or that was made at one go of several
recordings, is a row of them, each from its header to the next.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from recorder.core.lines import decode_line
from recorder.core.records import Header

from .files import RecordingError, open_segment
from .live import QUIET_S, is_there
from .lock import LAST_LINE, ends_with_footer, is_live

DAY_S = 86_400.0
_BLOCK = 1 << 20
_HEADER = b'{"kind":"header"'


class Part(Struct, frozen=True, kw_only=True):
    """A segment, and where it lies: `start` to `end`, in bytes of the plain text.

    `whole`: it is all that is in the file. `followed`: another one stands behind it. `sealed`: the file ends with
    a footer. `live`: its writer has it open, or may have. `changed`: Unix time of the last write to the file, s.
    """

    path: Path
    header: Header
    start: int
    end: int
    whole: bool
    followed: bool
    sealed: bool
    live: bool
    changed: float

    def lines(self) -> Iterator[bytes]:
        """Raises OSError and DamagedError."""
        with open_segment(self.path) as file:
            _skip(file, self.start)
            left = self.end - self.start
            while left > 0 and (line := file.readline(left)):
                left -= len(line)
                yield line


def parts_of(path: Path) -> list[Part]:
    """The segments of a file, in their order. Raises OSError, DamagedError, and RecordingError where it does not
    begin with a header."""
    live = is_live(path)
    changed = path.stat().st_mtime
    starts, size, tail = _scan(path)
    if not starts or starts[0]:
        raise RecordingError(path, "not a recording (its first line is no header)", line=1)
    ends = [*starts[1:], size]
    found: list[Part] = []
    for number, (start, end, header) in enumerate(zip(starts, ends, _headers(path, starts), strict=True)):
        if header is None:
            continue  # a line that only begins as one
        last = number == len(starts) - 1
        found.append(
            Part(
                path=path, header=header, start=start, end=end, whole=len(starts) == 1,
                followed=not last, sealed=ends_with_footer(tail), live=live and last, changed=changed,
            )
        )  # fmt: skip
    return found


def is_last_of_its_writer(
    part: Part,
    known: Sequence[Part],
    *,
    now: Callable[[], float] = time.time,
    is_there: Callable[[int], bool] = is_there,
) -> bool:
    """Whether a segment that is not live will have none after it: what is open in it then stays so.

    No record says so. `known` has none that goes on from it, and: another one stands behind it in its file, so
    that one's writer had the lock; or its process is gone, and ended without a footer; or it is gone, as far as
    it can be seen from here (it may run in another container), and nothing came for `QUIET_S`; or nothing came
    for a day. What was made at one go has nobody who goes on.
    """
    header = part.header
    if any(other.header.previous == header.segment for other in known):
        return False
    if part.followed or header.source is not None or header.edited is not None:
        return True
    quiet = now() - part.changed
    gone = header.pid is None or not is_there(header.pid)
    return quiet > DAY_S or (gone and (not part.sealed or quiet > QUIET_S))


def _scan(path: Path) -> tuple[list[int], int, bytes]:
    """Where lines begin that look like a header; how many bytes there are, plain; the last of them."""
    starts: list[int] = []
    size, before = 0, b"\n"
    pattern = re.compile(rb"\n" + re.escape(_HEADER))
    with open_segment(path) as file:
        while data := file.read(_BLOCK):
            text = before + data
            offset = size - len(before)
            starts += [offset + found.start() + 1 for found in pattern.finditer(text)]
            size += len(data)
            before = text[-LAST_LINE:]
    return list(dict.fromkeys(starts)), size, before


def _headers(path: Path, starts: Sequence[int]) -> Iterator[Header | None]:
    with open_segment(path) as file:
        at = 0
        for start in starts:
            _skip(file, start - at)
            line = file.readline()
            at = start + len(line)
            yield _header(line)


def _header(line: bytes) -> Header | None:
    try:
        record = decode_line(line)
    except ValueError:
        return None
    return record if isinstance(record, Header) else None


def _skip(file: BinaryIO, size: int) -> None:
    """Bytes of the plain text, from where the file stands."""
    if file.seekable():
        file.seek(size, os.SEEK_CUR)
        return
    while size > 0 and (data := file.read(min(size, _BLOCK))):
        size -= len(data)
