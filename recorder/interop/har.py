"""HAR 1.2, as browsers and proxies write it.

It has the time of the request, of the headers and of the end, but not when the pieces of a body came. Tools that
buffer a body say that receiving it took no time: then the time of the headers is not known either.
"""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast, get_args

import msgspec
from msgspec import Struct, field

from recorder.core.records import ErrorInfo, Missing, Phases, Span
from recorder.version import __version__

from .exchange import Exchange, Pairs
from .limits import Refused, check_items
from .sse import reason_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMINGS = ("blocked", "dns", "connect", "ssl", "send", "wait", "receive")
_LONGEST_MS = 1e11
"""Three years: what is longer is no time that anything took."""


class _Pair(Struct):
    name: str
    value: str = ""


class _PostData(Struct):
    text: str | None = None


class _Request(Struct):
    method: str
    url: str
    headers: list[_Pair] = []
    postData: _PostData | None = None  # noqa: N815 - as HAR spells it


class _Content(Struct):
    text: str | None = None
    encoding: str | None = None
    mimeType: str | None = None  # noqa: N815
    size: int | float | None = None


class _Response(Struct):
    status: int
    headers: list[_Pair] = []
    content: _Content = field(default_factory=_Content)
    httpVersion: str | None = None  # noqa: N815
    error: str | None = field(default=None, name="_error")


class _Entry(Struct):
    request: _Request
    response: _Response
    startedDateTime: str | None = None  # noqa: N815
    time: float | None = None
    timings: dict[str, Any] | None = None
    unknown: list[str] = field(default_factory=list[str], name="_unknown")
    """In our own: what of this is there because HAR wants something there."""


class _Log(Struct):
    entries: list[_Entry]


class _Har(Struct):
    log: _Log


def read_har(data: bytes) -> list[Exchange]:
    """Entries whose body the tool did not keep are left out. Raises Refused for what is no HAR."""
    check_items(data)
    try:
        entries = msgspec.json.decode(data, type=_Har).log.entries
        return [_exchange(entry) for entry in entries if _has_body(entry)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(f"is no HAR: {str(error).partition(chr(10))[0]}") from None


def _has_body(entry: _Entry) -> bool:
    content = entry.response.content
    return content.text is not None or not content.size or content.size < 0


def _exchange(entry: _Entry) -> Exchange:
    request, response = entry.request, entry.response
    headers = _pairs(response.headers)
    if response.content.mimeType and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("content-type", response.content.mimeType))
    total = None if "end" in entry.unknown else _ns(entry.time)
    headers_at, phases = (None, None) if "headers" in entry.unknown else _phases(entry.timings or {})
    http = (response.httpVersion or "").upper().removesuffix(".0").replace("H2", "HTTP/2").replace("H3", "HTTP/3")
    return Exchange(
        source="har",
        method=request.method.upper(),
        url=request.url,
        headers=_pairs(request.headers),
        body=(request.postData.text or "").encode("utf-8", "surrogatepass") if request.postData else b"",
        status=response.status if 100 <= response.status <= 999 else None,
        http=http if http.startswith("HTTP/") else None,
        response_headers=headers,
        answer=_body(response.content),
        wall=None if "wall" in entry.unknown else _wall(entry.startedDateTime),
        headers_at=headers_at,
        end_at=total,
        phases=phases,
        error=_error(response),
        missing=tuple(cast("Missing", one) for one in entry.unknown if one in _KEPT),
    )


_KEPT = {*get_args(Missing)} - {"wall", "headers", "body", "end"}


def _error(response: _Response) -> ErrorInfo | None:
    if response.error is None and 100 <= response.status <= 999:
        return None
    kind, colon, message = (response.error or "no response").partition(": ")
    return ErrorInfo(type=kind, message=message) if colon else ErrorInfo(type="har", message=kind)


def _pairs(headers: list[_Pair]) -> Pairs:
    return [(one.name, one.value) for one in headers if not one.name.startswith(":")]  # HTTP/2's own


def _body(content: _Content) -> bytes:
    text = content.text or ""
    if content.encoding != "base64":
        return text.encode("utf-8", "surrogatepass")
    try:
        return b64decode(text)
    except ValueError:
        raise Refused("is no HAR: a body that is said to be base64 is none") from None


def _wall(text: str | None) -> int | None:
    try:
        when = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    if when.tzinfo is None:
        return None
    return (when - _EPOCH) // timedelta(microseconds=1) * 1000


