"""Which calls are recorded: a share of them by their id, and those that a rule of the user's wants to keep.

Every attempt of a call shares its fate, in every process: whether a call is in the sample depends on its id
alone. A call that is not may still be kept for what came of it (`keep`): its streams are held in memory until
they end, or the tap does, within a bound; those of a killed process are lost.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from weakref import WeakSet

from msgspec import Struct

from recorder.core import wire
from recorder.core.attempt import Attempt
from recorder.core.records import Bytes, End, Event, Request, StreamRecord
from recorder.core.timing import Timing, timing

Keep = Callable[[Timing], object]
HELD_BYTES = 32 << 20
"""Default bound of what is held for `keep`: some thousand streams at a time."""
_RECORD_BYTES = 400
"""What a record takes in memory beside its payload."""
_REMEMBERED = 4096
"""Calls of which one attempt was kept: their later attempts are, too."""


def in_sample(call: str, share: float) -> bool:
    """Whether the call of this id is one of the `share` (0 to 1) that are recorded."""
    if share >= 1:  # nothing to draw, in every call of most applications
        return True
    drawn = int.from_bytes(blake2b(call.encode("utf-8", "surrogatepass"), digest_size=8).digest())
    return drawn < share * 2**64


class _Held(Struct):
    """A stream whose end is not known yet."""

    records: list[StreamRecord]
    size: int = 0


class Sampling:
    """Decides, record by record, what is written. Used by the writer's thread alone, but for `wants`.

    `share` (0 to 1) of the calls are written; of the others those streams for which `keep` says so. At most
    `held_bytes` are held until it is asked. `failed` is called when `keep` raised; its stream is written.
    `sampled_out` counts streams that were not wanted, `given_up` those that the bound left no room for.

    Raises ValueError for a share outside 0 to 1.
    """

    def __init__(
        self,
        share: float,
        keep: Keep | None,
        *,
        failed: Callable[[Exception], None],
        held_bytes: int = HELD_BYTES,
    ) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"sample is {share!r}; it is a share of the calls, from 0 to 1")
        self._share = share
        self._keep = keep
        self._failed = failed
        self._limit = held_bytes
        self.reset()

    def reset(self) -> None:
        """Forget what is held: in the child of a fork it is the parent's."""
        self.sampled_out = self.given_up = 0
        self._held: dict[Attempt, _Held] = {}
        self._forgotten: WeakSet[Attempt] = WeakSet()
        self._size = 0
        self._kept_calls: OrderedDict[str, None] = OrderedDict()

    def wants(self, call: str) -> bool:
        """Whether a call is looked at at all: without `keep`, one outside the sample costs nothing."""
        if self._keep is not None or in_sample(call, self._share):
            return True
        self.sampled_out += 1
        return False

    def take(self, attempt: Attempt, records: list[StreamRecord]) -> list[StreamRecord]:
        """What is to be written now that these records of an attempt came."""
        if not records:
            return records
        held = self._held.get(attempt)
        if held is None:
            if self._keep is None or not isinstance(records[0], Request) or self._is_chosen(attempt.call):
                return [] if attempt in self._forgotten else records
            held = self._held[attempt] = _Held([])
        held.records += records
        size = sum(map(_size, records))
        held.size += size
        self._size += size
        if isinstance(records[-1], End):
            return self._decide(attempt, held)
        self._make_room()
        return []

    def settle(self) -> list[StreamRecord]:
        """What is to be written now that nothing more will come: of the streams held, those that `keep` wants as
        they are, without an end (outcome `lost`)."""
        return [record for attempt, held in list(self._held.items()) for record in self._decide(attempt, held)]

    def _is_chosen(self, call: str) -> bool:
        return call in self._kept_calls or in_sample(call, self._share)

    def _decide(self, attempt: Attempt, held: _Held) -> list[StreamRecord]:
        self._drop(attempt)
        if attempt.call in self._kept_calls or self._wanted(held.records):
            self._kept_calls[attempt.call] = None
            if len(self._kept_calls) > _REMEMBERED:
                self._kept_calls.popitem(last=False)
            return held.records
        self.sampled_out += 1
        return []

    def _wanted(self, records: list[StreamRecord]) -> bool:
        assert self._keep is not None
        try:
            return bool(self._keep(timing(records)))
        except Exception as error:  # better one stream too many than the one that matters lost
            self._failed(error)
            return True

    def _make_room(self) -> None:
        """Give up the largest streams: they are the fewest, and would fill the room again."""
        while self._size > self._limit and self._held:
            largest = max(self._held, key=lambda attempt: self._held[attempt].size)
            self._drop(largest)
            self._forgotten.add(largest)
            self.given_up += 1

    def _drop(self, attempt: Attempt) -> None:
        self._size -= self._held.pop(attempt).size


def _size(record: StreamRecord) -> int:
    """About the bytes that a record takes in memory."""
    payload = len(wire.payload(record)) if isinstance(record, Request | Event | Bytes) else 0
    return _RECORD_BYTES + payload
