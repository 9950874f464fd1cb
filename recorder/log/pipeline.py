"""From items to lines on the disk: parse, redact, choose, encode, write. One thread's, or a process's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from recorder.core.attempt import Attempt
from recorder.core.lines import encode_lines
from recorder.core.records import Event, Header, StreamRecord
from recorder.core.redact import Secrets

from .items import Ended, Item, Note, Sent, Stats
from .sampling import Sampling
from .sink import Durability, Limits, Sink


class Failed(Protocol):
    """Is told what went wrong. `internal`: by a mistake of ours, not by the disk's."""

    def __call__(self, what: str, error: Exception, *, internal: bool = False) -> None: ...


class Pipeline:
    """Makes records of items, and lines of records, and appends these to a segment. Of one thread alone.

    `secrets` are what is never written; the caller has them learn what is needed for an item before it is taken.
    `stats` is counted up; footers have what was counted `beside`, too. `failed` is told of what was got over;
    nothing of what is done here raises.
    """

    settled = True
    """All that was taken was offered to the disk."""
    told = Stats()
    """What was counted elsewhere than in the stats that it was given."""

    def __init__(
        self,
        path: Path,
        header: Callable[[], Header],
        secrets: Secrets,
        stats: Stats,
        *,
        durability: Durability,
        limits: Limits,
        clock: Callable[[], int],
        failed: Failed,
        capture: Callable[[StreamRecord], StreamRecord] | None = None,
        sampling: Sampling | None = None,
        beside: Callable[[], Stats] = Stats,
    ) -> None:
        self._stats = stats
        self.failing = False
        """The disk did not take it all: nothing more is to be taken until `retry` got rid of the rest."""
        self._secrets = secrets
        self._failed = failed
        self._capture = capture
        self._sampling = sampling
        self._takes_all = capture is None and sampling is None
        self._attempts: dict[str, Attempt] = {}
        """Those that have not ended, by stream."""
        self._sink = Sink(
            path,
            header,
            stats,
            limits=limits,
            durability=durability,
            clock=clock,
            failed=failed,
            beside=beside,
        )

    def __repr__(self) -> str:
        return f"<Pipeline to {self._sink.path}>"

    @property
    def left(self) -> int:
        """Lines that the disk has not taken."""
        return self._sink.left

    def take(self, items: Iterable[Item]) -> None:
        """Turn items into lines, and write them. One by one: `secrets` may learn in between."""
        attempts, records = self._attempts, list[StreamRecord]()
        for stream, at, wait, item in items:
            try:
                if type(item) is Sent:
                    attempts[stream] = item.begin(self._secrets)
                    self._stats.streams += 1
                attempt = attempts.get(stream)
                if attempt is None:
                    self._count_lost(item)
                    continue
                if isinstance(item, bytes):
                    made = attempt.chunk(at, wait, item)
                else:
                    if type(item) is Ended:
                        del attempts[stream]
                    made = item.records(attempt, at, wait)
                records += made if self._takes_all else self._chosen(attempt, made)
            except Exception as error:
                self._internal_error(error)
        self._write(self._encoded(records))

    def retry(self) -> None:
        """Offer the disk again what it did not take."""
        self._write(b"")

    def settle(self) -> None:
        """Wait until all that was taken was offered to the disk."""

    def close(self) -> None:
        """Write what was held, and seal the segment, if it holds all that it should."""
        if self._sampling is not None and not self.failing:
            self._write(self._encoded(self._sampling.settle()))
        try:
            self._sink.close()
        except Exception as error:
            self._failed("cannot end the file as it should: it has no footer", error)

    def abandon(self) -> None:
        """Let go of the segment as it is. Raises OSError."""
        self._sink.abandon()

    def _count_lost(self, item: bytes | Note) -> None:
        """Of an attempt whose beginning is not known: that could not be made, or died with another process."""
        if isinstance(item, bytes):
            self._stats.dropped_chunks += 1
            self._stats.dropped_bytes += len(item)

    def _chosen(self, attempt: Attempt, records: list[StreamRecord]) -> list[StreamRecord]:
        """What of these records is written, now or, with records of before, at the end of a stream."""
        if self._capture is not None:
            records = [self._capture(record) for record in records]
        return records if self._sampling is None else self._sampling.take(attempt, records)

    def _encoded(self, records: list[StreamRecord]) -> bytes:
        self._stats.lines += len(records)
        self._stats.events += sum(type(record) is Event for record in records)
        try:
            return encode_lines(records)
        except Exception:  # the one that cannot be encoded costs no other
            return b"".join(map(self._encoded_alone, records))

    def _encoded_alone(self, record: StreamRecord) -> bytes:
        try:
            return encode_lines([record])
        except Exception as error:
            self._internal_error(error)
            return b""

    def _internal_error(self, error: Exception) -> None:
        self._failed("internal error; some records are lost", error, internal=True)

    def _write(self, lines: bytes) -> None:
        """Offer lines to the disk. What it does not take stays with the sink."""
        try:
            self._sink.take(lines)
        except Exception as error:
            self.failing = True
            self._failed("cannot write; tried again every second, meanwhile records wait in memory", error)
        else:
            self.failing = False
