"""A body that is no event stream, in pieces: text line by whole line, what is large and no text by its hash.

A piece ends with a line, so that a body of JSON Lines stays lines. The hash of a piece is that of the body up to
its end: the last one is the hash of the whole, to be compared with a file.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from hashlib import sha256

from msgspec import Struct

PIECE = 1 << 20
"""Bytes of a body in one record: bounds what the tap holds of a large download. A binary body of more is reduced
to its size and hash: a recording is read by people and databases, and is no place for files."""


class Piece(Struct, frozen=True):
    """The next bytes of a body. `sha256`: hash up to their end, of a body whose bytes are not to be recorded."""

    wire: bytes
    sha256: str | None = None


class PlainBody:
    """Incremental: `feed(bytes)` gives the pieces that are complete. `reduce` False keeps all bytes.

    `cut` says where in a piece to end it, so that what must be seen as a whole is; 0: where it ends.
    """

    __slots__ = ("_cut", "_cut_in", "_hash", "_held", "_reduced")

    def __init__(self, cut: Callable[[bytes], int]) -> None:
        self._cut_in = cut
        self._held = bytearray()
        self._hash = sha256()
        self._cut = self._reduced = False

    @property
    def whole(self) -> bool:
        """Nothing was given yet: what `flush` gives is the body."""
        return not self._cut

    def feed(self, data: bytes, *, reduce: bool) -> list[Piece]:
        self._held += data
        pieces: list[Piece] = []
        while len(self._held) > PIECE:
            self._cut = True
            size = _end_of_text(self._held)
            pieces.append(self._piece(self._cut_in(bytes(self._held[:size])) or size, reduce))
        return pieces

    def flush(self, *, reduce: bool) -> list[Piece]:
        """What is left, at the end."""
        return [self._piece(len(self._held), reduce and self._cut)] if self._held else []

    def _piece(self, size: int, reduce: bool) -> Piece:
        wire = bytes(memoryview(self._held)[:size])
        del self._held[:size]
        self._hash.update(wire)
        self._reduced = reduce and (self._reduced or not is_text(wire))
        return Piece(wire, self._hash.hexdigest() if self._reduced else None)


def is_text(data: bytes) -> bool:
    """True for UTF-8, also when it ends inside a character."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return True


def _end_of_text(held: bytearray) -> int:
    """Where to cut: behind the last line end of the first `PIECE` bytes, or else not inside a character."""
    if line := held.rfind(b"\n", 0, PIECE) + 1:
        return line
    return next((at for at in range(PIECE, PIECE - 4, -1) if held[at] & 0xC0 != 0x80), PIECE)
