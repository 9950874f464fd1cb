"""A recording that is written at one go: a new file, its owner's alone, sealed, and there when it is whole."""

from __future__ import annotations

import os
import secrets as random
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from recorder.core.lines import encode_line
from recorder.core.records import Header
from recorder.core.seal import Seal

from .files import SUFFIX, RecordingError


class NewRecording:
    """The file `path`, segment after segment; nothing is there after an exception.

    Entering raises RecordingError when `path` exists or has another suffix than `.jsonl`, and OSError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.{random.token_hex(4)}")
        self._file: BinaryIO | None = None
        self._seal = Seal()
        self._header: Header | None = None
        self._stats: dict[str, object] = {}

    def __enter__(self) -> Self:
        if os.path.lexists(self._path):
            raise RecordingError(self._path, "is there already", "nothing was written; choose another name")
        if self._path.suffix != SUFFIX:
            raise RecordingError(self._path, f"recordings end in {SUFFIX}", "choose another name")
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(fd, "wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        try:
            if kind is None:
                self._end_segment()
            self._file.close()
            if kind is None:
                self._put()
        finally:
            self._part.unlink(missing_ok=True)

    def begin(self, header: Header, line: bytes | None = None, **stats: object) -> None:
        """A segment with this header, spelt as `line` if there is one. Its footer says how many streams and events
        it has, and `stats`."""
        self._end_segment()
        self._header, self._seal = header, Seal()
        self._stats = {"streams": 0, "events": 0, **stats}
        self.write(line or encode_line(header))

    def write(self, lines: bytes, *, streams: int = 0, events: int = 0) -> None:
        """Whole lines, and how many streams begin and how many events are in them."""
        assert self._file is not None
        self._file.write(lines)
        self._seal.add(lines)
        for name, number in (("streams", streams), ("events", events)):
            before = self._stats[name]
            assert isinstance(before, int)
            self._stats[name] = before + number

    def _end_segment(self) -> None:
        assert self._file is not None
        if self._header is not None:
            self._file.write(self._seal.footer(self._header.segment, self._stats))

    def _put(self) -> None:
        """Give the finished file its name, unless somebody else has it by now."""
        try:
            os.link(self._part, self._path)
        except FileExistsError:
            raise RecordingError(self._path, "is there by now", "nothing was written") from None
