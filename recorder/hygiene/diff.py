"""What differs between two recordings, stream by stream, in words.

    structure   status, how it ended, names of headers, blocks, stop reason, fields of the usage, types of events,
                which follows which, fields of their payloads
    text        the words of each block, how many deltas they came in, the numbers of the usage, messages of errors
    timing      milestones and gaps, as `core/timing.py` defines them

Streams are paired by request (method, path and body, as a replay matches them) and attempt, equal ones in the
order in which they were sent. Not compared: what is another every time (ids, values of headers, when it was sent)
and how the bytes were spelt and cut into chunks.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal, get_args

from msgspec import Struct

from recorder.core.payload import as_object
from recorder.core.words import Words, compare_words
from recorder.hygiene.facts import Block, Facts, facts_of
from recorder.log.reader import Report, find_segments
from recorder.log.streams import read_streams

Part = Literal["structure", "text", "timing"]
PARTS: tuple[Part, ...] = get_args(Part)
_DELTA = "content_block_delta("
TIMES = (
    "headers_s",
    "ttft_s",
    "ttft_text_s",
    "ttf_tool_s",
    "gap_p50_s",
    "gap_p95_s",
    "gap_max_s",
    "stalled_s",
    "duration_s",
)


class Difference(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that differs: the values it has, the members that went and came, or the words of a text."""

    part: Part
    name: str
    before: Any = None
    after: Any = None
    removed: list[str] = []
    added: list[str] = []
    words: Words | None = None


class Pair(Struct, frozen=True, kw_only=True):
    """Two streams of one request, by their ids."""

    asked: str
    before: str
    after: str
    differences: list[Difference]


class Lone(Struct, frozen=True, kw_only=True):
    """A stream that only one of the recordings has."""

    asked: str
    stream: str
    outcome: str


class Diff(Struct, frozen=True, kw_only=True):
    """Two recordings, compared. `same`: how many pairs have no difference."""

    same: int
    changed: list[Pair]
    removed: list[Lone]
    added: list[Lone]

    @property
    def differs(self) -> bool:
        return bool(self.changed or self.removed or self.added)


def diff(
    before: Path,
    after: Path,
    *,
    only: Sequence[Part] = PARTS,
    ignore: Sequence[str] = (),
    tolerance: float = 0.0,
    salvage: bool = False,
    report: Report,
) -> Diff:
    """Compare two recordings: files, directories or globs.

    `only`: what is compared. `ignore`: fields of requests' bodies that do not tell them apart, as dotted paths.
    `tolerance`: by what share of the larger two times may differ. Raises RecordingError as `read_streams` does.
    """
    left, right = (_facts(path, tuple(ignore), salvage, report) for path in (before, after))
    partners = _partners(left, right)
    compared = [
        Pair(asked=a.asked, before=a.id, after=b.id, differences=list(differences(a, b, only, tolerance)))
        for a, b in ((left[n], right[partners[n]]) for n in sorted(partners))
    ]
    changed = [pair for pair in compared if pair.differences]
    paired = set(partners.values())
    return Diff(
        same=len(compared) - len(changed),
        changed=changed,
        removed=[_lone(one) for n, one in enumerate(left) if n not in partners],
        added=[_lone(one) for n, one in enumerate(right) if n not in paired],
    )


def _facts(path: Path, ignore: tuple[str, ...], salvage: bool, report: Report) -> list[Facts]:
    streams = read_streams(find_segments(path), salvage=salvage, report=report)
    return sorted((facts_of(stream, ignore) for stream in streams), key=lambda one: (one.sent, one.id))


def _lone(one: Facts) -> Lone:
    return Lone(asked=one.asked, stream=one.id, outcome=one.timing.outcome)


def _partners(left: list[Facts], right: list[Facts]) -> dict[int, int]:
    """Which of `right` belongs to which of `left`: equal requests of equal attempts, then what is left of equal
    requests."""
    partners: dict[int, int] = {}
    for key in (_attempt, _request):
        taken = set(partners.values())
        waiting: dict[object, deque[int]] = {}
        for n, one in enumerate(right):
            if n not in taken:
                waiting.setdefault(key(one), deque()).append(n)
        for n, one in enumerate(left):
            if n not in partners and (queue := waiting.get(key(one))):
                partners[n] = queue.popleft()
    return partners


