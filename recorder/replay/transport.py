"""The httpx2 transport that answers from a recording: same status, headers, bytes, chunks and exceptions."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator

import httpx2

from recorder.core.records import Bytes, ErrorInfo
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
        return _response(stream, _SyncBody(stream, pace, sent, request), instant=pace.due(0) is None)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = time.perf_counter_ns()
        stream, pace = self._answer(request)
        if stream.response is None:
            await _wait_async(pace, sent, stream.end.at if stream.end else 0)
            raise _failure(stream, request)
        await _wait_async(pace, sent, stream.response.at)
        return _response(stream, _AsyncBody(stream, pace, sent, request), instant=pace.due(0) is None)


class _SyncBody(httpx2.SyncByteStream):
    def __init__(self, stream: Stream, pace: Pace, sent: int, request: httpx2.Request) -> None:
        self._stream, self._pace, self._sent, self._request = stream, pace, sent, request

    def __iter__(self) -> Iterator[bytes]:
        for chunk in _chunks(self._stream):
            _wait(self._pace, self._sent, chunk.at)
            yield chunk.data
        end = self._stream.end
        _wait(self._pace, self._sent, end.at if end else 0)
        if error := _ending(self._stream, self._request):
            raise error


class _AsyncBody(httpx2.AsyncByteStream):
    def __init__(self, stream: Stream, pace: Pace, sent: int, request: httpx2.Request) -> None:
        self._stream, self._pace, self._sent, self._request = stream, pace, sent, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in _chunks(self._stream):
            await _wait_async(self._pace, self._sent, chunk.at)
            yield chunk.data
        end = self._stream.end
        await _wait_async(self._pace, self._sent, end.at if end else 0)
        if error := _ending(self._stream, self._request):
            raise error


def _wait(pace: Pace, sent: int, at: int) -> None:
    if (due := pace.due(at)) is not None:
        sleep_until(sent + due)


async def _wait_async(pace: Pace, sent: int, at: int) -> None:
    if (due := pace.due(at)) is not None:
        await sleep_until_async(sent + due)


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


def _chunks(stream: Stream) -> list[Chunk]:
    """What is served: chunks that decoded to nothing are not chunks of this body."""
    return (
        [chunk for chunk in stream.chunks() if chunk.data] if _undecodable(stream) is None else _decodable(stream)
    )


def _undecodable(stream: Stream) -> Bytes | None:
    """The record from which on the body could not be decoded, where it began well."""
    if stream.response is None or stream.response.encoded is not None:
        return None
    return next((record for record in stream.records if isinstance(record, Bytes) and record.encoded), None)


def _decodable(stream: Stream) -> list[Chunk]:
    broken = _undecodable(stream)
    assert broken is not None
    return [chunk for chunk in stream.chunks() if chunk.data][: broken.chunk]


def _ending(stream: Stream, request: httpx2.Request) -> Exception | None:
    """What the recorded client saw after the last chunk; None for a body that just ended."""
    if _undecodable(stream) is not None:
        return httpx2.DecodingError("the recorded body cannot be decoded from here on", request=request)
    end, response = stream.end, stream.response
    if end is not None and end.end == "read":
        return None
    if end is not None and end.end == "closed" and response is not None and response.status >= 400:
        return None  # the SDK does not read the body of an error that it retries; one that reads it sees its end
    return _failure(stream, request)


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
