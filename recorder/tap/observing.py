"""What is done to a record before it is written: those who want to see it see it whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from recorder.core.capture import Capture
from recorder.core.records import StreamRecord


def observing(
    observers: Sequence[Callable[[StreamRecord], None]], capture: Capture, failed: Callable[[Exception], None]
) -> Callable[[StreamRecord], StreamRecord] | None:
    """Each record to the observers, then to `capture`; `failed` is told what an observer raises. None: nothing is
    to be done."""
    if not observers:
        return capture if capture.changes else None

    def shown(record: StreamRecord) -> StreamRecord:
        for observe in observers:
            try:
                observe(record)
            except Exception as error:
                failed(error)
        return capture(record)

    return shown
