"""Which recorded stream answers a request: an equal request, in the order sent, each served once."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from hashlib import sha256
from typing import Any, NamedTuple

import httpx2

from recorder.core.fingerprint import attempt_of, canonical, compared, differences, fingerprint, path_of
from recorder.core.payload import lenient
from recorder.core.records import Bytes, Request
from recorder.core.redact import Secrets, credentials
from recorder.core.wire import payload
from recorder.log.streams import Stream

from .errors import NoMatch

_SHOWN = 8
_HASH = "sha256:"
_CANDIDATES = 50
_COMPARED = 20_000
"""Requests, and characters of each, that are compared to find the nearest one: it takes time in an event loop."""


class Asked(NamedTuple):
    """A request as it is compared: its secrets replaced as they were when it was recorded."""

    method: str
    url: str
    body: Any
    attempt: int

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.method, self.url, self.body)


def asked(request: httpx2.Request) -> Asked:
    """What the request asks."""
    secrets = Secrets(credentials(request.headers))
    content = b"" if _is_multipart(request) else _content(request)
    content = secrets.remove(content) if secrets.found_in(content) else content
    return Asked(request.method, str(request.url), _body_of(content), attempt_of(request.headers))


def asked_by(stream: Stream) -> Asked:
    """What a recorded request asked."""
    request = stream.request
    return Asked(request.method, stream.url, _recorded_body(request), request.attempt)


def _is_multipart(request: httpx2.Request) -> bool:
    """Its body has a random boundary, and files that are not recorded: it is not compared."""
    return request.headers.get("content-type", "").startswith("multipart/")


def _content(request: httpx2.Request) -> bytes:
    try:
        return request.content
    except httpx2.RequestNotRead:
        return b""


class Shelf:
    """The recorded streams, by what was asked. `name` is what errors call it, `hint` how they end.

    `repeat`: once all that match were served, begin again with the first. `ignore`: fields of the body, as
    dotted paths, that are not compared.
    """

    def __init__(
        self,
        streams: Iterable[Stream],
        name: str,
        *,
        repeat: bool = False,
        ignore: Sequence[str] = (),
        hint: str = "Record it again if the change is meant.",
    ) -> None:
        self._name = name
        self._repeat = repeat
        self._ignore = tuple(ignore)
        self._hint = hint
        self._lock = threading.Lock()
        self.streams = sorted(streams, key=_sent)
        """In the order in which they were sent."""
        self._served: dict[str, Stream] = {}
        self._waiting: dict[str, dict[int, deque[Stream]]] = {}
        for stream in self.streams:
            one = asked_by(stream)
            self._waiting.setdefault(self._key(one), {}).setdefault(one.attempt, deque()).append(stream)
        self.paths = {path_of(stream.url).partition("?")[0] for stream in self.streams}

    @property
    def served(self) -> list[Stream]:
        """Streams that were asked for, in the order in which they first were."""
        return list(self._served.values())

    @property
    def unused(self) -> list[Stream]:
        """Streams that nothing asked for yet."""
        return [stream for stream in self.streams if stream.id not in self._served]

    def has(self, asked: Asked) -> bool:
        """Whether `take` would find a stream."""
        with self._lock:
            return bool(_first_of(self._waiting.get(self._key(asked), {}), asked.attempt))

    def take(self, asked: Asked) -> Stream:
        """The stream that answers. Raises NoMatch, also where the body that answered was not recorded.

        Among equal requests, the first one sent; of a retried one, the attempt that this request is.
        """
        with self._lock:
            attempts = self._waiting.get(self._key(asked))
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

    def _key(self, asked: Asked) -> str:
        return fingerprint(asked.method, asked.url, asked.body, self._ignore)

    def _reduced(self, stream: Stream) -> NoMatch:
        size = sum(record.size or 0 for record in stream.records if isinstance(record, Bytes))
        return NoMatch(
            f"{self._name}: {stream.request.method} {path_of(stream.url)}: recorded, but the answer is a file of "
            f"{size} bytes, and a recording keeps its SHA-256 alone; answer this request from the file itself",
            kind="reduced",
            nearest=stream.id,
        )

    def _no_match(self, asked: Asked, *, served: bool) -> NoMatch:
        path = path_of(asked.url)
        what = f"{asked.method} {path}"
        if not self.streams:
            return NoMatch(f"{self._name}: {what}: the recording has no streams\n{self._hint}", kind="empty")
        if served:
            times = sum(self._key(asked_by(stream)) == self._key(asked) for stream in self.streams)
            return NoMatch(
                f"{self._name}: {what}: recorded {times} time(s), and served as often already\n{self._hint}",
                kind="served",
            )
        wanted = canonical(asked.method, asked.url, asked.body, self._ignore).decode()[:_COMPARED]
        nearest = max(
            sorted(self.streams, key=lambda stream: path_of(stream.url) != path)[:_CANDIDATES],
            key=lambda stream: _likeness(stream, wanted),
        )
        lines = tuple(_differences(nearest, asked, self._ignore))
        age = max(0, time.time_ns() - nearest.request.wall) / 86_400e9
        shown = "".join(f"\n  {line}" for line in lines[:_SHOWN])
        more = f"\n  … and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        return NoMatch(
            f"{self._name}: {what}: no recorded request is equal. The nearest, {nearest.id} "
            f"({age:.0f} days old, anthropic {nearest.header.anthropic or 'unknown'}), differs:{shown}{more}\n"
            f"{self._hint}",
            kind="differs" if path_of(nearest.url) == path else "unlike",
            nearest=nearest.id,
            differences=lines,
        )


def _sent(stream: Stream) -> tuple[int, str]:
    """Orders streams as they were sent: by the monotonic clock, put on the wall clock once for each segment."""
    return stream.header.wall - stream.header.mono + stream.request.mono, stream.id


def _recorded_body(request: Request) -> Any:
    if request.sha256 is not None:
        return _HASH + request.sha256
    return request.body if request.base64 is None else _body_of(payload(request))


def _body_of(content: bytes) -> Any:
    """A body as it is compared: JSON decoded, any other text as it is, what is no text by its hash."""
    if not content:
        return None
    if (value := lenient(content)) is not None:
        return value
    try:
        return content.decode()
    except UnicodeDecodeError:
        return _HASH + sha256(content).hexdigest()


def _first_of(attempts: dict[int, deque[Stream]], attempt: int) -> deque[Stream] | None:
    """The streams of this attempt of a call; without any, those of the first attempt that has some."""
    return attempts.get(attempt) or next((queue for queue in attempts.values() if queue), None)


def _likeness(stream: Stream, wanted: str) -> float:
    request = stream.request
    have = canonical(request.method, stream.url, _recorded_body(request)).decode()[:_COMPARED]
    return SequenceMatcher(None, have, wanted, autojunk=False).quick_ratio()


def _differences(stream: Stream, asked: Asked, ignore: Sequence[str]) -> Iterable[str]:
    request = stream.request
    if request.method != asked.method.upper():
        yield f"method: {request.method} recorded, {asked.method} asked"
    recorded, path = path_of(stream.url), path_of(asked.url)
    if recorded != path:
        yield f"path: {recorded} recorded, {path} asked"
    yield from differences(compared(recorded, _recorded_body(request), ignore), compared(path, asked.body, ignore))
