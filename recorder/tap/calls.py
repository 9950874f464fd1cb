"""Which requests are attempts of one call, where nothing but the requests themselves tells."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b

_REMEMBERED = 1024
"""Attempts that may yet be retried. The SDK retries within a minute; more at once would share a call id."""


class Calls:
    """The call ids of the last requests."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._calls: OrderedDict[tuple[bytes, int], str] = OrderedDict()

    def call_of(self, method: str, url: str, body: bytes, attempt: int) -> str:
        """The call id that the attempt before this one had, of an equal request; else a new one."""
        asked = blake2b(f"{method} {url}\n".encode() + body, digest_size=16).digest()
        call = self._calls.pop((asked, attempt - 1), None) or self._new_id()
        self._calls[asked, attempt] = call
        if len(self._calls) > _REMEMBERED:
            self._calls.popitem(last=False)
        return call