def _attempt(one: Facts) -> object:
    return one.fingerprint, one.attempt


def _request(one: Facts) -> object:
    return one.fingerprint


def differences(
    before: Facts, after: Facts, only: Sequence[Part] = PARTS, tolerance: float = 0.0
) -> Iterator[Difference]:
    """What differs between two streams of one request."""
    if "structure" in only:
        yield from _structure(before, after)
    if "text" in only:
        yield from _text(before, after)
    if "timing" in only:
        yield from _timing(before, after, tolerance)


def _structure(before: Facts, after: Facts) -> Iterator[Difference]:
    values: dict[str, Callable[[Facts], Any]] = {
        "status": lambda one: one.status,
        "outcome": _outcome,
        "stop_reason": lambda one: one.stop_reason,
        "blocks": lambda one: ", ".join(block.label for block in one.blocks),
    }
    for name, of in values.items():
        if name == "blocks" and not (before.with_text and after.with_text):
            continue
        if of(before) != of(after):
            yield Difference(part="structure", name=name, before=of(before), after=of(after))
    known = before.types.keys() & after.types.keys()
    sets: dict[str, Callable[[Facts], Iterable[str]]] = {
        "headers": lambda one: one.headers,
        "usage": lambda one: one.usage,
        "events": lambda one: one.types,
        "order": lambda one: (f"{a} -> {b}" for a, b in one.order if {a, b} <= known),
        "fields": lambda one: (f"{kind} {path}".strip() for kind, path in one.fields if not kind or kind in known),
    }
    for name, members in sets.items():
        if name == "fields" and not (before.with_text and after.with_text):
            continue
        gone, come = set(members(before)), set(members(after))
        if gone != come:
            yield Difference(part="structure", name=name, removed=sorted(gone - come), added=sorted(come - gone))


def _outcome(one: Facts) -> str:
    """How it ended, and by what; the text of the error is no structure."""
    return f"{one.timing.outcome} ({one.timing.error_type})" if one.timing.error_type else one.timing.outcome


def _text(before: Facts, after: Facts) -> Iterator[Difference]:
    if before.with_text and after.with_text:
        yield from _words(before.blocks, after.blocks)
    yield from _counts(_deltas(before.types), _deltas(after.types))
    yield from _counts(_numbers(before.usage), _numbers(after.usage))
    if before.error != after.error and before.with_text and after.with_text:
        words = compare_words(before.error or "", after.error or "")
        yield Difference(part="text", name="error", before=before.error, after=after.error, words=words)


def _words(before: list[Block], after: list[Block]) -> Iterator[Difference]:
    nothing = Block("", "")
    for number, (a, b) in enumerate(zip_longest(before, after, fillvalue=nothing)):
        if words := compare_words(a.text, b.text):
            yield Difference(part="text", name=f"block {number}, {b.label or a.label}", words=words)


def _deltas(types: Counter[str]) -> dict[str, int]:
    """How many events there are of each type of delta."""
    return {
        f"{name.removeprefix(_DELTA)[:-1]} events": number
        for name, number in types.items()
        if name.startswith(_DELTA)
    }


def _numbers(usage: Mapping[str, Any], path: str = "") -> dict[str, int]:
    found: dict[str, int] = {}
    for name, value in usage.items():
        if (inner := as_object(value)) is not None:
            found |= _numbers(inner, f"{path}{name}.")
        elif isinstance(value, int):
            found[f"{path}{name}"] = value
    return found


def _counts(before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[Difference]:
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name]:
            yield Difference(part="text", name=name, before=before[name], after=after[name])


def _timing(before: Facts, after: Facts, tolerance: float) -> Iterator[Difference]:
    for name in TIMES:
        was: float | None = getattr(before.timing, name)
        now: float | None = getattr(after.timing, name)
        near = was is not None and now is not None and abs(was - now) <= tolerance * max(was, now)
        if was != now and not near:
            yield Difference(part="timing", name=name, before=was, after=now)
