"""Which fault each attempt gets, what it was served because of it, and what became of that."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable
from random import Random

from msgspec import Struct

from recorder.log.streams import Stream

from ..script import Script
from .connection import error_response
from .outcome import Outcome, outcome_of, pieces_to_answer
from .session import QUOTAS
from .spec import Fault, One, parse

Choice = Callable[[Stream, int], "Fault | str | None"]
"""Chooses for each attempt: the recorded stream that answers it, and how often the same was asked before."""
Faults = Fault | str | Choice
NS = 1_000_000_000


class Injected(Struct, frozen=True, kw_only=True):
    """A fault that an attempt got."""

    stream: str
    """Id of the recorded stream that it was done to."""
    call: int
    """Ordinal of the call, from 1: an attempt that follows an unanswered equal one belongs to the same call."""
    ordinal: int
    """How often the same had been asked before."""
    fault: str
    """The line that reproduces it."""


class Served:
    """One attempt: what it was answered with, and what its client took of that. Times are of `clock`, in ns."""

    def __init__(self, stream: Stream, recorded: Script, script: Script, clock: Callable[[], int]) -> None:
        self.stream, self.script = stream, script
        self.outcome: Outcome = outcome_of(script, recorded)
        self.call, self.ordinal, self.fault, self.fingerprint = 0, 0, "", ""
        self.at = clock()
        self.given = 0
        """Pieces that the client took, as far as that is known."""
        self.ended_at: int | None = None
        self.error: Exception | None = None
        """What the client was raised, in process."""
        self.retried = False
        self._clock = clock
        self._needed = pieces_to_answer(script)

    @property
    def answered(self) -> bool:
        """The client has a whole answer."""
        return self.outcome in ("complete", "altered") and self.given >= self._needed

    @property
    def failed(self) -> bool:
        """The client has no whole answer and never will."""
        return not self.answered and (self.outcome not in ("complete", "altered") or self.ended_at is not None)

    def gave(self) -> None:
        self.given += 1

    def over(self, error: Exception | None) -> None:
        self.error = error
        self.ended_at = self._clock()

    def gone(self, *, by_client: bool) -> None:
        """Over HTTP: the connection is done with. What had been sent by now was given."""
        self.ended_at = self._clock()
        times = [chunk.at for chunk in self.script.pieces]
        self.given = bisect_right(times, self.ended_at - self.at) if by_client else len(times)


class Injector:
    """The faults of one session. Any thread may ask it.

    A recorded stream that a fault spoilt answers the next equal request again, so that a client that tries again
    gets what it would have got. `instant`: nobody waits, so a client counts as having waited for a `retry-after`.
    Raises FaultError for a text that is no fault.
    """

    def __init__(
        self, faults: Faults | None, *, instant: bool, clock: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        self._choose = _choice(faults)
        self._instant, self._clock, self._ahead = instant, clock, 0
        self._lock = threading.Lock()
        self._by_request: dict[str, list[Served]] = {}
        self._times: Counter[tuple[str, One]] = Counter()
        self._admitted: dict[One, deque[tuple[int, int]]] = {}
        self._calls = 0
        self.served: list[Served] = []
        """Every attempt so far, in the order in which they came."""

    @property
    def injected(self) -> list[Injected]:
        """The attempts that got a fault, in the order in which they came."""
        return [
            Injected(stream=one.stream.id, call=one.call, ordinal=one.ordinal, fault=one.fault)
            for one in self.served
            if one.fault
        ]

    def serve(self, fingerprint: str, take: Callable[[], Stream], script_of: Callable[[Stream], Script]) -> Served:
        """Answer a request: with the stream that `take` gives, or the one that a fault spoilt before."""
        with self._lock:
            equal = self._by_request.setdefault(fingerprint, [])
            before = next((one for one in equal if one.failed and not one.retried), None)
            stream = before.stream if before and before.fault else take()
            if before is not None:
                before.retried = True
            else:
                self._calls += 1
            call = before.call if before else self._calls
            ordinal = len(equal)
            recorded = script_of(stream)
            fault = self._choose(stream, ordinal)
            script, done = self._inject(fault, fingerprint, ordinal, call, stream, recorded)
            served = Served(stream, recorded, script, self._clock)
            served.call, served.ordinal, served.fault = call, ordinal, done
            served.fingerprint = fingerprint
            self.served.append(served)
            equal.append(served)
            return served

    def _inject(
        self, fault: Fault | None, fingerprint: str, ordinal: int, call: int, stream: Stream, script: Script
    ) -> tuple[Script, str]:
        """The script that is served, and the line that says what was done to it, empty when nothing was."""
        done: list[One] = []
        for one in fault.ones if fault else ():
            # by what the fault is, not by its place: another one beside it changes nothing
            random = Random(f"{fault.seed if fault else 0}/{fingerprint}/{ordinal}/{one}")  # noqa: S311
            if not self._is_due(one, fingerprint, call, random):
                continue
            changed = self._quota(one, stream, script) if one.name in QUOTAS else one.apply(script, random)
            if changed is not script:
                self._times[fingerprint, one] += 1
                done.append(one)
                script = changed
        return script, str(Fault(tuple(done), fault.seed)) if fault and done else ""

    def _is_due(self, one: One, fingerprint: str, call: int, random: Random) -> bool:
        only = one.only
        if only.nth is not None and call != only.nth:
            return False
        if only.times is not None and self._times[fingerprint, one] >= only.times:
            return False
        if only.probability is None:
            return True
        return random.random() < only.probability * (min(1, call / only.ramp) if only.ramp else 1)

    def _quota(self, one: One, stream: Stream, script: Script) -> Script:
        """The script as it is while there is room, else status 429 and when there will be."""
        limit, per = (float(value or 0) for _, value in one.parameters)
        now, admitted = self._clock() + self._ahead, self._admitted.setdefault(one, deque())
        while admitted and admitted[0][0] + per * NS <= now:
            admitted.popleft()
        used = sum(weight for _, weight in admitted)
        if used < limit:
            admitted.append((now, 1 if one.name == "quota" else _tokens(stream)))
            return script
        frees = now
        for at, weight in admitted:
            used, frees = used - weight, at
            if used < limit:
                break
        seconds = math.ceil(per - (now - frees) / NS)
        if self._instant:
            self._ahead += seconds * NS
        return error_response(429, message="quota exceeded, injected by a fault", retry_after=seconds)


def _tokens(stream: Stream) -> int:
    usage = (stream.end.summary.usage if stream.end and stream.end.summary else None) or {}
    numbers = (usage.get("input_tokens"), usage.get("output_tokens"))
    return sum(number for number in numbers if isinstance(number, int))


def _choice(faults: Faults | None) -> Callable[[Stream, int], Fault | None]:
    if callable(faults):
        return lambda stream, ordinal: _fault(faults(stream, ordinal))
    fault = _fault(faults)
    return lambda stream, ordinal: fault  # noqa: ARG005


def _fault(given: Fault | str | None) -> Fault | None:
    return parse(given) if isinstance(given, str) else given
