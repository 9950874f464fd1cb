"""What the SDK does of its own between a call and its request, where that would keep a replay from being exact.

Its waits before it tries again: none, where an instant replay made it. The SDK works out how long to wait, by
the recorded `retry-after` or by its own back-off, and logs it; the sleep alone is left out. Responses stay as they
were recorded.

Its question which platform this is: an async client asks that in a thread, at its first request, so calls that
were made in one order would be sent in another.
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
_IN_THREAD = "asyncify"
_base_client: Any = sys.modules[SyncAPIClient.__module__]
_log = logging.getLogger(SyncAPIClient.__module__)
_installing = threading.Lock()


def without_wait(of: httpx2.Response | Exception) -> None:
    """What the SDK does next because of this response, or exception, it does at once."""
    if isinstance(of, httpx2.Response):
        of.extensions[_MARK] = True
    else:
        setattr(of, _MARK, True)


def install() -> None:
    """Have the SDK ask here; once, however often called. An SDK that does it all elsewhere does it still."""
    with _installing:
        for kind, make in ((SyncAPIClient, _sync), (AsyncAPIClient, _async)):
            method: Any = getattr(kind, _METHOD, None)
            if method is not None and not hasattr(method, _MARK):
                replacement = make(method)
                setattr(replacement, _MARK, True)
                setattr(kind, _METHOD, replacement)
        in_thread: Any = getattr(_base_client, _IN_THREAD, None)
        if in_thread is not None and not hasattr(in_thread, _MARK):
            replacement = _known(in_thread, _base_client.get_platform)
            setattr(replacement, _MARK, True)
            setattr(_base_client, _IN_THREAD, replacement)


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


def _known(in_thread: Any, question: Any) -> Any:
    """`in_thread`, but `question`, whose answer is the same for the life of the process, is answered at once."""
    answer = question()

    async def known() -> Any:
        return answer

    def asyncify(function: Any) -> Any:
        return known if function is question else in_thread(function)

    return asyncify


def _is_instant(response: httpx2.Response | None) -> bool:
    if response is not None:
        return _MARK in response.extensions
    error = sys.exception()  # the one that the SDK is handling
    return any(hasattr(one, _MARK) for one in (error, getattr(error, "__cause__", None)))


def _tell(client: Any, *, retries_taken: int, max_retries: int, options: Any, response: Any) -> None:
    headers = None if response is None else response.headers
    timeout = client._calculate_retry_timeout(max_retries - retries_taken, options, headers)
    _log.info("Retrying request to %s in %f seconds", options.url, timeout)