def _ns(ms: object) -> int | None:
    """None: HAR's -1, or no time at all."""
    if isinstance(ms, bool) or not isinstance(ms, int | float) or not math.isfinite(ms):
        return None
    return round(ms * 1e6) if 0 <= ms <= _LONGEST_MS else None


def _phases(timings: dict[str, Any]) -> tuple[int | None, Phases | None]:
    """When the headers had come, and what happened before."""
    spent = {name: _ns(timings.get(name)) for name in _TIMINGS}
    if not spent["receive"] or spent["wait"] is None or spent["send"] is None:
        return None, None
    at = spent["blocked"] or 0
    connected: dict[str, Span] = {}
    if spent["connect"] is not None:
        began, at = at, at + (spent["dns"] or 0) + spent["connect"]  # `connect` has the TLS in it
        tls = spent["ssl"] or 0
        connected["connect"] = (began, at - tls)
        if spent["ssl"] is not None:
            connected["tls"] = (at - tls, at)
    else:
        at += spent["dns"] or 0
    sent = at + spent["send"]
    headers = sent + spent["wait"]
    return headers, Phases(**connected, send=(at, sent), headers=(sent, headers))


def write_har(exchanges: Iterable[Exchange]) -> Iterator[bytes]:
    """A HAR, entry by entry."""
    creator = msgspec.json.encode({"name": "sse-recorder", "version": __version__})
    yield b'{"log":{"version":"1.2","creator":%b,"entries":[' % creator
    for number, one in enumerate(exchanges):
        yield (b",\n" if number else b"\n") + msgspec.json.encode(_entry(one))
    yield b"\n]}}\n"


def _entry(one: Exchange) -> dict[str, Any]:
    end = one.end_at if one.end_at is not None else one.headers_at or 0
    when = _EPOCH + timedelta(microseconds=(one.wall or 0) // 1000)
    unknown = [name for name in one.unknown if name != "body"]  # of which no HAR says anything
    entry: dict[str, Any] = {
        "startedDateTime": when.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "time": end / 1e6,
        "request": {
            "method": one.method,
            "url": one.url,
            "httpVersion": one.http or "",
            "cookies": [],
            "headers": _named(one.headers),
            "queryString": [],
            "headersSize": -1,
            "bodySize": len(one.body),
            **_post_data(one),
        },
        "response": _response(one),
        "cache": {},
        "timings": _timings(one, end),
    }
    return {**entry, "_unknown": unknown} if unknown else entry


def _post_data(one: Exchange) -> dict[str, Any]:
    if not one.body:
        return {}
    kind = next((value for name, value in one.headers if name == "content-type"), "application/json")
    return {"postData": {"mimeType": kind, "text": one.body.decode("utf-8", "replace")}}


def _response(one: Exchange) -> dict[str, Any]:
    kind = next((value for name, value in one.response_headers if name == "content-type"), "")
    content: dict[str, Any] = {"size": len(one.answer), "mimeType": kind}
    try:
        content["text"] = one.answer.decode("utf-8")
    except UnicodeDecodeError:
        content |= {"text": b64encode(one.answer).decode(), "encoding": "base64"}
    response: dict[str, Any] = {
        "status": one.status or 0,
        "statusText": reason_of(one.status or 0),
        "httpVersion": one.http or "",
        "cookies": [],
        "headers": _named(one.response_headers),
        "content": content,
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": len(one.answer),
    }
    if one.error is not None:
        response["_error"] = f"{one.error.type}: {one.error.message}"
    return response


def _named(pairs: Pairs) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _timings(one: Exchange, end: int) -> dict[str, float]:
    """ms, which add up to the whole; -1 for what did not happen, or is not known."""
    if one.headers_at is None:
        return {"send": 0, "wait": end / 1e6, "receive": 0}
    phases = one.phases or Phases()
    connect = phases.connect or phases.tls
    connected = (phases.tls or connect or (0, 0))[1] if connect else 0
    sent = phases.send[1] if phases.send else connected
    timings: dict[str, float] = {
        "blocked": (connect[0] if connect else 0) / 1e6,
        "dns": -1,
        "connect": (connected - connect[0]) / 1e6 if connect else -1,
        "ssl": (phases.tls[1] - phases.tls[0]) / 1e6 if phases.tls else -1,
        "send": max(0, sent - connected) / 1e6,
        "wait": max(0, one.headers_at - sent) / 1e6,
        "receive": max(0, end - one.headers_at) / 1e6,
    }
    return timings
