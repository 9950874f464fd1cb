"""What the tap tells the writer, item by item, the records that come of it, and what the writer did.

Notes are plain data, so they can go to another process. What it takes to make one, where that is slow or has to be
done first, is told as `Later`.
"""

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


class Sent(Struct, frozen=True, tag=True):
    """The request of an attempt. `stream`, `call`, `attempt`: what the attempt is made of."""

    stream: str
    call: str
    attempt: int
    wall: int
    mono: int
    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes
    tags: dict[str, str] | None
    parts: tuple[SentPart, ...] = ()

    def begin(self, secrets: Secrets) -> Attempt:
        """The attempt that it begins."""
        return Attempt(stream=self.stream, call=self.call, attempt=self.attempt, secrets=secrets)

    @property
    def size(self) -> int:
        """Bytes of its bodies."""
        return len(self.body) + sum(len(part.content or b"") for part in self.parts)

    def records(self, attempt: Attempt, *_: int) -> list[StreamRecord]:
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


class Received(Struct, frozen=True, tag=True):
    """The response of an attempt. `decoded`: its chunks come without content-encoding."""

    status: int
    http: str | None
    decoded: bool
    headers: list[tuple[str, str]]
    url: str | None = None
    """If the request did not know it."""
    phases: Phases | None = None
    reused: bool | None = None
    arrival: str | None = None

    def records(self, attempt: Attempt, at: int, _: int) -> list[StreamRecord]:
        response = attempt.response(
            at=at,
            status=self.status,
            headers=self.headers,
            url=self.url,
            http=self.http,
            decoded=self.decoded,
            phases=self.phases,
            reused=self.reused,
            arrival=self.arrival,
        )
        return [response]


class Ended(Struct, frozen=True, tag=True):
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


class Dropped(Struct, frozen=True, tag=True):
    """Chunks that found the queue full."""

    chunks: int
    bytes: int

    def records(self, attempt: Attempt, at: int, _: int) -> list[StreamRecord]:
        return attempt.gap(at, self.chunks, self.bytes, "queue full")


Note = Sent | Received | Ended | Dropped
"""What is told of an attempt beside the chunks of its body."""
Item = tuple[str, int, int, bytes | Note]
"""(id of the stream, at, wait, a chunk or a note)."""


class Later(Struct, frozen=True):
    """A note that is made on the writer's time, and not on the application's.

    Before `make` answers, it sees to it that what is secret in the note is known.
    """

    make: Callable[[], Note]
    size: int = 0
    """Bytes of bodies that are held until then."""


class Stats(Struct, kw_only=True, repr_omit_defaults=True):
    """What a tap did so far in this process; its repr shows what is not 0. `*_bytes` in bytes, `*_ns` in ns."""

    streams: int = 0
    """Attempts whose request was recorded."""
    events: int = 0
    lines: int = 0
    written_bytes: int = 0
    writer_cpu_ns: int = 0
    """CPU that the writer has used, its looks at an empty queue included: its thread's, and its process's, if any.
    What a tap costs on the application's own threads is not in it: to look, even at one chunk in 256, costs 4 % of
    what is looked at."""
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

    def __add__(self, other: Stats) -> Stats:
        return Stats(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})
