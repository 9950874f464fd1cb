"""The vocabulary of the log: one Struct per kind of line. FORMAT.md explains every field to a stranger.

Field order is line order. Fields without a default are always written; a field at its default is left
out, so that an ordinary line stays short and only odd streams pay for what makes them odd.

Times are integers in nanoseconds. `at` counts from the moment the request was sent, on a monotonic clock;
`wait` is how long the read that delivered the bytes blocked; `wall` is Unix time.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from .payload import lenient

FORMAT = "sse-recording"
VERSION = 1
NO_DATA = Raw(b"")
"""`data` of a record that has none. (msgspec has no `Raw | None`.)"""

Int = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""64 bits: what every reader, DuckDB among them, can hold."""
How = Literal["read", "closed", "failed"]
"""How a body ended: read to its end, closed by the application, failed in the transport."""
Missing = Literal["wall", "headers", "body", "end", "request", "response", "spelling"]
"""What may not be known of an imported stream: when it was sent; when its headers, its body and its end came; what
was asked; status and headers of the answer; the bytes around the payloads."""


class Header(Struct, tag="header", tag_field="kind", kw_only=True, frozen=True, omit_defaults=True):
    """First line of a segment: who wrote it, and the two clocks at that moment."""

    format: str
    v: Int
    segment: str
    wall: Int
    mono: Int
    recorder: str
    anthropic: str | None = None
    python: str | None = None
    pid: Int | None = None
    source: str | None = None
    """`synthetic` when the stream was made by a script; `sse`, `ant`, `vcr`, `har` when it was imported from that;
    absent for one that a tap recorded."""
    previous: str | None = None
    """The segment that this one goes on from; a stream may begin there and end here."""
    edited: tuple[str, ...] | None = None
    """What was done to it since it was recorded."""


