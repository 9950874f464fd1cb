"""An event loop whose timers keep deadlines to a tenth of a millisecond."""

from __future__ import annotations

import asyncio
import select
import selectors
import sys

if sys.platform == "linux":

    class _PreciseSelector(selectors.EpollSelector):
        """Waits in microseconds. `epoll_wait` rounds up to milliseconds, which makes `asyncio.sleep` 0.6 ms
        late (median); spinning for the last millisecond costs a core, and the client needs the GIL."""

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            if timeout is not None and timeout > 0 and self.fileno() < 1024:  # FD_SETSIZE, the limit of select
                select.select((self.fileno(),), (), (), timeout)
                timeout = 0
            return super().select(timeout)

else:
    _PreciseSelector = selectors.DefaultSelector  # kqueue counts in nanoseconds


def new_loop() -> asyncio.SelectorEventLoop:
    return asyncio.SelectorEventLoop(_PreciseSelector())
