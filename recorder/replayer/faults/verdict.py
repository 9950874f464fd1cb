"""What a client did under faults, as far as it can be told from what it asked for and when, and how its run ended.

We see requests, their times, what was served and how much of it was taken; not what the client did with it. Each
finding says what it rests on. What cannot be told is in `Verdict.unknown`, and is claimed nowhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import Literal

from msgspec import Struct

from ..errors import EndOfRecording
from .inject import Served
from .outcome import text_of

NS = 1_000_000_000
_AT_ONCE_S = 0.1
"""An attempt that follows a failure within this did not back off: the SDK waits 0.375 s at least."""
_TOLERANCE_S = 0.05
_WORD = 4
"""Letters of a word that does not stand in any output by chance."""

Kind = Literal[
    "truncated_stream_accepted",
    "partial_output_lost",
    "retried_without_backoff",
    "retry_after_ignored",
    "no_read_timeout",
    "too_many_retries",
    "error_swallowed",
    "not_recovered",
    "recovered",
]
"""What each rests on is told at `Verdict`."""
Ended = Literal["well", "badly", "killed", "unknown"]
"""How the run ended: the program's exit code, or whether the `with` block was left by an exception."""


class Seen(Struct, frozen=True, kw_only=True):
    """One attempt, as evidence. Times in seconds from the first attempt of the session."""

    stream: str
    at_s: float
    ended_s: float | None
    """When the client had all, went away, or was raised an exception; None: not seen."""
    fault: str
    outcome: str
    status: int | None
    retry_after_s: float | None
    text: str
    """The text that it was given."""
    error: str | None


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that the client did."""

    kind: Kind
    call: int
    line: str
    attempts: tuple[Seen, ...]

    def __str__(self) -> str:
        return f"{self.kind}: {self.line}"

    @property
    def good(self) -> bool:
        return self.kind == "recovered"


class Verdict(Struct, frozen=True, kw_only=True):
    """All that was found, by call, and what each kind of finding rests on.

    `truncated_stream_accepted`: the last attempt ended cleanly before `message_stop`, no equal request followed,
        and the run ended well. A client that notices, and ends well on purpose, looks the same.
    `error_swallowed`: the same where the last attempt was an error, a broken connection or unreadable JSON.
    `partial_output_lost`: text had come before the failure, no attempt was answered, and the run's output has
        less than half of its words. Only where the output is known, and not of a run that was killed. What a
        program keeps elsewhere, or spells otherwise, is not seen.
    `retried_without_backoff`: an equal request came within 0.1 s of an overload (429, 5xx, an `error` event), or
        of two failures of any kind in a row. Only in real time: in instant replay the SDK is told not to wait.
    `retry_after_ignored`: an equal request came before the `retry-after` it was given was over. Only in real time.
    `no_read_timeout`: in process, the request had no read timeout where the server hung; over HTTP, the client was
        still waiting in the hang when it was killed: a timeout longer than that looks the same.
    `too_many_retries`: more attempts for one call than `max_attempts`.
    `not_recovered`: no attempt was answered, or one was, and the run ended with an error or had to be killed.
    `recovered`: an attempt was served and taken whole, at first or after others had failed, and the run did not
        end badly.

    "Equal" requests have the same method, path and body. A client may go on from what it got by asking in other
    words: where another request follows a call that was not answered, that call is not judged.
    """

    ended: Ended
    injected: int
    """Attempts that got a fault."""
    findings: tuple[Finding, ...]
    unknown: tuple[str, ...]
    """What was seen and cannot be judged from here, a line each."""

    @property
    def survived(self) -> bool:
        """A fault was injected, every call that met one recovered, and nothing else was found."""
        return bool(self.injected and self.findings and not self.unknown) and all(
            one.good for one in self.findings
        )

    def __str__(self) -> str:
        lines = [*map(str, self.findings), *(f"unknown: {line}" for line in self.unknown)]
        return "\n".join(lines) or "nothing to judge: no fault was injected"

    def assert_resilient(self, *, allow: Collection[Kind] = ()) -> None:
        """Raises AssertionError with what was found, or could not be told, but for the kinds in `allow`."""
        wrong = [str(one) for one in self.findings if not one.good and one.kind not in allow]
        wrong += [f"unknown: {line}" for line in self.unknown]
        if not self.injected:
            wrong.append("no fault was injected: nothing was asked for, or nothing in it fits the fault")
        if wrong:
            raise AssertionError("\n".join(wrong))


def judge(
    served: Sequence[Served],
    *,
    real_time: bool,
    ended: Ended,
    output: str | None = None,
    max_attempts: int = 6,
    killed_at: int | None = None,
    usual: Collection[str] = (),
) -> Verdict:
    """The verdict on a session. `real_time`: what was served came, and could be waited for, in real time.

    `output`: what the run put out, where that is known. `killed_at`: when it was killed, on the clock of `served`.
    `usual`: the fingerprints of the requests that the run makes without faults: none of them goes on from another.
    """
    start = served[0].at if served else 0
    findings: list[Finding] = []
    unknown: list[str] = []
    for call, attempts in _calls(served):
        if not any(one.fault or one.failed for one in attempts):
            continue
        last = attempts[-1]
        others = (one for one in served if one.call != call and one.fingerprint not in usual)
        followed = any(other.at > last.at for other in others)
        run = _Call(attempts, start, ended, killed_at, followed=followed)
        found = [*run.waiting(real_time, max_attempts), *run.ending(), *run.lost(output)]
        findings += found
        if not found:
            unknown.append(f"call {call}: {run.why_unknown()}")
    injected = sum(bool(one.fault) for one in served)
    return Verdict(ended=ended, injected=injected, findings=tuple(findings), unknown=tuple(unknown))


def _calls(served: Iterable[Served]) -> Iterator[tuple[int, list[Served]]]:
    by_call = sorted(served, key=lambda one: (one.call, one.at))
    return ((call, list(attempts)) for call, attempts in groupby(by_call, key=lambda one: one.call))


class _Call:
    """The attempts of one call, in the order in which they came."""

    def __init__(
        self, attempts: list[Served], start: int, ended: Ended, killed_at: int | None, *, followed: bool
    ) -> None:
        self._attempts, self._start = attempts, start
        self._ended, self._killed_at, self._followed = ended, killed_at, followed
        self._last = attempts[-1]

    def waiting(self, real_time: bool, max_attempts: int) -> Iterator[Finding]:
        """How long it waited: for an answer, and before it asked again."""
        pairs = list(pairwise(self._attempts)) if real_time else []
        gaps = [(one, _seconds_after(one, other)) for one, other in pairs]
        early = next(((one, gap) for one, gap in gaps if gap < (_retry_after(one) or 0) - _TOLERANCE_S), None)
        if early:
            told = _retry_after(early[0])
            yield self._found(
                "retry_after_ignored", f"asked again after {early[1]:.2f} s, told to wait {told:g} s"
            )
        at_once = [one for one, gap in gaps if gap < _AT_ONCE_S and not _retry_after(one)]
        if len(at_once) > 1 or any(map(_is_overload, at_once)):
            what = f"asked again within {_AT_ONCE_S:g} s of a failure, {len(at_once)} time(s)"
            yield self._found("retried_without_backoff", what)
        if len(self._attempts) > max_attempts:
            yield self._found("too_many_retries", f"more than the {max_attempts} attempts that are allowed")
        if self._waits_for_ever():
            how = "the request had no read timeout"
            if self._killed_at:
                how = f"when killed, it had waited {self._waited_s():.0f} s in silence"
            yield self._found("no_read_timeout", f"the server hung; {how}")

    def ending(self) -> Iterator[Finding]:
        """Whether it got its answer, and if not, whether it let that be known."""
        last, ended = self._last, self._ended
        if last.answered:
            if ended in ("badly", "killed"):
                if last.outcome == "complete":
                    yield self._found("not_recovered", f"served whole, but the run {_ENDED[ended]}")
            elif last.outcome == "complete":
                yield self._found("recovered", "served and taken whole")
        elif self._waits_for_ever() or self._followed:
            return
        elif ended == "well" and last.failed:
            kind: Kind = "truncated_stream_accepted" if last.outcome == "truncated" else "error_swallowed"
            yield self._found(kind, f"{_what(last)}; no further attempt, and the run ended well")
        elif ended in ("badly", "killed"):
            yield self._found("not_recovered", f"{_what(last)}; the run {_ENDED[ended]}")

    def lost(self, output: str | None) -> Iterator[Finding]:
        """Text that came, and that the run did not put out."""
        if output is None or self._ended == "killed" or self._last.answered or self._followed:
            return  # what was killed may not have put out what it had
        text = max((text_of(one.script, one.given) for one in self._attempts), key=len)
        words = {word for word in text.split() if len(word) >= _WORD} or set(text.split())
        if sum(word in output for word in words) < len(words) / 2:
            what = f"{len(text)} characters had come, and the output does not have them"
            yield self._found("partial_output_lost", what)

    def why_unknown(self) -> str:
        if self._last.outcome == "altered":
            return f"{_attempts(self._attempts)}; whether the client coped with that cannot be seen from here"
        if self._followed:
            return f"{_attempts(self._attempts)}; another request followed, which may have gone on from there"
        if not self._last.failed:
            return f"{_attempts(self._attempts)}; not taken to the end, and whether on purpose is not known"
        return f"{_attempts(self._attempts)}; how the run ended is not known (leave the `with` block first)"

    def _waits_for_ever(self) -> bool:
        last = self._last
        if last.script.ending.how != "hang":
            return False
        if self._killed_at is not None:
            return last.ended_at is None or last.ended_at > self._killed_at
        return isinstance(last.error, EndOfRecording)

    def _waited_s(self) -> float:
        last = self._last
        silent = max([last.script.headers_at or 0, *(piece.at for piece in last.script.pieces)])
        return ((self._killed_at or 0) - last.at - silent) / NS

    def _found(self, kind: Kind, what: str) -> Finding:
        seen = tuple(_seen(one, self._start) for one in self._attempts)
        return Finding(kind=kind, call=self._last.call, line=f"{_attempts(self._attempts)}; {what}", attempts=seen)


_ENDED = {"badly": "ended with an error", "killed": "was still going on when its time was up"}


def _attempts(attempts: Sequence[Served]) -> str:
    """`2 attempts: cut_dirty(at=9), then complete 0.52 s later`."""
    first = attempts[0].at
    shown = [
        one.outcome + (f" {(one.at - first) / NS:.2f} s later" if one is not attempts[0] else "")
        for one in attempts[:4]
    ]
    more = f", and {len(attempts) - 4} more" if len(attempts) > 4 else ""
    number = "1 attempt" if len(attempts) == 1 else f"{len(attempts)} attempts"
    return f"{number}: {', then '.join(shown)}{more}"


def _what(last: Served) -> str:
    match last.outcome:
        case "truncated":
            return "a clean end without message_stop"
        case "refused":
            return f"the last answer was status {last.script.status}"
        case "error_event":
            return "the last stream had an error event"
        case _:
            broke = "no response came" if last.script.headers_at is None else "the last stream broke"
            return broke if last.failed else "the last stream was not taken whole"


def _is_overload(one: Served) -> bool:
    return one.outcome == "error_event" or (one.outcome == "refused" and _is_busy(one.script.status))


def _is_busy(status: int) -> bool:
    return status == 429 or status >= 500


def _retry_after(one: Served) -> float | None:
    """Seconds that the client was told to wait."""
    headers = one.script.headers
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            return float(headers[name]) / unit
        except (KeyError, ValueError):
            pass
    return None


def _seconds_after(one: Served, other: Served) -> float:
    """From the end of an attempt to the next one. A server may learn of a client's leaving after that: then 0."""
    ended = one.ended_at if one.ended_at is not None else one.at
    return max(other.at - ended, 0) / NS


def _seen(one: Served, start: int) -> Seen:
    return Seen(
        stream=one.stream.id,
        at_s=(one.at - start) / NS,
        ended_s=None if one.ended_at is None else (one.ended_at - start) / NS,
        fault=one.fault,
        outcome=one.outcome,
        status=one.script.status if one.script.headers_at is not None else None,
        retry_after_s=_retry_after(one),
        text=text_of(one.script, one.given),
        error=repr(one.error) if one.error else None,
    )
