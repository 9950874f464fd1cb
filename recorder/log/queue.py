"""The queue between the application's threads and the writer's: bounded in bytes, without a lock.

What happens here is on the path of the user's stream, so it is this and no more: compare two lengths, append
to a deque. There is no shared counter of bytes (two threads would lose updates, or need a lock): a chunk of n
bytes is one item and n // UNIT extra entries in a second deque, and both lengths are exact.
"""

from __future__ import annotations

from collections import deque
from itertools import repeat

from .items import Dropped, Ended, Later

Queued = bytes | Later | Ended | Dropped

UNIT = 512
"""Bytes of a body that count as one item of the queue."""


class Queue:
    """What the tap saw and the writer has not taken: (id of the stream, at, wait, what)."""

    __slots__ = ("_extra", "items", "limit")

    def __init__(self, limit: int) -> None:
        self.items: deque[tuple[str, int, int, Queued]] = deque()
        self.limit = limit
        """In units; 0 takes no more chunks."""
        self._extra: deque[None] = deque()

    @staticmethod
    def limit_of(size: int) -> int:
        """The limit of a queue of `size` bytes."""
        return max(1, size // UNIT)

    def has_room(self) -> bool:
        """True when a chunk would be taken now."""
        return len(self.items) + len(self._extra) < self.limit

    def put_chunk(self, stream: str, at: int, wait: int, chunk: bytes) -> bool:
        """Add body bytes; False when there is no room. The hot path."""
        extra = self._extra
        if len(self.items) + len(extra) >= self.limit:
            return False
        if type(chunk) is not bytes:
            chunk = bytes(chunk)  # a transport of somebody's own; it may change its buffer
        if len(chunk) >= UNIT:
            extra.extend(repeat(None, len(chunk) // UNIT))
        self.items.append((stream, at, wait, chunk))
        return True

    def put(self, stream: str, at: int, wait: int, note: Later | Ended | Dropped) -> None:
        """Add anything else, room or not."""
        if type(note) is Later:
            self._extra.extend(repeat(None, note.size // UNIT))
        self.items.append((stream, at, wait, note))

    def take(self) -> tuple[str, int, int, Queued]:
        """The first item. Raises IndexError when there is none."""
        item = self.items.popleft()
        content = item[3]
        if isinstance(content, bytes):
            if len(content) >= UNIT:
                self._free(len(content))
        elif type(content) is Later:
            self._free(content.size)
        return item

    def _free(self, size: int) -> None:
        for _ in range(size // UNIT):
            self._extra.popleft()
