"""The SDK's waits before it tries again: none, where an instant replay made it.

The SDK works out how long to wait, by the recorded `retry-after` or by its own back-off, and logs it; the sleep
alone is left out. Responses stay as they were recorded.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

import anyio.lowlevel
import httpx2
from anthropic._base_client import AsyncAPIClient, SyncAPIClient

_MARK = "recorder_instant"
_METHOD = "_sleep_for_retry"
_log = logging.getLogger(SyncAPIClient.__module__)
_installing = threading.Lock()


def without_wait(of: httpx2.Response | Exception) -> None:
    """What the SDK does next because of this response, or exception, it does at once."""
    if isinstance(of, httpx2.Response):
        of.extensions[_MARK] = True
    else:
        setattr(of, _MARK, True)


def install() -> None:
    """Have the SDK's clients ask; once, however often called. In an SDK that sleeps elsewhere they wait."""
    with _installing:
        for kind, make in ((SyncAPIClient, _sync), (AsyncAPIClient, _async)):
            method: Any = getattr(kind, _METHOD, None)
            if method is not None and not hasattr(method, _MARK):
                replacement = make(method)
                setattr(replacement, _MARK, True)
                setattr(kind, _METHOD, replacement)


def _sync(method: Any) -> Any:
    def _sleep_for_retry(self: Any, **why: Any) -> None:
        if _is_instant(why.get("response")):
            _tell(self, **why)
        else:
            method(self, **why)

    return _sleep_for_retry


def _async(method: Any) -> Any:
    async def _sleep_for_retry(self: Any, **why: Any) -> None:
        if _is_instant(why.get("response")):
            _tell(self, **why)
            await anyio.lowlevel.checkpoint()
        else:
            await method(self, **why)

    return _sleep_for_retry


def _is_instant(response: httpx2.Response | None) -> bool:
    if response is not None:
        return _MARK in response.extensions
    error = sys.exception()  # the one that the SDK is handling
    return any(hasattr(one, _MARK) for one in (error, getattr(error, "__cause__", None)))


def _tell(client: Any, *, retries_taken: int, max_retries: int, options: Any, response: Any) -> None:
    headers = None if response is None else response.headers
    timeout = client._calculate_retry_timeout(max_retries - retries_taken, options, headers)
    _log.info("Retrying request to %s in %f seconds", options.url, timeout)
