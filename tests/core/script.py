"""A stream of records, written line by line."""

from __future__ import annotations

from typing import Any

from recorder.core.records import Bytes, End, Event, Gap, Request, Response, StreamRecord

MS = 1_000_000


class Script:
    """A stream, line by line. Times in ms, each chunk waited for from the one before unless said."""

    def __init__(self, *, status: int | None = 200, headers_ms: float = 100, **of_response: Any) -> None:
        self.records: list[StreamRecord] = [
            Request(
                stream="s", seq=0, at=0, wall=1, mono=1, call="c", attempt=0, method="POST", url="/", headers={}
            )
        ]
        self.at = 0
        self.chunk = -1
        if status is not None:
            self.at = int(headers_ms * MS)
            self.add(Response, status=status, headers={}, **of_response)

    def add(self, kind: type[Any], **fields: Any) -> Script:
        self.records.append(kind(stream="s", seq=len(self.records), at=self.at, **fields))
        return self

    def event(
        self,
        event: str | None,
        ms: float | None = None,
        *,
        hold: float = 0,
        split: tuple[tuple[float, float], ...] = (),
        **fields: Any,
    ) -> Script:
        """`ms`: of a new chunk; None: in the same. `hold`: of the time before it. `split`: (ms, wait) of chunks."""
        return self._arrive(Event, ms, hold, split, event=event, **fields)

    def bytes(self, ms: float | None = None, *, hold: float = 0) -> Script:
        return self._arrive(Bytes, ms, hold, (), text=": comment\n\n")

    def _arrive(
        self,
        kind: type[Any],
        ms: float | None,
        hold: float,
        split: tuple[tuple[float, float], ...],
        **fields: Any,
    ) -> Script:
        before = self.at
        if split:
            fields["split"] = tuple((9, int(at * MS), int(wait * MS)) for at, wait in split)
            before = int(split[-1][0] * MS)
            self.chunk += len(split)
        if ms is None:
            return self.add(kind, wait=self._wait, chunk=self.chunk, **fields)
        self.at = int(ms * MS)
        self.chunk += 1
        self._wait = self.at - before - int(hold * MS)
        return self.add(kind, wait=self._wait, chunk=self.chunk, **fields)

    def start(self, block: int, kind: str, ms: float | None = None, **fields: Any) -> Script:
        return self.event("content_block_start", ms, block=block, delta=kind, **fields)

    def delta(self, block: int, kind: str, chars: int, ms: float | None = None, **fields: Any) -> Script:
        return self.event("content_block_delta", ms, block=block, delta=kind, chars=chars, **fields)

    def text(self, chars: int, ms: float | None = None, block: int = 0, **fields: Any) -> Script:
        return self.delta(block, "text_delta", chars, ms, **fields)

    def stop(self, block: int, ms: float | None = None) -> Script:
        return self.event("content_block_stop", ms, block=block)

    def gap(self, ms: float, chunks: int = 3) -> Script:
        self.at = int(ms * MS)
        return self.add(Gap, chunks=chunks, bytes=10, reason="queue full")

    def end(self, ms: float, how: str = "read", *, wait: float | None = None, **fields: Any) -> Script:
        before, self.at = self.at, int(ms * MS)
        events = sum(isinstance(record, Event) for record in self.records)
        ns = self.at - before if wait is None else int(wait * MS)
        fields = {"complete": False, "bytes": 1000, "chunks": self.chunk + 1, **fields}
        return self.add(End, wait=ns, end=how, events=events, **fields)
