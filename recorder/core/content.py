"""Which fields of a record hold its bytes: the shortest of several spellings that can."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from hashlib import sha256

from msgspec import Raw
from msgspec.structs import replace

from .payload import is_strict
from .plain import PIECE
from .records import NO_DATA, Part
from .sse import Block


def content(data: bytes) -> tuple[Raw, str | None, str | None]:
    """(data, text, base64): the first that can hold these bytes; none of them for no bytes."""
    if not data:
        return NO_DATA, None, None
    if is_strict(data):
        return Raw(data), None, None
    try:
        return NO_DATA, data.decode("utf-8"), None
    except UnicodeDecodeError:
        return NO_DATA, None, b64encode(data).decode("ascii")


def spelling(block: Block, text: str | None) -> tuple[tuple[str, str] | None, str | None, str | None]:
    """(frame, raw, base64): the shortest of them that gives the wire bytes back, none for the usual spelling."""
    if block.framed:
        return None, None, b64encode(block.wire).decode("ascii")
    try:
        if text is None or text.encode() == block.payload:
            if block.usual:
                return None, None, None
            if block.frame is not None:
                return (block.frame[0].decode("utf-8"), block.frame[1].decode("utf-8")), None, None
        return None, block.wire.decode("utf-8"), None
    except UnicodeDecodeError:
        return None, None, b64encode(block.wire).decode("ascii")


def unsaid(headers: Iterable[tuple[str, str]], body: bytes, base64: str | None) -> tuple[int | None, str | None]:
    """(size, SHA-256) of a request's body that is not recorded."""
    if base64 is not None and len(body) > PIECE:
        return len(body), sha256(body).hexdigest()
    length = next((value for name, value in headers if name.lower() == "content-length"), "0")
    return (int(length) or None if not body and length.isdecimal() and len(length) < 19 else None), None


def clean_part(part: Part, clean: Callable[[str], str]) -> Part:
    """`part` with its strings cleaned."""
    given = {"filename": part.filename, "type": part.type}
    return replace(part, name=clean(part.name), **{key: value and clean(value) for key, value in given.items()})
