"""What is served of one attempt, as a pure value: status, headers, chunks with their times, and the ending.

`script_of` makes it from a recorded stream. The transport in the process and the server on the loopback both
play it, so a fault is applied once, to the value, and is the same in both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct

from recorder.core.records import Bytes, ErrorInfo, Event, Gap
from recorder.core.wire import Chunk
from recorder.log.streams import Stream

_HOP_BY_HOP = ("connection", "transfer-encoding")
How = Literal["read", "cut", "reset", "hang", "refused", "unknown", "undecodable"]


def piece(at: int, data: bytes) -> Chunk:
    """Body bytes that are delivered together, at `at` ns from the send. How long somebody waited is not served."""
    return Chunk(at, 0, data)


class Ending(Struct, frozen=True):
    """How it ends: `read` cleanly; `cut`, `reset`, `hang` or `refused` by the connection; `unknown` because the
    recording goes no further; `undecodable` because the recorded body made no sense from here on.

    `error`: the exception that the recorded client saw, or why the end is not known. Without one it is what
    httpx2 raises for such an ending.
    """

    how: How
    error: ErrorInfo | None = None


READ = Ending("read")


class Script(Struct, frozen=True, kw_only=True):
    """One answer. Without `headers_at` the ending comes before any response."""

    headers_at: int | None
    """ns; when the status line and the headers come."""
    status: int = 200
    headers: dict[str, str] = {}
    http: str = "HTTP/1.1"
    pieces: tuple[Chunk, ...] = ()
    """What is delivered together, as recorded or made by `piece`; none is empty."""
    ending: Ending = READ
    end_at: int = 0
    """ns; never effective before the last piece."""
    encoded: bool = False
    """The body is in a content-encoding that could not be decoded: there are no events in it."""
    timed: bool = False
    """A fault has changed times: how long the client waits for a read is held against its own timeout."""

    def body(self) -> bytes:
        return b"".join(one.data for one in self.pieces)

    def sent_headers(self, *, whole: bool) -> dict[str, str]:
        """As recorded, but for those that say how the body travels: over a socket it may travel otherwise now.

        `whole`: the body ends cleanly, so it must have the length that is declared.
        """
        headers = {name: value for name, value in self.headers.items() if name not in _HOP_BY_HOP}
        length = sum(len(piece.data) for piece in self.pieces)
        declared = headers.get("content-length", "")
        fits = declared.isdecimal() and (int(declared) == length or (not whole and int(declared) > length))
        if declared and not fits:
            del headers["content-length"]
        return headers

    def retimed(self, due: Callable[[int], int]) -> Script:
        """The same, each time mapped by `due`."""
        return msgspec.structs.replace(
            self,
            headers_at=None if self.headers_at is None else due(self.headers_at),
            pieces=tuple(piece(due(one.at), one.data) for one in self.pieces),
            end_at=due(self.end_at),
        )


def script_of(stream: Stream) -> Script:
    """What the server of a recorded stream did, as far as its client saw it.

    Chunks that decoded to nothing are not chunks of this body. A body that stopped making sense breaks there.
    """
    response, end = stream.response, stream.end
    end_at = end.at if end is not None else 0
    if response is None:
        return Script(headers_at=None, ending=_failure(stream), end_at=end_at)
    chunks, ending = stream.chunks(), READ
    broken = next((record for record in stream.records if type(record) is Bytes and record.encoded), None)
    if broken is not None and response.encoded is None:
        chunks = chunks[: broken.chunk]
        ending = Ending("undecodable")
    elif (hole := _hole(stream)) is not None:
        chunks = chunks[: hole.whole_chunks]
        ending = _unknown(f"stream {stream.id} of {stream.path}: {hole.what} not recorded from here on")
    elif not _said_all(stream):
        ending = _failure(stream)
    if end is not None and end.end == "closed" and response.status >= 400:
        ending = READ  # the SDK does not read the body of an error that it retries; one that reads it sees its end
    headers = dict(response.headers)
    if response.encoded is None and headers.pop("content-encoding", None):
        headers.pop("content-length", None)  # the recorded body is decoded
    return Script(
        headers_at=response.at,
        status=response.status,
        headers=headers,
        http=response.http or "HTTP/1.1",
        pieces=tuple([chunk for chunk in chunks if chunk.data]),
        ending=ending,
        end_at=end_at,
        encoded=response.encoded is not None,
    )


def at_once(stream: Stream) -> Script:
    """The same with nothing to wait for: what faults do to its times is all that there is to them."""
    return script_of(stream).retimed(lambda _: 0)


def _said_all(stream: Stream) -> bool:
    """The client read to the end of the body, or stopped when there was no more to come."""
    end = stream.end
    if end is None or end.end == "failed":
        return False
    return end.end == "read" or end.complete or any(event.event == "error" for event in stream.events)


class _Hole(NamedTuple):
    whole_chunks: int
    what: str


def _hole(stream: Stream) -> _Hole | None:
    """Where chunks or records of the stream are missing: what was served from there on would be made up."""
    chunk, seq = -1, 0
    for record in stream.records:
        if type(record) is Gap:
            return _Hole(chunk + 1, f"{record.chunks} chunks were")
        if record.seq != seq:
            return _Hole(chunk + 1, f"records {seq} to {record.seq - 1} were")
        seq = record.seq + 1
        if type(record) is Event or type(record) is Bytes:
            chunk = record.chunk
    return None


def _failure(stream: Stream) -> Ending:
    end = stream.end
    if end is not None and end.end == "failed" and end.error is not None:
        return Ending(_fault_of(end.error), end.error)
    why = "its process died here" if end is None else "the recorded client closed it here"
    return _unknown(
        f"stream {stream.id} of {stream.path}: the recording ends after {len(stream.events)} events: {why}"
    )


def _fault_of(error: ErrorInfo) -> Literal["cut", "reset", "hang"]:
    """The fault that makes httpx2 raise what was recorded."""
    name = error.type.rpartition(".")[2]
    if name.endswith("Timeout"):
        return "hang"
    return "cut" if name == "RemoteProtocolError" else "reset"


def _unknown(why: str) -> Ending:
    return Ending("unknown", ErrorInfo(type="EndOfRecording", message=why))
