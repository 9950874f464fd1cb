"""Which recorded stream answers a request: an equal request, in the order sent, each served once."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from difflib import SequenceMatcher
from typing import cast

from recorder.core.fingerprint import path_of
from recorder.core.records import Bytes
from recorder.log.streams import Stream

from .asked import Asked, asked_by
from .errors import NoMatch

Matcher = Callable[[Asked, Asked], Iterable[str] | str | None]
"""Called with the recorded request and the one asked: the reasons why that is no answer to this, or nothing."""

_SHOWN = 8
_CANDIDATES = 50
_COMPARED = 20_000
"""Requests, and characters of each, that are compared to find the nearest one: it takes time in an event loop."""

_Attempts = dict[int, deque[Stream]]
"""Streams that wait for a request, in the order sent, by which attempt of its call they were."""


class Shelf:
    """The recorded streams, by what was asked. `name` is what errors call it, `hint` how they end.

    `repeat`: once all that are equal were served, begin again with the first. `ignore`: fields of the body, as
    dotted paths, that are not compared. `match` compares in the place of the fingerprint, and not with `repeat`.
    """

    def __init__(
        self,
        streams: Iterable[Stream],
        name: str,
        *,
        repeat: bool = False,
        ignore: Sequence[str] = (),
        match: Matcher | None = None,
        hint: str = "Record it again if the change is meant.",
    ) -> None:
        self._name = name
        self._repeat = repeat
        self._ignore = tuple(ignore)
        self._match = match
        self._hint = hint
        self._lock = threading.Lock()
        self.streams = sorted(streams, key=_sent)
        """In the order in which they were sent."""
        self._served: dict[str, Stream] = {}
        self._waiting: dict[str, _Attempts] = {}
        if match is None:
            for stream in self.streams:
                _add(self._waiting.setdefault(self.key(asked_by(stream)), {}), stream)
        self.paths = {path_of(stream.url).partition("?")[0] for stream in self.streams}

    @property
    def served(self) -> list[Stream]:
        """Streams that were asked for, in the order in which they first were."""
        return list(self._served.values())

    @property
    def unused(self) -> list[Stream]:
        """Streams that nothing asked for yet."""
        return [stream for stream in self.streams if stream.id not in self._served]

    def key(self, asked: Asked) -> str:
        """Equal for requests that this shelf takes for the same, where it does not ask a matcher."""
        return asked.fingerprint(self._ignore)

    def has(self, asked: Asked) -> bool:
        """Whether `take` would find a stream. Raises NoMatch where a matcher fails."""
        with self._lock:
            return bool(_first_of(self._equal(asked) or {}, asked.attempt))

    def take(self, asked: Asked) -> Stream:
        """The stream that answers. Raises NoMatch, also where the body that answered was not recorded.

        Among equal requests, the first one sent; of a retried one, the attempt that this request is.
        """
        with self._lock:
            attempts = self._equal(asked)
            if waiting := _first_of(attempts or {}, asked.attempt):
                if waiting[0].reduced:
                    raise self._reduced(waiting[0])
                stream = waiting.popleft()
                if self._repeat:
                    waiting.append(stream)
                self._served.setdefault(stream.id, stream)
                sys.audit("recorder.served", str(stream.path), stream.id)
                return stream
        raise self._no_match(asked, served=attempts is not None)

    def _equal(self, asked: Asked) -> _Attempts | None:
        """The streams that answer it and still wait; None when none was recorded."""
        if self._match is None:
            return self._waiting.get(self.key(asked))
        equal = [stream for stream in self.streams if not self._reasons(stream, asked)]
        attempts: _Attempts = {}
        for stream in equal:
            if stream.id not in self._served:
                _add(attempts, stream)
        return attempts if equal else None

    def _reasons(self, stream: Stream, asked: Asked) -> tuple[str, ...]:
        """Why the stream does not answer."""
        if self._match is None:
            return tuple(asked_by(stream).differences(asked, self._ignore))
        try:
            reasons = self._match(asked_by(stream), asked)
            if isinstance(reasons, str):
                return (reasons,) if reasons else ()
            return _texts(reasons or ())
        except Exception as error:
            name = getattr(self._match, "__qualname__", repr(self._match))
            what = f"{asked.method} {asked.path}: the matcher {name} raised {type(error).__name__}: {error}"
            raise NoMatch(f"{self._name}: {what}", kind="matcher", nearest=stream.id) from error

    def _reduced(self, stream: Stream) -> NoMatch:
        size = sum(record.size or 0 for record in stream.records if isinstance(record, Bytes))
        return NoMatch(
            f"{self._name}: {stream.request.method} {path_of(stream.url)}: recorded, but the answer is a file of "
            f"{size} bytes, and a recording keeps its SHA-256 alone; answer this request from the file itself",
            kind="reduced",
            nearest=stream.id,
        )

    def _no_match(self, asked: Asked, *, served: bool) -> NoMatch:
        what = f"{asked.method} {asked.path}"
        if not self.streams:
            return NoMatch(f"{self._name}: {what}: the recording has no streams", kind="empty", fix=self._hint)
        if served:
            times = sum(not self._reasons(stream, asked) for stream in self.streams)
            return NoMatch(
                f"{self._name}: {what}: recorded {times} time(s), and served as often already",
                kind="served",
                fix=self._hint,
            )
        nearest = self._nearest(asked)
        lines = self._reasons(nearest, asked)
        known = "wall" not in nearest.unknown
        age_s = max(0, time.time_ns() - nearest.request.wall) / 1e9 if known else None
        age = "of unknown age" if age_s is None else f"{age_s / 86_400:.0f} days old"
        shown = "".join(f"\n  {line}" for line in lines[:_SHOWN])
        more = f"\n  … and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        return NoMatch(
            f"{self._name}: {what}: no recorded request is equal. The nearest, {nearest.id} "
            f"({age}, anthropic {nearest.header.anthropic or 'unknown'}), "
            f"differs:{shown}{more}",
            kind="differs" if path_of(nearest.url) == asked.path else "unlike",
            nearest=nearest.id,
            age_s=age_s,
            sdk=nearest.header.anthropic,
            differences=lines,
            fix=self._hint,
        )

    def _nearest(self, asked: Asked) -> Stream:
        wanted = asked.canonical(self._ignore).decode()[:_COMPARED]

        def likeness(stream: Stream) -> tuple[int, float]:
            have = asked_by(stream).canonical().decode()[:_COMPARED]
            like = SequenceMatcher(None, have, wanted, autojunk=False).quick_ratio()
            return (-len(self._reasons(stream, asked)) if self._match else 0), like

        same_path_first = sorted(self.streams, key=lambda stream: path_of(stream.url) != asked.path)
        return max(same_path_first[:_CANDIDATES], key=likeness)


def _sent(stream: Stream) -> tuple[int, str]:
    """Orders streams as they were sent."""
    return stream.sent, stream.id


def _add(attempts: _Attempts, stream: Stream) -> None:
    attempts.setdefault(stream.request.attempt, deque()).append(stream)


def _first_of(attempts: _Attempts, attempt: int) -> deque[Stream] | None:
    """The streams of this attempt of a call; without any, those of the first attempt that has some."""
    return attempts.get(attempt) or next((queue for queue in attempts.values() if queue), None)


def _texts(reasons: object) -> tuple[str, ...]:
    if isinstance(reasons, Iterable):
        texts = tuple(cast("Iterable[object]", reasons))
        if all(isinstance(text, str) for text in texts):
            return cast("tuple[str, ...]", texts)
    raise TypeError(f"it returns the reasons why not, as texts, or None; it returned {reasons!r}")
