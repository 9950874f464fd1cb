"""Recordings as scripts: the upstream answers with what was recorded, over real HTTP, in recorded timing.

`recorder.replay` answers below the SDK, in the process; this answers any client, at a URL:

    with Upstream(answer_from("recordings/")) as upstream:
        client = Anthropic(base_url=upstream.url, api_key="none")
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable

import httpx2

from recorder.log.reader import Problem, find_segments
from recorder.log.streams import Stream, read_streams
from recorder.replayer.match import Shelf
from recorder.replayer.script import Script, script_of
from recorder.testing.connection import Received
from recorder.testing.reply import Ending, Reply, Step

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
    script = script_of(stream)
    if script.ending.how == "undecodable":
        raise ValueError(f"stream {stream.id} of {stream.path}: its body could not be decoded; it has no script")
    return reply_from(script, unknown_end=unknown_end)


def reply_from(script: Script, *, unknown_end: Ending = "cut") -> Reply:
    """The script as a reply of the upstream. A server cannot refuse one connection: `refused` is a reset here."""
    ending: Ending = "cut"
    match script.ending.how:
        case "read" | "cut" | "reset" | "hang" as known:
            ending = known
        case "refused":
            ending = "reset"
        case "unknown" | "undecodable":
            ending = unknown_end if script.headers_at is not None else "cut"
    if script.headers_at is None:
        return Reply(headers=(), headers_at=None, end=ending, end_at=script.end_at)
    return Reply(
        status=script.status,
        headers=_headers(script, ending),
        steps=tuple(Step(at=piece.at, data=piece.data) for piece in script.pieces),
        headers_at=script.headers_at,
        end=ending,
        end_at=script.end_at or None,
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
        return reply_of(shelf.take(request))

    return answer


def _warn(problem: Problem) -> None:
    warnings.warn(str(problem), stacklevel=2)


def _headers(script: Script, ending: Ending) -> dict[str, str]:
    """As recorded, but for those that say how the body travels: it may travel otherwise now."""
    headers = {name: value for name, value in script.headers.items() if name not in _HOP_BY_HOP}
    length = sum(len(piece.data) for piece in script.pieces)
    declared = headers.get("content-length", "")
    fits = declared.isdecimal() and (int(declared) == length or (ending != "read" and int(declared) > length))
    if declared and not fits:
        del headers["content-length"]
    return headers
