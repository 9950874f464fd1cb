"""The same stream in other times. Every moment is moved, and every wait with it, so that what the application did
between two reads stays what it did, or is gone as a whole."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from .records import Bytes, End, Event, Gap, Phases, Request, Response, Split, StreamRecord


class _Moment(NamedTuple):
    """Something came: `key` is the ordinal of a chunk, or what else it was."""

    key: int | str
    at: int
    wait: int


class Times(Struct, frozen=True, kw_only=True):
    """New times, in this order: all times by `scale`; chunks `gap` ns apart; no silence longer than `limit` ns;
    all that comes after the send `shift` ns later."""

    scale: float = 1.0
    gap: int | None = None
    limit: int | None = None
    shift: int = 0

    @property
    def change(self) -> bool:
        """Whether they are new at all."""
        return self != Times()

    def of(self, records: Sequence[StreamRecord]) -> Moved:
        """The stream in these times. Raises ValueError when something would come before the send."""
        moments = list(_moments(records))
        new = self._shifted(self._limited(self._spaced(self._scaled(moments))))
        if new and new[0].at < 0:
            raise ValueError(
                f"shift: the response would come {-new[0].at / 1e9:.3f} s before the request was sent"
            )
        return Moved(moments, new, self.scale)

    def _scaled(self, moments: list[_Moment]) -> list[_Moment]:
        if self.scale == 1.0:
            return moments
        return [_Moment(one.key, int(one.at * self.scale), int(one.wait * self.scale)) for one in moments]

    def _spaced(self, moments: list[_Moment]) -> list[_Moment]:
        if self.gap is None:
            return moments
        done: list[_Moment] = []
        late = 0
        for n, one in enumerate(moments):
            if isinstance(one.key, int) and n and isinstance(moments[n - 1].key, int):
                done.append(_Moment(one.key, done[-1].at + self.gap, self.gap))
                late = done[-1].at - one.at
            else:
                done.append(_Moment(one.key, one.at + late, one.wait))
        return done

    def _limited(self, moments: list[_Moment]) -> list[_Moment]:
        if self.limit is None:
            return moments
        done: list[_Moment] = []
        early, before, read = 0, 0, 0
        for one in moments:
            more = max(0, one.at - before - self.limit)
            early, before = early + more, one.at
            at = one.at - early
            # where records were dropped in between, the read blocked for more than the last of the silences
            done.append(_Moment(one.key, at, min(max(0, one.wait - more), at - read)))
            read = read if str(one.key).startswith("gap") else at
        return done

    def _shifted(self, moments: list[_Moment]) -> list[_Moment]:
        return [one._replace(at=one.at + self.shift) for one in moments] if self.shift else moments


def _moments(records: Sequence[StreamRecord]) -> Iterator[_Moment]:
    seen = -1
    for record in records:
        match record:
            case Request():
                continue
            case Response():
                yield _Moment("response", record.at, 0)
            case Gap():
                yield _Moment(f"gap {record.seq}", record.at, 0)
            case Event() | Bytes() | End():
                splits = record.split or ()
                own = record.chunks if isinstance(record, End) else record.chunk
                reads = [(n, at, wait) for n, (_, at, wait) in enumerate(splits, own - len(splits))]
                if not isinstance(record, End):
                    reads.append((own, record.at, record.wait))
                yield from (_Moment(*one) for one in reads if one[0] > seen)
                seen = max([seen, *(ordinal for ordinal, _, _ in reads)])
                if isinstance(record, End):
                    yield _Moment("end", record.at, record.wait)


class Moved:
    """The moments of a stream as they were and as they are."""

    def __init__(self, old: list[_Moment], new: list[_Moment], scale: float) -> None:
        self._old, self._new = old, new
        self._scale = scale
        self._at = {one.key: one for one in new}
        self._times = [one.at for one in old]

    def moment(self, at: int) -> int:
        """When that is which was at `at`: as long after the moment before as it was, but not after the next."""
        place = bisect_right(self._times, at) - 1
        if place < 0:
            return min(int(at * self._scale), self._new[0].at) if self._new else int(at * self._scale)
        moved = self._new[place].at + at - self._old[place].at
        return min(moved, self._new[place + 1].at) if place + 1 < len(self._new) else moved

    def record(self, record: StreamRecord) -> StreamRecord:
        """The record at its new time."""
        match record:
            case Request():
                return record
            case Response():
                at = self._at["response"].at
                return replace(record, at=at, phases=self._phases(record.phases, record.at, at))
            case Gap():
                return replace(record, at=self._at[f"gap {record.seq}"].at)
            case Event() | Bytes():
                own = self._at[record.chunk]
                split = self._split(record.split, record.chunk)
                return replace(record, at=own.at, wait=own.wait, split=split)
            case End():
                return self._end(record)

    def _end(self, end: End) -> End:
        own = self._at["end"]
        ratio = own.at / end.at if end.at else 1.0
        waited, held = (None if one is None else int(one * ratio) for one in (end.waited, end.held))
        return replace(
            end,
            at=own.at,
            wait=own.wait,
            split=self._split(end.split, end.chunks),
            phases=self._phases(end.phases, end.at, own.at),
            waited=waited,
            held=held,
        )

    def _split(self, split: tuple[Split, ...] | None, chunk: int) -> tuple[Split, ...] | None:
        if split is None:
            return None
        own = (self._at[ordinal] for ordinal in range(chunk - len(split), chunk))
        return tuple((offset, one.at, one.wait) for (offset, _, _), one in zip(split, own, strict=True))

    def _phases(self, phases: Phases | None, was: int, now: int) -> Phases | None:
        """The last phase ends as much later as what it ended in; none ends after it."""
        if phases is None:
            return None
        late = now - int(was * self._scale)
        spans = {name: span for name in phases.__struct_fields__ if (span := getattr(phases, name)) is not None}
        last = max((span[1] for span in spans.values()), default=0)
        moved = {
            name: tuple(min(int(x * self._scale) + (late if x == last else 0), now) for x in span)
            for name, span in spans.items()
        }
        return Phases(**{name: (max(0, min(a, b)), max(0, b)) for name, (a, b) in moved.items()})
