"""What the tap tells the writer, item by item, the records that come of it, and what the writer did."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from msgspec import Struct

from recorder.core.attempt import Attempt
from recorder.core.records import ErrorInfo, How, Part, Phases, StreamRecord
from recorder.core.redact import Secrets


class SentPart(Struct, frozen=True):
    """A file of a multipart request. `content`: what the writer computes a hash of, where it is at hand."""

    name: str
    filename: str | None
    type: str | None
    size: int | None
    content: bytes | None

    def record(self) -> Part:
        digest = sha256(self.content).hexdigest() if self.content is not None else None
        return Part(name=self.name, filename=self.filename, type=self.type, size=self.size, sha256=digest)


class Sent(Struct, frozen=True):
    """The request of an attempt. `stream`, `call`, `attempt`, `secrets`: what the attempt is made of."""

    stream: str
    call: str
    attempt: int
    secrets: Secrets
    wall: int
    mono: int
    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes
    tags: dict[str, str] | None
    parts: tuple[SentPart, ...] = ()
    before: Callable[[], None] | None = None
    """To be done first, and not on the application's time."""

    def begin(self) -> Attempt:
        """The attempt that it begins."""
        return Attempt(stream=self.stream, call=self.call, attempt=self.attempt, secrets=self.secrets)

    @property
    def size(self) -> int:
        """Bytes of its bodies."""
        return len(self.body) + sum(len(part.content or b"") for part in self.parts)

    def records(self, attempt: Attempt, *_: int) -> list[StreamRecord]:
        if self.before is not None:
            self.before()
        request = attempt.request(
            wall=self.wall,
            mono=self.mono,
            method=self.method,
            url=self.url,
            headers=self.headers,
            body=self.body,
            tags=self.tags,
            parts=tuple(part.record() for part in self.parts),
        )
        return [request]


class Details(Struct, frozen=True):
    """What else is said of a response."""

    headers: list[tuple[str, str]]
    url: str | None = None
    """If the request did not know it."""
    phases: Phases | None = None
    reused: bool | None = None


class Received(Struct, frozen=True):
    """The response of an attempt. `decoded`: its chunks come without content-encoding.

    `details` is asked on the writer's time, and not on the application's; before it answers, it sees to it that
    what is secret in the response is known.
    """

    status: int
    http: str | None
    decoded: bool
    details: Callable[[], Details]
    arrival: str | None = None

    def records(self, attempt: Attempt, at: int, _: int) -> list[StreamRecord]:
        details = self.details()
        response = attempt.response(
            at=at,
            status=self.status,
            headers=details.headers,
            url=details.url,
            http=self.http,
            decoded=self.decoded,
            phases=details.phases,
            reused=details.reused,
            arrival=self.arrival,
        )
        return [response]


class Ended(Struct, frozen=True):
    """The end of an attempt."""

    how: How
    error: ErrorInfo | None
    phases: Phases | None = None
    reused: bool | None = None
    waited: int | None = None
    held: int | None = None
    url: str | None = None
    """Of the request that failed."""

    def records(self, attempt: Attempt, at: int, wait: int) -> list[StreamRecord]:
        return attempt.end(
            at,
            wait,
            self.how,
            self.error,
            url=self.url,
            phases=self.phases,
            reused=self.reused,
            waited=self.waited,
            held=self.held,
        )


class Dropped(Struct, frozen=True):
    """Chunks that found the queue full."""

    chunks: int
    bytes: int

    def records(self, attempt: Attempt, at: int, _: int) -> list[StreamRecord]:
        return attempt.gap(at, self.chunks, self.bytes, "queue full")


Note = Sent | Received | Ended | Dropped
"""What is told of an attempt beside the chunks of its body."""


class Stats(Struct, kw_only=True, repr_omit_defaults=True):
    """What a tap did so far in this process; its repr shows what is not 0. `*_bytes` in bytes, `*_ns` in ns."""

    streams: int = 0
    """Attempts whose request was recorded."""
    events: int = 0
    lines: int = 0
    written_bytes: int = 0
    writer_cpu_ns: int = 0
    """CPU that the writer's thread has used, its looks at an empty queue included. What a tap costs on the
    application's own threads is not in it: to look, even at one chunk in 256, costs 4 % of what is looked at."""
    dropped_chunks: int = 0
    dropped_bytes: int = 0
    dropped_streams: int = 0
    """Attempts whose request found the queue full: nothing of them is recorded."""
    without_phases: int = 0
    """Attempts whose HTTP client did not tell when it connected, sent and got the headers."""
    lost_records: int = 0
    """What the disk had not taken when the tap was closed."""
    errors: int = 0
    """Failures of our own, of the disk or of the code; the first is logged."""
    sampled_out: int = 0
    """Attempts that are not written because of `sample` and `keep`."""
    given_up: int = 0
    """Attempts that were held until `keep` could be asked, and were too large for it."""
    queue_high_water: int = 0
    """The most chunks and other items that ever waited for the writer."""
