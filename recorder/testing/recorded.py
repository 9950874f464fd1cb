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
from recorder.replayer.asked import asked
from recorder.replayer.faults.inject import Faults, Injector, Served
from recorder.replayer.match import Shelf
from recorder.replayer.script import Script, at_once, script_of
from recorder.testing.connection import Received
from recorder.testing.reply import Ending, Reply, Step


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
        headers=script.sent_headers(whole=ending == "read"),
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
    take = taker(path, repeat=repeat)
    return lambda received: reply_of(take(request_of(received)))


class FaultyAnswers:
    """Answers under faults, at once where no fault delays them: `Upstream(answers, on_end=answers.over)`.

    `take` gives the stream that answers a request: see `taker`. Raises FaultError for a text that is no fault.
    """

    def __init__(self, take: Callable[[httpx2.Request], Stream], faults: Faults | None) -> None:
        self._take = take
        self._injector = Injector(faults, instant=False)
        self._open: dict[int, Served] = {}

    @property
    def served(self) -> list[Served]:
        """Every attempt so far, in the order in which they came."""
        return self._injector.served

    def __call__(self, received: Received) -> Reply:
        request = request_of(received)
        served = self._injector.serve(asked(request).fingerprint(), lambda: self._take(request), at_once)
        self._open[id(received)] = served  # the upstream keeps it, so the id is its own
        return reply_from(served.script)

    def over(self, received: Received, by_client: bool) -> None:
        """The reply to a request is over."""
        if served := self._open.pop(id(received), None):
            served.gone(by_client=by_client)


def taker(path: str | os.PathLike[str], *, repeat: bool = True) -> Callable[[httpx2.Request], Stream]:
    """Gives the recorded stream that answers a request, as `answer_from` does."""
    shelf = Shelf(read_streams(find_segments(os.fspath(path)), report=_warn), os.fspath(path), repeat=repeat)
    return lambda request: shelf.take(asked(request))


def request_of(received: Received) -> httpx2.Request:
    url = f"http://upstream{received.target}"
    return httpx2.Request(received.method, url, headers=received.headers, content=received.body)


def _warn(problem: Problem) -> None:
    warnings.warn(str(problem), stacklevel=2)
