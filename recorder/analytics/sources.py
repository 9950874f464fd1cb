"""Which files a database was made of, and how far each was read: what is new, and what is gone.

A file is known by its name and the segment that it begins with. Compressed or moved it is the same; cut, or with
another segment under its name, it is another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import duckdb
from msgspec import Struct

from recorder.log.files import DamagedError, RecordingError, header_of, is_compressed
from recorder.log.reader import Report, read_records

_TAIL = 256
"""Bytes before the end of what was read that must still be the same."""


class Source(Struct):
    """A file that was read. `bytes`: of whole lines, of the plain text; `size`, `modified`: of the file then."""

    source: int
    file: str
    segment: str
    bytes: int = 0
    size: int = -1
    modified: int = 0
    tail: str = ""
    """A hash of the last bytes that were read."""


class News(Struct):
    """What a database does not hold, or no longer should."""

    changed: list[tuple[Source, Path]]
    """Files with something new in them, and how they are found."""
    gone: list[int]
    moved: list[Source]
    torn: list[tuple[Path, int]]
    """Files that end in no whole line, and how many bytes were read of them."""

    @property
    def any(self) -> bool:
        return bool(self.changed or self.gone or self.moved)


def known_sources(connection: duckdb.DuckDBPyConnection) -> list[Source]:
    rows = connection.execute(
        "SELECT source, file, segment, bytes, size, modified, tail FROM recording.loaded.sources"
    ).fetchall()
    return [Source(*row) for row in rows]


def find_news(
    known: Sequence[Source], files: Sequence[Path], root: Path | None, *, keep: bool, report: Report
) -> News:
    """Compare the files with what is known of them. `root`: what the names of known files are relative to; `keep`:
    what was read of files that are not there any more.

    Raises RecordingError for a file that is no recording, is newer than this version or cannot be read.
    """
    by_name = {source.file: source for source in known}
    news = News(changed=[], gone=[], moved=[], torn=[])
    taken: set[int] = set()
    lost = {source.segment: source for source in known if not resolve(source.file, root).exists()}
    number = max((source.source for source in known), default=0)
    for file in dict.fromkeys(files):
        name = relative(file, root)
        source = by_name.get(name)
        there = _stat(file)
        if source is None or (source.size, source.modified) != there:
            segment = _segment(file, report)
            if segment is None:
                continue
            if source is None and (source := lost.pop(segment, None)):
                source.file = name
                news.moved.append(source)
            if source is None or source.segment != segment or not _goes_on(source, file):
                number += 1
                source = Source(number, name, segment)
            source.size, source.modified = there
            news.changed.append((source, file))
        elif source.bytes < source.size and not is_compressed(file):
            news.torn.append((file, source.bytes))
        taken.add(source.source)
    missing = {source.source for source in lost.values()}
    replaced = {relative(file, root) for file in files}
    news.gone = [
        source.source
        for source in known
        if source.source not in taken and (source.file in replaced or (source.source in missing and not keep))
    ]
    return news


def relative(file: Path, root: Path | None) -> str:
    """The name by which a file is known: it stays when the directory moves with its database."""
    full = file.absolute()
    return str(full.relative_to(root) if root and full.is_relative_to(root) else full)


def resolve(name: str, root: Path | None) -> Path:
    return root / name if root else Path(name)


def tail_of(file: Path, end: int) -> str:
    """A hash of the last bytes before `end` of a plain file."""
    if is_compressed(file):
        return ""
    with file.open("rb") as content:
        content.seek(max(0, end - _TAIL))
        return hashlib.sha256(content.read(min(end, _TAIL))).hexdigest()[:16]


def _goes_on(source: Source, file: Path) -> bool:
    """Whether what was read of it still stands there."""
    if is_compressed(file) or not source.tail:
        return True
    return file.stat().st_size >= source.bytes and tail_of(file, source.bytes) == source.tail


def _stat(file: Path) -> tuple[int, int]:
    try:
        there = file.stat()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RecordingError(file, reason, "check that it is there and may be read") from None
    return there.st_size, there.st_mtime_ns


def _segment(file: Path, report: Report) -> str | None:
    """The segment that a file begins with; None for one without a whole line, which is reported."""
    try:
        return header_of(file).segment
    except (OSError, ValueError, DamagedError):
        for _ in read_records(file, salvage=True, report=report):  # raises, or tells what there is instead
            pass
        return None
