"""Bytes to server-sent events, without losing a byte: `feed` bytes, `flush` at the end of the body.

The dispatch rules are WHATWG's (https://html.spec.whatwg.org/multipage/server-sent-events.html, section
9.2.6); what is ours is that every byte of the body belongs to exactly one block, so the body can be put
together again. A block ends with an empty line. A block that dispatches no event (comments, a lone `id:`,
an extra blank line, an unfinished tail) is a block all the same: its arrival is a sign of life.

The blocks of a body do not depend on how it was cut into chunks. Only one byte makes that hard: a CR may
be the end of a line or half of a CRLF, so a block that ends with a CR is held until the next byte.

Time is linear in the body, whatever the chunks: the buffer is a bytearray (append and delete-from-front are
amortised constant), and a search for the end of a block starts where the last one stopped. Joining the
parts on every chunk is the easy way, and quadratic: a 16 MiB line in 512-byte chunks would take minutes.
"""

from __future__ import annotations

import re
from functools import lru_cache

from msgspec import Struct

BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\r|\n")
# Atomic groups: with plain ones the engine would go back and take a single CRLF for CR + LF, an empty line.
_EMPTY_LINE = re.compile(rb"(?>\r\n|\r|\n)(?>\r\n|\r|\n)")
_USUAL = re.compile(rb"event: ([^\r\n]+)\ndata: ([^\r\n]*)\n\n")
"""A block as the API spells it: one match does for splitting and parsing."""
_NAMES: dict[bytes, str] = {
    name.encode(): name
    for name in (
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
    )
}
"""Event names that need no decoding: an optimisation only, any other name is taken just the same."""


class Block(Struct, frozen=True, gc=False):
    """One block of the body.

    `payload` is None when the block dispatches no event; else the data lines joined by LF, as bytes.
    `usual`: the block is spelt `event: NAME\\ndata: PAYLOAD\\n\\n` (or without the first line). Otherwise `frame`
    is what stands before and after the payload, unless the payload is not one stretch of the wire.
    `framed`: the wire is no text but a binary frame with the payload inside (aws.py).
    """

    wire: bytes
    event: str | None = None
    payload: bytes | None = None
    frame: tuple[bytes, bytes] | None = None
    usual: bool = False
    id: str | None = None
    retry: int | None = None
    framed: bool = False


class SSEParser:
    """Incremental parser: `feed(bytes)` gives the blocks completed by these bytes."""

    __slots__ = ("_buffer", "_fresh", "_resync", "_searched")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._fresh = True
        self._resync = False

    def feed(self, data: bytes) -> list[Block]:
        """Take the next bytes of the body; give the blocks that they complete."""
        blocks: list[Block] = []
        start = 0
        if not self._buffer and not self._resync:
            while match := _USUAL.match(data, start):
                name, payload = match.groups()
                event = _NAMES.get(name)
                blocks.append(Block(match[0], event, payload, None, True) if event else _parse(match[0]))
                start = match.end()
            self._fresh = self._fresh and not start
        if start < len(data):
            self._buffer += data[start:]
            blocks += self._scan(final=False)
        return blocks

    def flush(self) -> list[Block]:
        """No more bytes come: give what is left. An unfinished last block dispatches nothing (WHATWG)."""
        blocks = self._scan(final=True)
        if self._buffer:
            blocks.append(Block(bytes(self._buffer)))
            self._buffer.clear()
        return blocks

    @property
    def idle(self) -> bool:
        """True between two blocks: the next byte begins one."""
        return not (self._buffer or self._resync or self._fresh)

    def resync(self) -> None:
        """Bytes are missing here: the next block is the rest of an unknown one and dispatches nothing.

        Call it after `flush`.
        """
        self._resync = True
        self._fresh = False
        self._searched = 0

    def _scan(self, *, final: bool) -> list[Block]:
        buffer = self._buffer
        blocks: list[Block] = []
        while buffer:
            first = 0
            if self._fresh:
                if len(buffer) < len(BOM) and BOM.startswith(buffer) and not final:
                    break
                first = len(BOM) if buffer.startswith(BOM) else 0
            empty = _LINE_END.match(buffer, first) or _EMPTY_LINE.search(buffer, max(first, self._searched))
            if empty is None:
                self._searched = max(0, len(buffer) - 2)
                break
            end = empty.end()
            if end == len(buffer) and buffer[-1] == 0x0D and not final:
                self._searched = empty.start()
                break
            wire = bytes(memoryview(buffer)[:end])
            del buffer[:end]
            self._searched = 0
            blocks.append(self._block(wire))
        return blocks

    def _block(self, wire: bytes) -> Block:
        if self._resync:
            self._resync = False
            return Block(wire)
        fresh, self._fresh = self._fresh, False
        return _parse(wire, len(BOM) if fresh and wire.startswith(BOM) else 0)


def respelt(block: Block, wire: bytes) -> Block:
    """The block that `wire` is in the place of `block`: a BOM counts only where the body begins."""
    plain = _parse(block.wire)
    begins_inside = (plain.event, plain.payload) == (block.event, block.payload)
    return _parse(wire, 0 if begins_inside else len(BOM))


def _parse(wire: bytes, start: int = 0) -> Block:
    """The fields of one block, line by line, from `start` on."""
    event, id_, retry = "", None, None
    values: list[tuple[int, int]] = []
    for line_end in _LINE_END.finditer(wire, start):
        line = wire[start : line_end.start()]
        name, colon, value = line.partition(b":")
        at = start + len(name) + len(colon)
        start = line_end.end()
        if value.startswith(b" "):
            value = value[1:]
            at += 1
        match name:
            case b"data":
                values.append((at, at + len(value)))
            case b"event":
                event = value.decode("utf-8", "replace")
            case b"id" if b"\0" not in value:
                id_ = value.decode("utf-8", "replace")
            case b"retry" if value.isdigit():
                retry = int(value) if len(value) <= 18 else None
            case _:
                pass
    if not values:
        return Block(wire, None, None, None, False, id_, retry)
    payload = b"\n".join(wire[a:b] for a, b in values)
    frame = (wire[: values[0][0]], wire[values[0][1] :]) if len(values) == 1 else None
    usual = frame == usual_frame(event or None)
    return Block(wire, event or None, payload, frame, usual, id_, retry)


@lru_cache(maxsize=256)
def usual_frame(event: str | None) -> tuple[bytes, bytes]:
    """What stands before and after the payload of an event spelt the usual way."""
    return (b"data: " if event is None else b"event: " + event.encode() + b"\ndata: "), b"\n\n"
