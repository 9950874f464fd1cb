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
   byte is here. A body that is no event stream is held up to a bound, then written in pieces (plain.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from msgspec import Raw
from msgspec.structs import replace

from .content import clean_part, content, spelling, unsaid
from .decode import Decoder, Identity, Undecodable, decoder_for
from .framing import Parser, parser_for
from .guard import API_KEY, Guard
from .payload import USUAL_TYPES, Payload, match_usual_delta, read, usual_text
from .plain import Piece, PlainBody
from .records import (
    NO_DATA,
    Bytes,
    End,
    ErrorInfo,
    Event,
    Gap,
    How,
    Part,
    Phases,
    Request,
    Response,
    Split,
    StreamRecord,
)
from .redact import Secrets, request_headers, response_headers
from .sse import Block, SSEParser
from .summary import Summarizer
from .urls import safe_url


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
        self._parser: Parser | None = None
        """None for a body that is no event stream, or is one no longer."""
        self._plain = PlainBody(secrets.cut_before_secret)
        self._status = 0
        self._url = ""
        self._offset = 0
        self._fed = 0
        self._chunks = 0
        self._ends: deque[tuple[int, int, int, int]] = deque()
        """(body offset after the chunk, at, wait, ordinal) of chunks that a record yet to come may end in."""
        self._completed = -1
        """Ordinal of the chunk that completed the last record."""
        self._steady = False
        """Between two blocks, with a chunk ended exactly there: `_ends` holds that chunk alone."""
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
        parts: tuple[Part, ...] = (),
    ) -> Request:
        """The request, at 0. `headers` are asked for the size of a body that is not given."""
        pairs = list(headers)
        clean = self._secrets.remove_from_text
        kept, redacted = self._guard.redacted(body)
        data, text, base64 = content(kept)
        size, digest = unsaid(pairs, kept, base64)
        self._url = url
        return Request(
            stream=self.stream,
            seq=self._next(),
            at=0,
            wall=wall,
            mono=mono,
            call=self.call,
            attempt=self.attempt,
            method=method,
            url=self._safe(url),
            headers={name: clean(value) for name, value in request_headers(pairs).items()},
            data=data,
            text=text,
            base64=None if digest else base64,
            size=size,
            sha256=digest,
            parts=tuple(clean_part(part, clean) for part in parts) or None,
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
        phases: Phases | None = None,
        reused: bool | None = None,
        arrival: str | None = None,
    ) -> Response:
        """Status and headers. `decoded`: the chunks come without their content-encoding."""
        pairs = list(headers)
        self._status = status
        self._expect({name.lower(): value for name, value in pairs}, decoded=decoded)
        clean = self._secrets.remove_from_text
        return Response(
            stream=self.stream,
            seq=self._next(),
            at=at,
            status=status,
            headers={name: clean(value) for name, value in response_headers(pairs).items()},
            url=url and self._safe(url),
            http=http,
            encoded=self._encoding,
            phases=phases,
            reused=reused,
            arrival=arrival,
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
        ordinal = self._chunks
        self._chunks = ordinal + 1
        arrived = (self._fed, at, wait, ordinal)
        if self._parser is None:
            self._ends.append(arrived)
            return [self._piece(piece) for piece in self._plain.feed(data, reduce=self._encoding is None)]
        records: list[StreamRecord] = []
        if self._steady and data:
            self._ends[0] = arrived
            end = self._usual_deltas(data, at, wait, ordinal, records)
            if end == len(data):
                return records
            data = data[end:]
        else:
            self._ends.append(arrived)
        records += [self._block(block) for block in self._parser.feed(data)]
        self._steady = isinstance(self._parser, SSEParser) and self._parser.idle and self._completed == ordinal
        return records

    def _usual_deltas(self, data: bytes, at: int, wait: int, chunk: int, records: list[StreamRecord]) -> int:
        """Add the records of the usual deltas that `data` begins with; gives where they end.

        Nearly every chunk of a stream is one of them, and this is most of what the writer does: the same
        records as by the long way, for a third of it.
        """
        end, size, seq = 0, len(data), self._seq
        while end < size and (match := match_usual_delta(data, end)) is not None:
            payload, block, kind, text = match.groups()
            index, decoded = int(block), usual_text(text)
            if decoded is None or self._guard.suspects(index, decoded, None):
                break
            event = Event(
                stream=self.stream,
                seq=seq,
                at=at,
                wait=wait,
                chunk=chunk,
                event="content_block_delta",
                block=index,
                delta=USUAL_TYPES[kind],
                chars=len(decoded),
                data=Raw(payload),
            )
            records.append(event)
            seq += 1
            end = match.end()
        if end:
            self._seq = seq
            self._events += len(records)
            self._completed = chunk
            self._offset += end
        return end

    def gap(self, at: int, chunks: int, size: int, reason: str) -> list[StreamRecord]:
        """Chunks that could not be recorded: what is whole is written, the rest is read on from the next block."""
        records = self._flush()
        self._steady = False
        self._guard.gap()
        if self._parser is not None:
            self._parser.resync()
        if type(self._decoder) is not Identity:
            # A compressed body cannot be read on after a hole: from here on its bytes are kept as they come.
            self._keep_encoded()
        records.append(Gap(stream=self.stream, seq=self._next(), at=at, chunks=chunks, bytes=size, reason=reason))
        return records

    def end(
        self,
        at: int,
        wait: int,
        how: How,
        error: ErrorInfo | None = None,
        *,
        url: str | None = None,
        phases: Phases | None = None,
        reused: bool | None = None,
        waited: int | None = None,
        held: int | None = None,
    ) -> list[StreamRecord]:
        """The end of the body, or of the attempt when there was no response; then `url` is the one asked."""
        told = self._status > 0 or url == self._url
        records = self._flush()
        summary = self._summary
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
                url=None if told or url is None else self._safe(url),
                error=error and replace(error, message=self._secrets.remove_from_url(error.message)),
                summary=summary.record(),
                split=split or None,
                phases=phases,
                reused=reused,
                waited=waited,
                held=held,
            )
        )
        return records

    def _expect(self, headers: dict[str, str], *, decoded: bool) -> None:
        """How the body is to be read."""
        parser = parser_for(headers)
        self._event_stream = parser is not None
        self._encoding_named = None if decoded else headers.get("content-encoding")
        decoder = decoder_for(self._encoding_named)
        if decoder is None:
            self._encoding = self._encoding_named
        else:
            self._decoder = decoder
            self._parser = parser

    def _safe(self, url: str) -> str:
        return self._secrets.remove_from_url(safe_url(url))

    def _next(self) -> int:
        seq = self._seq
        self._seq = seq + 1
        return seq

    def _flush(self) -> list[StreamRecord]:
        if self._parser is not None:
            return [self._block(block, last=True) for block in self._parser.flush()]
        whole = self._plain.whole
        pieces = self._plain.flush(reduce=self._encoding is None)
        if whole and pieces:
            self._summary.body(self._guard.redacted(pieces[0].wire)[0], self._status)
        return [self._piece(piece, last=piece is pieces[-1]) for piece in pieces]

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
        frame, raw, base64 = spelling(block, text)
        odd = {"text": text, "frame": frame, "raw": raw, "base64": base64, "id": block.id, "retry": block.retry}
        return replace(event, redacted=redacted, **odd)

    def _piece(self, piece: Piece, *, last: bool = False) -> Bytes:
        if piece.sha256 is None:
            return self._bytes(piece.wire, last=last)
        size = len(piece.wire)
        return replace(self._bytes(b"", size=size), size=size, sha256=piece.sha256)

    def _bytes(self, wire: bytes, *, last: bool = False, size: int | None = None) -> Bytes:
        """`last`: what is left at the end of the body, which may be the beginning of more. `size`: of what is not
        recorded of it."""
        at, wait, chunk, split = self._arrival(len(wire) if size is None else size)
        kept, _ = self._guard.redacted(self._guard.unfinished(wire) if last else wire)
        data, text, base64 = content(kept)
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
