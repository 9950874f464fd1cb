"""Reading what may be hostile: every size has a bound, and past it the file is refused.

The bounds are far above what a client of the API can have recorded by honest work, and low enough that a file
made to fill the memory fails on a small machine, too.
"""

from __future__ import annotations

import importlib
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from recorder.core.zstd import ZstdDecompressor, ZstdError

MAX_BYTES = 256 << 20
"""Of a file, also decompressed; and of all bodies in it, decoded."""
MAX_ITEMS = 8_000_000
"""Commas and brackets of a JSON file, those in texts included: each may cost 100 bytes of memory."""
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_PIECE = 1 << 20


class Refused(ValueError):
    """The file cannot be imported: why, in one line. `hint` says what to do."""

    def __init__(self, reason: str, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class Room:
    """How many bytes may yet come out of one file."""

    def __init__(self, left: int = MAX_BYTES) -> None:
        self._limit = self._left = left

    def take(self, size: int) -> None:
        """Raises Refused when there is no room for `size` bytes more."""
        self._left -= size
        if self._left < 0:
            raise Refused(f"holds more than {self._limit >> 20} MiB once it is decompressed")


def read_file(path: Path) -> bytes:
    """The content of a file, decompressed if it is gzip. Raises Refused, and OSError."""
    with path.open("rb") as file:
        return read_stream(file)


def read_stream(file: BinaryIO) -> bytes:
    """The same of an open file, or a pipe."""
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise Refused(f"is larger than {MAX_BYTES >> 20} MiB")
    if not data.startswith(_GZIP):
        return data
    try:
        return _inflated(data, zlib.MAX_WBITS | 16, Room())
    except zlib.error as error:
        raise Refused(f"is no valid gzip: {error}") from None


def check_items(data: bytes) -> None:
    """Raises Refused for JSON with more in it than can be held."""
    if sum(map(data.count, (b",", b"[", b"{"))) > MAX_ITEMS:
        raise Refused(f"has more than {MAX_ITEMS:,} items")


def without_encoding(body: bytes, encoding: str | None, room: Room) -> bytes | None:
    """`body` without its content-encoding; as it is where it has been taken off already, as many tools do and
    leave the header. None: it cannot be taken off here. Raises Refused where there is no room for it."""
    names = [name.strip().lower() for name in (encoding or "").split(",")]
    for name in reversed(names):
        decoded = _without(body, name, room)
        if decoded is None:
            return body if _is_text(body) else None
        body = decoded
    return body


def _without(body: bytes, name: str, room: Room) -> bytes | None:
    try:
        match name:
            case "" | "identity":
                return body
            case "gzip" | "x-gzip" if body.startswith(_GZIP):
                return _inflated(body, zlib.MAX_WBITS | 16, room)
            case "deflate":
                return _deflated(body, room)
            case "zstd" if body.startswith(_ZSTD):
                return _unpacked(body, room)
            case "br":
                return _brotli(body, room)
            case _:
                return None
    except (zlib.error, ZstdError, EOFError):
        return None


def _is_text(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _inflated(data: bytes, bits: int, room: Room) -> bytes:
    """zlib in pieces, member after member of a gzip. Raises zlib.error."""
    parts: list[bytes] = []
    while data:
        inflate = zlib.decompressobj(bits)
        while not inflate.eof:
            piece = inflate.decompress(data, _PIECE)
            room.take(len(piece))
            parts.append(piece)
            data = inflate.unconsumed_tail
            if not data and not piece:
                break  # cut off
        data = inflate.unused_data if bits > zlib.MAX_WBITS and inflate.unused_data.startswith(_GZIP) else b""
    return b"".join(parts)


def _deflated(data: bytes, room: Room) -> bytes:
    try:
        return _inflated(data, zlib.MAX_WBITS, room)
    except zlib.error:
        return _inflated(data, -zlib.MAX_WBITS, room)


def _unpacked(data: bytes, room: Room) -> bytes:
    parts: list[bytes] = []
    while data:
        unpack = ZstdDecompressor()
        while not unpack.eof:
            piece = unpack.decompress(data, _PIECE)
            data = b""
            room.take(len(piece))
            parts.append(piece)
            if not piece and unpack.needs_input:
                break  # cut off
        data = unpack.unused_data if unpack.eof else b""
    return b"".join(parts)


def _brotli(data: bytes, room: Room) -> bytes | None:
    try:
        brotli: Any = importlib.import_module("brotli")
    except ImportError:
        return None
    unpack = brotli.Decompressor()
    parts: list[bytes] = []
    try:
        while not unpack.is_finished():
            piece = unpack.process(data, output_buffer_limit=_PIECE)
            data = b""
            room.take(len(piece))
            parts.append(piece)
            if not piece and unpack.can_accept_more_data():
                break  # cut off
    except brotli.error:
        return None
    return b"".join(parts)
