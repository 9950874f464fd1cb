"""Are the footers true? What stands before each one, held against what it says."""

from __future__ import annotations

import re

from recorder.core.lines import decode_line
from recorder.core.records import Footer, Header, Record, Unknown
from recorder.core.seal import Seal

_HEAD = b'{"kind":"footer"'
_KIND = re.compile(rb'^\{"kind":"[^"]*"')
_TAIL = re.compile(rb'"sha256":"[0-9a-f]{64}')


class Footers:
    """Given every byte of a file (`observe`), and each record when its line has been given."""

    def __init__(self) -> None:
        self.sealed = False
        """The last line so far is a footer, and so was the last one before every header but the first."""
        self.damaged = False
        """A line that looks like a footer was no record. (Before a header it would pass for a torn line.)"""
        self._like = False
        """The last line looks so, and no record came of it yet."""
        self._open: str | None = None
        """The segment whose footer has not come yet."""
        self._unsealed = False
        self._seal = Seal()
        self._line = b""
        """The last that was given: what a footer does not count."""

    def observe(self, data: bytes) -> None:
        self._seal.add(self._line)
        self._line = data
        self.damaged = self.damaged or self._like
        self._like = _looks_like_footer(data)
        self.sealed = self.sealed and not data

    def take(self, record: Record | Unknown) -> list[str]:
        """What is wrong with the record where it stands."""
        self._like = False
        if isinstance(record, Header):
            self._unsealed = self._unsealed or self._open is not None
            self._open, self._seal = record.segment, Seal()
            return []
        if isinstance(record, Unknown):
            record = _meant(record, self._open)
        if self._open is None:
            self._open = ""  # said once
            return ["a record after the footer"]
        if not isinstance(record, Footer):
            return []
        wrong = self._seal.objections(self._open, record, self._line)
        self._open, self.sealed = None, not self._unsealed
        return wrong


def _looks_like_footer(line: bytes) -> bool:
    """One changed bit spoils its end or its beginning, not both; one that was cut has no end."""
    return _TAIL.search(line[-80:]) is not None or (line.startswith(_HEAD) and line[-3:-1] == b'"}')


def _meant(record: Unknown, segment: str | None) -> Footer | Unknown:
    """A footer of this segment, when it is one in all but its kind: what one flipped bit makes of it."""
    try:
        meant = decode_line(_KIND.sub(_HEAD, record.line))
    except ValueError:
        return record
    return meant if isinstance(meant, Footer) and meant.segment == segment else record
