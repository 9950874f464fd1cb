"""The seal of a segment: what its footer says of the bytes before it, computed by who writes and by who checks.

`sha256` is the last field of the footer's line and covers everything before itself: all bytes from the first
of the header's line to the last before `,"sha256":` in the footer's own, so that one changed bit anywhere in
the segment shows, in the footer too.
"""

from __future__ import annotations

import hashlib

from .lines import encode_line
from .records import Footer

_MARK = b',"sha256":"'
_END = b'"}\n'


class Seal:
    """Fed the bytes of a segment, from its header on, in pieces of any size."""

    def __init__(self) -> None:
        self.lines = 0
        self.bytes = 0
        self._hash = hashlib.sha256()

    def add(self, data: bytes | memoryview) -> None:
        self.lines += bytes(data).count(b"\n")
        self.bytes += len(data)
        self._hash.update(data)

    def footer(self, segment: str, stats: dict[str, object]) -> bytes:
        """The line of the footer that ends the segment here."""
        blank = Footer(segment=segment, lines=self.lines, bytes=self.bytes, stats=stats, sha256="")
        covered = encode_line(blank).removesuffix(_MARK + _END)
        return covered + _MARK + self._digest(covered).encode() + _END

    def objections(self, segment: str, footer: Footer, line: bytes) -> list[str]:
        """What `footer`, read from `line`, says that is not so."""
        covered = line.rpartition(_MARK)[0]
        said = {
            "segment": (footer.segment, segment),
            "lines": (footer.lines, self.lines),
            "bytes": (footer.bytes, self.bytes),
            "sha256": (footer.sha256, self._digest(covered)),
        }
        wrong = [f"footer says {name} {was}, it is {is_}" for name, (was, is_) in said.items() if was != is_]
        if line != covered + _MARK + footer.sha256.encode() + _END:
            wrong.append("the footer does not end with its sha256")
        return wrong

    def _digest(self, covered: bytes) -> str:
        digest = self._hash.copy()
        digest.update(covered)
        return digest.hexdigest()