class Part(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A file that a multipart request uploads. Its bytes are not recorded."""

    name: str
    """Of the form's field."""
    filename: str | None = None
    type: str | None = None
    """Its content type, as far as the application gave one."""
    size: Int | None = None
    """Bytes; absent where only reading it would have told."""
    sha256: str | None = None
    """Absent where it was streamed, or large."""


class Request(Struct, tag="request", tag_field="kind", kw_only=True, frozen=True, omit_defaults=True):
    """One HTTP attempt, logged before its response."""

    stream: str
    seq: Int
    at: Int
    wall: Int
    mono: Int
    """The monotonic clock at `at` = 0: orders the streams of one process, whatever the wall clock does."""
    call: str
    attempt: Int
    """0 for the first attempt of the call, 1 for its first retry."""
    method: str
    url: str
    """As far as it is known when the request is logged: absolute, or from `/v1/` on."""
    headers: dict[str, str]
    data: Raw = NO_DATA
    """The body, verbatim, where it is JSON every reader accepts; else `text` or `base64`."""
    text: str | None = None
    base64: str | None = None
    size: Int | None = None
    """Bytes of a body that is not recorded: a large binary one, or one that was streamed."""
    sha256: str | None = None
    """Of a large binary body."""
    parts: tuple[Part, ...] | None = None
    """The files of a multipart body."""
    tags: dict[str, str] | None = None
    redacted: tuple[str, ...] | None = None
    edited: tuple[str, ...] | None = None
    """What was done to the stream since it was recorded."""
    unknown: tuple[str, ...] | None = None
    """What nobody knows of an imported stream: `Missing`, and what a later version may add."""

    @property
    def body(self) -> Any:
        """The body's JSON, decoded; its text when it is not JSON; None when there is none."""
        if data := bytes(self.data):
            return msgspec.json.decode(data)
        value = lenient(self.text.encode("utf-8", "surrogatepass")) if self.text else None
        return self.text if value is None else value


Span = tuple[Int, Int]
"""When something began and when it ended, or failed."""


class Phases(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What the HTTP client did to get a response, as far as it tells; what did not happen is absent."""

    connect: Span | None = None
    """The TCP connection, name look-up included; to the proxy if there is one."""
    tunnel: Span | None = None
    """The proxy was asked for a connection to the server (and TLS with the proxy itself, if it has that)."""
    tls: Span | None = None
    """The TLS handshake with the server."""
    send: Span | None = None
    """The request's headers and body."""
    headers: Span | None = None
    """From the request's last byte to the response's last header."""


class Response(Struct, tag="response", tag_field="kind", kw_only=True, frozen=True, omit_defaults=True):
    """Status line and headers."""

    stream: str
    seq: Int
    at: Int
    status: Int
    headers: dict[str, str]
    url: str | None = None
    """The absolute URL that answered, when the request line could not know it."""
    http: str | None = None
    """`HTTP/1.1` or `HTTP/2`."""
    encoded: str | None = None
    """The content-encoding that could not be decoded here: the body below is still encoded."""
    phases: Phases | None = None
    reused: bool | None = None
    """The connection was there already. None: not known."""
    arrival: str | None = None
    """`eager`: the tap read ahead of the application, and the times are of its own reads."""
    redacted: tuple[str, ...] | None = None


Split = tuple[Int, Int, Int]
"""A chunk that ended inside a record: (offset in the record's wire bytes, at, wait)."""


class Event(Struct, tag="event", tag_field="kind", kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """One server-sent event, as dispatched by the WHATWG algorithm, with the bytes it came in."""

    stream: str
    seq: Int
    at: Int
    wait: Int
    chunk: Int
    """Ordinal (from 0) of the chunk that completed the event; equal ordinals arrived together."""
    event: str | None = None
    """The `event:` field; absent when the stream had none (`message` to WHATWG)."""
    block: Int | None = None
    """`index` of the content block, from the payload."""
    delta: str | None = None
    """Type of the delta, or of the content block that starts here."""
    chars: Int | None = None
    """Unicode code points of output in this event."""
    data: Raw = NO_DATA
    """The payload, verbatim, where it is one line of JSON that every reader accepts."""
    text: str | None = None
    """The payload where it is not that."""
    frame: tuple[str, str] | None = None
    """What stands on the wire before and after the payload, when not `event: …\\ndata: ` and two line feeds."""
    raw: str | None = None
    """The whole wire text, when it is not frame + payload + frame."""
    base64: str | None = None
    """The whole wire bytes, when they are not UTF-8."""
    id: str | None = None
    retry: Int | None = None
    split: tuple[Split, ...] | None = None
    redacted: tuple[str, ...] | None = None
    size: Int | None = None
    """Wire bytes of the record, when they are not in it: its text was left out."""


class Bytes(Struct, tag="bytes", tag_field="kind", kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """Body bytes that dispatch no event: comments, an unfinished tail, a body that is not an event stream."""

    stream: str
    seq: Int
    at: Int
    wait: Int
    chunk: Int
    data: Raw = NO_DATA
    text: str | None = None
    base64: str | None = None
    size: Int | None = None
    """Wire bytes of the record, when they are not in it: left out as text, or as part of a large binary body."""
    sha256: str | None = None
    """Of such a body, up to the end of this piece."""
    encoded: str | None = None
    """The content-encoding these bytes are still in, because they could not be decoded."""
    split: tuple[Split, ...] | None = None
    redacted: tuple[str, ...] | None = None


class Gap(Struct, tag="gap", tag_field="kind", kw_only=True, frozen=True, omit_defaults=True):
    """Records that are missing here, and why."""

    stream: str
    seq: Int
    at: Int
    chunks: Int
    bytes: Int
    reason: str


class ErrorInfo(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """An exception of the transport, or an error of the API."""

    type: str
    """Dotted class name (`httpx2.ReadError`), or the API's own `overloaded_error`."""
    message: str


class Summary(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What the payloads said, repeated so that loading never parses payloads."""

    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    usage: dict[str, object] | None = None
    """Last non-null value per field; absent `output_tokens` when only `message_start` gave one."""
    error: ErrorInfo | None = None
    """The API's own error, from an `error` event or the body of a status >= 400."""


class End(Struct, tag="end", tag_field="kind", kw_only=True, frozen=True, omit_defaults=True):
    """Last record of a stream. A stream without one was lost with its process."""

    stream: str
    seq: Int
    at: Int
    end: How
    complete: bool
    """The terminal event (`message_stop`) was seen; for a body that is no event stream, it was read whole."""
    events: Int
    bytes: Int
    """Body bytes after content-decoding."""
    chunks: Int
    wait: Int = 0
    """ns blocked in the read that found the end."""
    url: str | None = None
    """The absolute URL that was asked, where no response says it and the request line could not know it."""
    error: ErrorInfo | None = None
    summary: Summary | None = None
    split: tuple[Split, ...] | None = None
    phases: Phases | None = None
    """Of an attempt without a response: as far as it came."""
    reused: bool | None = None
    waited: Int | None = None
    """Of an eager stream: ns for which the application was blocked, waiting for chunks."""
    held: Int | None = None
    """Of an eager stream: ns from the headers on that the application spent between its reads."""
    redacted: tuple[str, ...] | None = None


class Footer(Struct, tag="footer", tag_field="kind", kw_only=True, frozen=True, omit_defaults=True):
    """Last line of a segment whose writer closed it: by it a reader knows that every byte is there."""

    segment: str
    """That of the header that it belongs to."""
    lines: Int
    """Before this one, from that header on."""
    bytes: Int
    """Before this line, from that header on."""
    stats: dict[str, object]
    """What the tap did so far in its process, by name: what it recorded, dropped and lost."""
    sha256: str
    """See core/seal.py."""


StreamRecord = Request | Response | Event | Bytes | Gap | End
Record = Header | StreamRecord | Footer


class Unknown(msgspec.Struct, kw_only=True, frozen=True):
    """A record of a kind that this version does not know; `line` is the line as it stands in the file."""

    kind: str
    stream: str | None
    line: bytes
