"""Recordings as scripts: the upstream answers with what was recorded, over real HTTP, in recorded timing.

`recorder.replay` answers below the SDK, in the process; this answers any client, at a URL:

    with Upstream(answer_from("recordings/")) as upstream:
        client = Anthropic(base_url=upstream.url, api_key="none")
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Literal

import httpx2

from recorder.core.records import Bytes
from recorder.log.reader import Problem, find_segments
from recorder.log.streams import Stream, read_streams
from recorder.replayer.match import Shelf, asked
from recorder.testing.connection import Received
from recorder.testing.reply import Ending, Reply, Step

Fault = Literal["cut", "reset", "hang"]
_HOP_BY_HOP = ("connection", "transfer-encoding")


def reply_of(stream: Stream, *, unknown_end: Ending = "cut") -> Reply:
    """What the server of a recorded stream did, as far as its client saw it: every chunk at its recorded time.

    A body that was read to its end ends; a failed one fails again so that the client sees an exception of the
    same class (a connection error as a reset, a timeout as silence). Where the recording knows no end, because
    the client closed the stream or its process died, the reply ends by `unknown_end`: a client that reads on
    fails there, unless told otherwise. An error response whose body the SDK left unread ends cleanly.

    Bodies are recorded decoded and are sent so, without `content-encoding`. Raises ValueError for a body that
    began to decode and then could not be: there is no telling what bytes the server sent.
    """
    response, end = stream.response, stream.end
    if response is None:
        return Reply.drop(_fault(stream), at=end.at if end else 0)
    if response.encoded is None and any(isinstance(record, Bytes) and record.encoded for record in stream.records):
        raise ValueError(f"stream {stream.id} of {stream.path}: its body could not be decoded; it has no script")
    steps = tuple(Step(at=chunk.at, data=chunk.data) for chunk in stream.chunks() if chunk.data)
    ending = _ending(stream, unknown_end)
    return Reply(
        status=response.status,
        headers=_headers(stream, sum(len(step.data) for step in steps), ending),
        steps=steps,
        headers_at=response.at,
        end=ending,
        end_at=end.at if end else None,
    )


def answer_from(path: str | os.PathLike[str], *, repeat: bool = True) -> Callable[[Received], Reply]:
    """An `answer` for `Upstream`: to each request, the reply to the equal request in the recordings at `path`.

    Requests are matched as `recorder.replay` does it. With `repeat` every stream is served any number of times, in
    turn; else once. What cannot be read in the recordings is left out with a warning. The answer raises
    NoMatch for a request that was not recorded. Raises RecordingError when the recordings cannot be read.
    """
    shelf = Shelf(read_streams(find_segments(os.fspath(path)), report=_warn), os.fspath(path), repeat=repeat)

    def answer(received: Received) -> Reply:
        request = httpx2.Request(
            received.method,
            f"http://upstream{received.target}",
            headers=received.headers,
            content=received.body,
        )
        return reply_of(shelf.take(asked(request)))

    return answer


def _warn(problem: Problem) -> None:
    warnings.warn(str(problem), stacklevel=2)


def _ending(stream: Stream, unknown_end: Ending) -> Ending:
    end, response = stream.end, stream.response
    if end is None:
        return unknown_end
    if end.end == "failed":
        return _fault(stream)
    refused = response is not None and response.status >= 400
    said_all = end.complete or any(event.event == "error" for event in stream.events)
    return "read" if end.end == "read" or refused or said_all else unknown_end


def _fault(stream: Stream) -> Fault:
    """The fault that makes httpx2 raise what was recorded."""
    end = stream.end
    name = end.error.type.rpartition(".")[2] if end is not None and end.error is not None else ""
    if name.endswith("Timeout"):
        return "hang"
    return "cut" if name == "RemoteProtocolError" or not name else "reset"


def _headers(stream: Stream, length: int, ending: Ending) -> dict[str, str]:
    """As recorded, but for those that say how the body travels: it may travel otherwise now."""
    assert stream.response is not None
    headers = {name: value for name, value in stream.response.headers.items() if name not in _HOP_BY_HOP}
    if stream.response.encoded is None and headers.pop("content-encoding", None):
        headers.pop("content-length", None)
    declared = headers.get("content-length", "")
    fits = declared.isdecimal() and (int(declared) == length or (ending != "read" and int(declared) > length))
    if declared and not fits:
        del headers["content-length"]
    return headers
