"""One request and what answered it, as another tool has kept them; and the records that come of it.

What the tool did not keep is not made up: it is named in `unknown` of the request record. Where a record has to
have something there all the same, a time is that of the moment before, which is at least not too late.
"""

from __future__ import annotations

from hashlib import blake2b
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from recorder.core.attempt import Attempt
from recorder.core.fingerprint import attempt_of, is_to_claude, path_of
from recorder.core.framing import parser_for
from recorder.core.records import End, ErrorInfo, Event, Missing, Phases, StreamRecord
from recorder.core.redact import Secrets, credentials

from .limits import Refused, Room, without_encoding

Pairs = list[tuple[str, str]]


class Exchange(Struct, frozen=True, kw_only=True):
    """Times in ns, `wall` of Unix, the others since the request was sent; None where nobody knows."""

    source: str
    """The format that it comes from."""
    method: str = "POST"
    url: str = "/v1/messages"
    headers: Pairs = []
    body: bytes = b""
    status: int | None = 200
    """None: no response came."""
    http: str | None = None
    response_headers: Pairs = []
    answer: bytes = b""
    """The body of the response, as it was kept."""
    wall: int | None = None
    headers_at: int | None = None
    end_at: int | None = None
    phases: Phases | None = None
    error: ErrorInfo | None = None
    """What broke it."""
    whole: bool = True
    """It was read to its end. False: as far as its last event tells, because nobody noted how it ended."""
    missing: tuple[Missing, ...] = ()

    def __post_init__(self) -> None:
        try:
            urlsplit(self.url)
        except ValueError:
            raise Refused(f"has a URL that is none: {self.url[:80]!r}") from None

    @property
    def is_wanted(self) -> bool:
        """It went to Claude, or a stream of events came back."""
        named = {name.lower(): value for name, value in self.response_headers}
        return (
            parser_for(named) is not None
            or is_to_claude({name.lower(): value for name, value in self.headers}, self.url)
            or path_of(self.url).startswith(("/v1/messages", "/v1/complete"))
        )

    @property
    def unknown(self) -> tuple[Missing, ...]:
        """What is not known of it."""
        answered = self.status is not None
        times: dict[Missing, bool] = {
            "wall": self.wall is not None,
            "headers": self.headers_at is not None or not answered,
            "body": not answered,
            "end": self.end_at is not None,
        }
        return (*(name for name, known in times.items() if not known), *self.missing)

    @property
    def asked(self) -> bytes:
        """Equal for equal requests."""
        return blake2b(f"{self.method} {self.url}\n".encode() + self.body, digest_size=16).digest()

    @property
    def attempt(self) -> int:
        """Which attempt of its call it was, as far as its headers say it."""
        return attempt_of({name.lower(): value for name, value in self.headers})

    def learn(self, secrets: Secrets) -> None:
        """Its credentials are never to be written."""
        for value in credentials([*self.headers, *self.response_headers]):
            secrets.learn(value)

    def records(self, *, stream: str, call: str, mono: int, secrets: Secrets, room: Room) -> list[StreamRecord]:
        """Its records, without secrets. `mono` orders the streams of a file. Raises Refused for too large ones."""
        attempt = Attempt(stream=stream, call=call, attempt=self.attempt, secrets=secrets)
        request = attempt.request(
            wall=self.wall or 0, mono=mono, method=self.method, url=self.url, headers=self.headers, body=self.body
        )
        records: list[StreamRecord] = [replace(request, unknown=self.unknown)]
        at = self.headers_at or 0
        if self.status is not None:
            body = without_encoding(self.answer, _named(self.response_headers, "content-encoding"), room)
            records.append(
                attempt.response(
                    at=at,
                    status=self.status,
                    headers=self.response_headers,
                    http=self.http,
                    decoded=body is not None,
                    phases=self.phases,
                )
            )
            at = max(at, self.end_at or 0)
            if answer := self.answer if body is None else body:
                records += attempt.chunk(at, 0, answer)
        how = "failed" if self.error is not None else "read"
        *rest, end = attempt.end(max(at, self.end_at or 0), 0, how, self.error)
        records += rest
        ended = self.whole or (isinstance(end, End) and end.complete) or _has_error(records)
        return [*records, end] if ended else records


def _has_error(records: list[StreamRecord]) -> bool:
    return any(isinstance(record, Event) and record.event == "error" for record in records)


def _named(pairs: Pairs, wanted: str) -> str | None:
    return next((value for name, value in pairs if name.lower() == wanted), None)
