"""The httpx2 transport that answers from a recording: same status, headers, bytes, chunks and exceptions."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import NamedTuple

import httpx2

from recorder.core.records import Bytes, ErrorInfo, Event, Gap
from recorder.core.wire import Chunk
from recorder.log.streams import Stream

from .errors import EndOfRecording
from .schedule import Pace, sleep_until, sleep_until_async

Answer = Callable[[httpx2.Request], tuple[Stream, Pace]]


class ReplayTransport(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """Answers each request with the stream that `answer` gives, at the pace that it gives."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = time.perf_counter_ns()
        stream, pace = self._answer(request)
        if stream.response is None:
            _wait(pace, sent, stream.end.at if stream.end else 0)
            raise _failure(stream, request)
        _wait(pace, sent, stream.response.at)
        return _response(stream, _SyncBody(stream, pace, sent, request), instant=pace.instant)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = time.perf_counter_ns()
        stream, pace = self._answer(request)
        if stream.response is None:
            await _wait_async(pace, sent, stream.end.at if stream.end else 0)
            raise _failure(stream, request)
        await _wait_async(pace, sent, stream.response.at)
        return _response(stream, _AsyncBody(stream, pace, sent, request), instant=pace.instant)


class _SyncBody(httpx2.SyncByteStream):
    def __init__(self, stream: Stream, pace: Pace, sent: int, request: httpx2.Request) -> None:
        self._stream, self._pace, self._sent, self._request = stream, pace, sent, request

    def __iter__(self) -> Iterator[bytes]:
        pace, sent = self._pace, self._sent
        chunks, ended, error = _body(self._stream, self._request)
        for chunk in chunks:
            if not pace.instant:
                _wait(pace, sent, chunk.at)
            yield chunk.data
        _wait(pace, sent, ended)
        if error is not None:
            raise error


class _AsyncBody(httpx2.AsyncByteStream):
    def __init__(self, stream: Stream, pace: Pace, sent: int, request: httpx2.Request) -> None:
        self._stream, self._pace, self._sent, self._request = stream, pace, sent, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pace, sent = self._pace, self._sent
        chunks, ended, error = _body(self._stream, self._request)
        for chunk in chunks:
            if not pace.instant:
                await _wait_async(pace, sent, chunk.at)
            yield chunk.data
        await _wait_async(pace, sent, ended)
        if error is not None:
            raise error


def _wait(pace: Pace, sent: int, at: int) -> None:
    if not pace.instant:
        sleep_until(sent + pace.due(at))


async def _wait_async(pace: Pace, sent: int, at: int) -> None:
    if not pace.instant:
        await sleep_until_async(sent + pace.due(at))


def _response(
    stream: Stream, body: httpx2.SyncByteStream | httpx2.AsyncByteStream, *, instant: bool
) -> httpx2.Response:
    recorded = stream.response
    assert recorded is not None
    headers = dict(recorded.headers)
    if recorded.encoded is None and headers.pop("content-encoding", None):
        headers.pop("content-length", None)  # the recorded body is decoded
    if instant and recorded.status >= 400:
        # The one way to keep the SDK from sleeping before a retry; it takes this header before `retry-after`.
        headers["retry-after-ms"] = "0.001"
    version = (recorded.http or "HTTP/1.1").encode("ascii")
    return httpx2.Response(recorded.status, headers=headers, stream=body, extensions={"http_version": version})


def _body(stream: Stream, request: httpx2.Request) -> tuple[list[Chunk], int, Exception | None]:
    """What is served: the chunks, when it ends (ns), and the exception that the recorded client saw then.

    Chunks that decoded to nothing are not chunks of this body. A body that stopped making sense breaks there.
    """
    chunks, end, response = stream.chunks(), stream.end, stream.response
    ended = end.at if end is not None else 0
    error: Exception | None = None
    broken = next((record for record in stream.records if isinstance(record, Bytes) and record.encoded), None)
    if broken is not None and response is not None and response.encoded is None:
        chunks = chunks[: broken.chunk]
        error = httpx2.DecodingError("the recorded body cannot be decoded from here on", request=request)
    elif (hole := _hole(stream)) is not None:
        chunks = chunks[: hole.whole_chunks]
        error = EndOfRecording(f"stream {stream.id} of {stream.path}: {hole.what} not recorded from here on")
    elif end is None or (end.end != "read" and not (end.end == "closed" and end.complete)):
        error = _failure(stream, request)
    if end is not None and end.end == "closed" and response is not None and response.status >= 400:
        error = None  # the SDK does not read the body of an error that it retries; one that reads it sees its end
    return [chunk for chunk in chunks if chunk.data], ended, error


class _Hole(NamedTuple):
    whole_chunks: int
    what: str


def _hole(stream: Stream) -> _Hole | None:
    """Where chunks or records of the stream are missing: what was served from there on would be made up."""
    chunk, seq = -1, 0
    for record in stream.records:
        if isinstance(record, Gap):
            return _Hole(chunk + 1, f"{record.chunks} chunks were")
        if record.seq != seq:
            return _Hole(chunk + 1, f"records {seq} to {record.seq - 1} were")
        seq = record.seq + 1
        chunk = record.chunk if isinstance(record, Event | Bytes) else chunk
    return None


def _failure(stream: Stream, request: httpx2.Request) -> Exception:
    end = stream.end
    if end is not None and end.end == "failed" and end.error is not None:
        return transport_error(end.error, request)
    why = "its process died here" if end is None else "the recorded client closed it here"
    return EndOfRecording(
        f"stream {stream.id} of {stream.path}: the recording ends after {len(stream.events)} events: {why}"
    )


def transport_error(error: ErrorInfo, request: httpx2.Request) -> httpx2.TransportError:
    """The httpx2 exception that was recorded, of the same class and with the same message."""
    kind = getattr(httpx2, error.type.rpartition(".")[2], None)
    if not (isinstance(kind, type) and issubclass(kind, httpx2.TransportError)):
        return httpx2.TransportError(f"{error.type}: {error.message}", request=request)
    return kind(error.message, request=request)
