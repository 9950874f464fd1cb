"""Before the headers, and how the connection ends."""

from __future__ import annotations

from random import Random
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ..script import READ, Ending, How, Script, piece
from .place import At, offset_of, split_at
from .spec import Seconds, fault, headers_of

NS = 1_000_000_000
Status = Literal[400, 401, 403, 404, 413, 429, 500, 504, 529]
ERROR_TYPES: dict[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


@fault
def refuse(_script: Script, _: Random, *, after: Seconds = 0) -> Script:
    """The connection is refused. (A server cannot refuse one connection: over HTTP it is reset.)"""
    return _no_response("refused", after)


@fault
def status(
    _script: Script,
    _: Random,
    *,
    code: Status,
    type: str = "",  # noqa: A002 - the API's own word
    message: str = "injected by a fault",
    retry_after: Annotated[float, Meta(ge=0, le=86_400)] | None = None,
    headers: str = "",
    after: Seconds = 0,
) -> Script:
    """An error response with Claude's error body. `headers`: `name: value; name: value`."""
    return error_response(code, type, message, retry_after=retry_after, headers=headers, after=after)


@fault
def reset(script: Script, _: Random, *, at: At = "start", after: Seconds = 0) -> Script:
    """The peer resets the connection: at `start` before any response, else at a place in the body."""
    return _no_response("reset", after) if at == "start" else broken_at(script, at, Ending("reset"), after=after)


@fault
def hang(script: Script, _: Random, *, at: At = "start") -> Script:
    """Nothing more comes, and the connection stays open: from the `start`, or from a place in the body on."""
    return _no_response("hang", 0) if at == "start" else broken_at(script, at, Ending("hang"))


@fault
def cut_clean(script: Script, _: Random, *, at: At) -> Script:
    """The body ends properly, but too early: HTTP has no complaint, and the SDK raises nothing."""
    return broken_at(script, at, READ)


@fault
def cut_dirty(script: Script, _: Random, *, at: At) -> Script:
    """The connection closes in the middle of the body, as when a proxy or a server restarts."""
    return broken_at(script, at, Ending("cut"))


@fault
def slow_close(script: Script, _: Random, *, seconds: Seconds) -> Script:
    """All is said, but the body ends only so much later."""
    last = max((chunk.at for chunk in script.pieces), default=script.end_at)
    end_at = max(last, script.end_at) + int(seconds * NS)
    return msgspec.structs.replace(script, end_at=end_at, timed=True)


def broken_at(script: Script, at: At, ending: Ending, *, after: float = 0) -> Script:
    """Ends so where the event at that place would begin. The script itself when it has no such place."""
    offset = None if script.headers_at is None else offset_of(script, at)
    if offset is None:
        return script
    before, rest = split_at(script, offset)
    due = rest[0].at if rest else script.end_at
    headers = script.headers
    if ending.how == "read":
        headers = {name: value for name, value in headers.items() if name != "content-length"}
    return msgspec.structs.replace(
        script, pieces=tuple(before), headers=headers, ending=ending, end_at=due + int(after * NS)
    )


def error_response(
    code: int,
    type: str = "",  # noqa: A002 - the API's own word
    message: str = "injected by a fault",
    *,
    retry_after: float | None = None,
    headers: str = "",
    after: float = 0,
) -> Script:
    """Claude's error body."""
    error = {"type": type or ERROR_TYPES[code], "message": message}
    body = msgspec.json.encode({"type": "error", "error": error, "request_id": None})
    sent = {"content-type": "application/json", "content-length": str(len(body))}
    if retry_after is not None:
        sent["retry-after"] = f"{retry_after:g}"
    sent |= headers_of(headers)
    at = int(after * NS)
    return Script(headers_at=at, status=code, headers=sent, pieces=(piece(at, body),), end_at=at)


def _no_response(how: How, after: float) -> Script:
    return Script(headers_at=None, ending=Ending(how), end_at=int(after * NS))
