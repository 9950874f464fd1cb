"""Which requests are attempts of one call, where nothing but the requests themselves tells."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anthropic import APIRequest

_KEY_PREFIX = "stainless-python-retry-"
_last_call: ContextVar[tuple[str, str]] = ContextVar("recorder_last_call", default=("", ""))
_REMEMBERED = 1024
"""Attempts that may yet be retried. The SDK retries within a minute; more at once would share a call id."""


def call_of(request: APIRequest, new_id: Callable[[], str]) -> str:
    """The call id of an attempt of the SDK's, which has a key for its retries, but not for those of a GET."""
    options = request.options
    call = (options.idempotency_key or "").removeprefix(_KEY_PREFIX)
    if not call:  # a GET: its attempts have nothing in common but the context they are made in
        url, call = _last_call.get()
        if not request.retries_taken or url != options.url:
            call = new_id()
        _last_call.set((options.url, call))
    return call


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
