"""One attempt as a state machine: request, response, chunks and end go in, records come out.

    request ── response ── chunk* ── end        the usual way
    request ───────────────────────── end       the connection failed: no response
    request ── response ── chunk*               the process died: no end record, a lost stream

Rules that hold in every state:

1. Every record gets the next `seq`. Times are arguments: nothing here reads a clock.
2. Every body byte goes to exactly one record, in order, also when it cannot be decoded, parsed or
   understood; parsing degrades, recording does not.
3. A record names the chunk that completed it; chunks that ended earlier inside it stand in `split`.
4. Nothing is held back longer than it takes to know what it is: an event is a record as soon as its last
   byte is here. A body that is no event stream is held up to `PIECE` bytes, then written in pieces.
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from collections.abc import Iterable

from msgspec import Raw
from msgspec.structs import replace

from .decode import Decoder, Identity, Undecodable, decoder_for
from .guard import API_KEY, Guard
from .payload import Payload, is_strict, read
from .records import NO_DATA, Bytes, End, ErrorInfo, Event, Gap, How, Request, Response, Split, StreamRecord
from .redact import Secrets, request_headers, response_headers
from .sse import Block, SSEParser
from .summary import Summarizer
from .urls import safe_url

PIECE = 1 << 20
"""Most bytes of a body that is no event stream in one record: bounds what the tap holds of a large download."""


class Attempt:
    """The records of one HTTP attempt. Feed it in order; it never raises on what a server can send."""

    def __init__(self, *, stream: str, call: str, attempt: int, secrets: Secrets) -> None:
        self.stream = stream
        self.call = call
        self.attempt = attempt
        self._secrets = secrets
        self._guard = Guard(secrets)
        self._seq = 0
        self._decoder: Decoder = Identity()
        self._encoding_named: str | None = None
        self._encoding: str | None = None
        """Set while body bytes are kept as they come because they cannot be decoded."""
        self._event_stream = False
        self._parser: SSEParser | None = None
        """None for a body that is no event stream, or is one no longer."""
        self._plain = bytearray()
        self._status = 0
        self._offset = 0
        self._fed = 0
        self._chunks = 0
        self._ends: deque[tuple[int, int, int, int]] = deque()
        """(body offset after the chunk, at, wait, ordinal) of chunks that a record yet to come may end in."""
        self._completed = -1
        """Ordinal of the chunk that completed the last record."""
        self._events = 0
        self._summary = Summarizer()

    def request(
        self,
        *,
        wall: int,
        mono: int,
        method: str,
        url: str,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        tags: dict[str, str] | None = None,
    ) -> Request:
        """The request, at 0."""
        clean = self._secrets.remove_from_text
        kept, redacted = self._redacted(body)
        data, text, base64 = _content(kept)
        return Request(
            stream=self.stream,
            seq=self._next(),
            at=0,
            wall=wall,
            mono=mono,
            call=self.call,
            attempt=self.attempt,
            method=method,
            url=self._secrets.remove_from_url(safe_url(url)),
            headers={name: clean(value) for name, value in request_headers(headers).items()},
            data=data,
            text=text,
            base64=base64,
            tags={clean(name): clean(value) for name, value in tags.items()} if tags else None,
            redacted=redacted,
        )

    def response(
        self,
        *,
        at: int,
        status: int,
        headers: Iterable[tuple[str, str]],
        url: str | None = None,
        http: str | None = None,
        decoded: bool = False,
    ) -> Response:
        """Status and headers. `decoded`: the chunks come without their content-encoding."""
        pairs = list(headers)
        named = {name.lower(): value for name, value in pairs}
        encoding = None if decoded else named.get("content-encoding")
        decoder = decoder_for(encoding)
        self._status = status
        self._encoding_named = encoding
        clean = self._secrets.remove_from_text
        content_type = named.get("content-type", "").partition(";")[0].strip().lower()
        self._event_stream = content_type == "text/event-stream"
        if decoder is None:
            self._encoding = encoding
        else:
            self._decoder = decoder
            self._parser = SSEParser() if self._event_stream else None
        return Response(
            stream=self.stream,
            seq=self._next(),
            at=at,
            status=status,
            headers={name: clean(value) for name, value in response_headers(pairs).items()},
            url=url and self._secrets.remove_from_url(safe_url(url)),
            http=http,
            encoded=self._encoding,
        )

    def chunk(self, at: int, wait: int, data: bytes) -> list[StreamRecord]:
        """Bytes of the body, as the transport delivered them."""
        encoded = data
        if type(self._decoder) is not Identity:
            try:
                data = self._decoder.feed(data)
            except Undecodable:
                return self._undecodable(at, wait, encoded)
        self._fed += len(data)
        self._ends.append((self._fed, at, wait, self._chunks))
        self._chunks += 1
        if self._parser is not None:
            return [self._block(block) for block in self._parser.feed(data)]
        self._plain += data
        records: list[StreamRecord] = []
        while len(self._plain) >= PIECE:
            piece = bytes(self._plain[:PIECE])
            piece = piece[: self._secrets.cut_before_secret(piece) or PIECE]
            records.append(self._bytes(piece))
            del self._plain[: len(piece)]
        return records

    def gap(self, at: int, chunks: int, size: int, reason: str) -> list[StreamRecord]:
        """Chunks that could not be recorded: what is whole is written, the rest is read on from the next block."""
        records = self._flush()
        self._guard.gap()
        if self._parser is not None:
            self._parser.resync()
        if type(self._decoder) is not Identity:
            # A compressed body cannot be read on after a hole: from here on its bytes are kept as they come.
            self._keep_encoded()
        records.append(Gap(stream=self.stream, seq=self._next(), at=at, chunks=chunks, bytes=size, reason=reason))
        return records

    def end(self, at: int, wait: int, how: How, error: ErrorInfo | None = None) -> list[StreamRecord]:
        """The end of the body, or of the attempt when there was no response."""
        records = self._flush()
        summary = self._summary
        if error is not None:
            error = ErrorInfo(type=error.type, message=self._secrets.remove_from_url(error.message))
        split = tuple((0, at, wait) for _, at, wait, ordinal in self._ends if ordinal != self._completed)
        records.append(
            End(
                stream=self.stream,
                seq=self._next(),
                at=at,
                wait=wait,
                end=how,
                complete=summary.stopped or (not self._event_stream and how == "read" and self._status > 0),
                events=self._events,
                bytes=self._fed,
                chunks=self._chunks,
                error=error,
                summary=summary.record(),
                split=split or None,
            )
        )
        return records

    def _next(self) -> int:
        seq = self._seq
        self._seq = seq + 1
        return seq

    def _flush(self) -> list[StreamRecord]:
        if self._parser is not None:
            return [self._block(block, last=True) for block in self._parser.flush()]
        if not self._plain:
            return []
        data = bytes(self._plain)
        self._plain.clear()
        self._summary.body(self._redacted(data)[0], self._status)
        return [self._bytes(data, last=True)]

    def _block(self, block: Block, *, last: bool = False) -> StreamRecord:
        if block.payload is None:
            return self._bytes(block.wire, last=last)
        self._events += 1
        at, wait, chunk, split = self._arrival(len(block.wire))
        said, redacted = read(block.event, block.payload), None
        if said.text is None or not block.usual or self._guard.suspects(said.block, said.text, said.padding):
            block, said, redacted = self._guard.cleaned(block, said)
        return self._event(block, said, at, wait, chunk, split, redacted)

    def _event(
        self,
        block: Block,
        said: Payload,
        at: int,
        wait: int,
        chunk: int,
        split: tuple[Split, ...] | None,
        redacted: tuple[str, ...] | None,
    ) -> Event:
        payload = block.payload or b""
        if said.value is not None:
            self._summary.event(block.event, said.value)
        elif payload == b"[DONE]":
            self._summary.stopped = True
        event = Event(
            stream=self.stream,
            seq=self._next(),
            at=at,
            wait=wait,
            chunk=chunk,
            event=block.event,
            block=said.block,
            delta=said.delta,
            chars=said.chars,
            data=Raw(payload) if said.strict else NO_DATA,
            split=split,
        )
        if said.strict and block.usual and redacted is None and block.id is None and block.retry is None:
            return event
        text = None if said.strict else payload.decode("utf-8", "replace")
        frame, raw, base64 = _spelling(block, text)
        odd = {"text": text, "frame": frame, "raw": raw, "base64": base64, "id": block.id, "retry": block.retry}
        return replace(event, redacted=redacted, **odd)

    def _redacted(self, data: bytes) -> tuple[bytes, tuple[str, ...] | None]:
        """`data` without secrets, and the names of the rules that changed it."""
        if not self._secrets.found_in(data):
            return data, None
        kept = self._secrets.remove(data)
        return kept, None if kept == data else (API_KEY,)

    def _bytes(self, wire: bytes, *, last: bool = False) -> Bytes:
        """`last`: what is left at the end of the body, which may be the beginning of more."""
        at, wait, chunk, split = self._arrival(len(wire))
        kept, _ = self._redacted(self._guard.unfinished(wire) if last else wire)
        data, text, base64 = _content(kept)
        return Bytes(
            stream=self.stream,
            seq=self._next(),
            at=at,
            wait=wait,
            chunk=chunk,
            data=data,
            text=text,
            base64=base64,
            encoded=self._encoding,
            split=split,
            redacted=None if kept == wire else (API_KEY,),
        )

    def _arrival(self, size: int) -> tuple[int, int, int, tuple[Split, ...] | None]:
        """(at, wait, chunk, split) of the record made of the next `size` body bytes."""
        start = self._offset
        self._offset = end = start + size
        ends = self._ends
        fed, at, wait, chunk = ends[0]
        split: list[Split] | None = None
        while fed < end:
            if fed != start or chunk != self._completed:
                split = split or []
                split.append((fed - start, at, wait))
            ends.popleft()
            fed, at, wait, chunk = ends[0]
        self._completed = chunk
        return at, wait, chunk, tuple(split) if split else None

    def _undecodable(self, at: int, wait: int, encoded: bytes) -> list[StreamRecord]:
        """The body stops making sense here: keep the rest as it comes, still encoded."""
        records = self._flush()
        self._keep_encoded()
        return [*records, *self.chunk(at, wait, encoded)]

    def _keep_encoded(self) -> None:
        self._encoding = self._encoding_named
        self._decoder = Identity()
        self._parser = None


def _content(data: bytes) -> tuple[Raw, str | None, str | None]:
    """(data, text, base64): the first that can hold these bytes; none of them for no bytes."""
    if not data:
        return NO_DATA, None, None
    if is_strict(data):
        return Raw(data), None, None
    try:
        return NO_DATA, data.decode("utf-8"), None
    except UnicodeDecodeError:
        return NO_DATA, None, b64encode(data).decode("ascii")


def _spelling(block: Block, text: str | None) -> tuple[tuple[str, str] | None, str | None, str | None]:
    """(frame, raw, base64): the shortest of them that gives the wire bytes back, none for the usual spelling."""
    try:
        if text is None or text.encode() == block.payload:
            if block.usual:
                return None, None, None
            if block.frame is not None:
                return (block.frame[0].decode("utf-8"), block.frame[1].decode("utf-8")), None, None
        return None, block.wire.decode("utf-8"), None
    except UnicodeDecodeError:
        return None, None, b64encode(block.wire).decode("ascii")
