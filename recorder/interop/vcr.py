"""Cassettes of vcrpy and pytest-recording, and those of VCR (Ruby), Betamax and go-vcr, in YAML or JSON.

A cassette has no times, and holds a body as one piece. Whether a body is still in its content-encoding differs
from tool to tool, whatever its headers say.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from typing import Any, cast

import msgspec
from msgspec import Struct

from .exchange import Exchange, Pairs
from .limits import Refused, check_items
from .plain_yaml import load
from .sse import reason_of


class _Request(Struct):
    method: str = "GET"
    uri: str | None = None
    url: str | None = None
    headers: dict[str, Any] | None = None
    body: Any = None


class _Response(Struct):
    status: Any = None
    code: Any = None
    status_code: Any = None
    headers: dict[str, Any] | None = None
    body: Any = None
    content: Any = None
    http_version: Any = None
    proto: Any = None


class _Interaction(Struct):
    request: _Request
    response: _Response


class _Cassette(Struct):
    interactions: list[_Interaction] | None = None
    http_interactions: list[_Interaction] | None = None


def read_vcr_json(data: bytes) -> list[Exchange]:
    """Raises Refused for what is no cassette."""
    check_items(data)
    try:
        return _exchanges(msgspec.json.decode(data, type=_Cassette))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _no_cassette(error) from None


def read_vcr_yaml(data: bytes) -> list[Exchange]:
    """Raises Refused for what is no cassette, or holds more than plain data."""
    loaded = load(data)
    try:
        return _exchanges(msgspec.convert(loaded, _Cassette))
    except msgspec.MsgspecError as error:
        raise _no_cassette(error) from None


def _no_cassette(error: Exception) -> Refused:
    return Refused(f"is no cassette: {str(error).partition(chr(10))[0]}")


def _exchanges(cassette: _Cassette) -> list[Exchange]:
    interactions = cassette.interactions
    if interactions is None:
        interactions = cassette.http_interactions
    if interactions is None:
        raise Refused("is no format that is known here: no server-sent events, no cassette, no HAR")
    return [_exchange(one.request, one.response) for one in interactions]


def _exchange(request: _Request, response: _Response) -> Exchange:
    proto = response.proto or response.http_version
    return Exchange(
        source="vcr",
        method=request.method.upper(),
        url=request.uri or request.url or "",
        headers=_pairs(request.headers),
        body=_bytes(request.body),
        status=_status(response),
        http=proto.removesuffix(".0") if isinstance(proto, str) and proto.startswith("HTTP/") else None,
        response_headers=_pairs(response.headers),
        answer=_bytes(response.body if response.body is not None else response.content),
    )


def _status(response: _Response) -> int:
    given = response.status
    if isinstance(given, dict):
        given = cast("dict[str, Any]", given).get("code")
    for code in (given, response.code, response.status_code):
        if isinstance(code, int) and 100 <= code <= 999:
            return code
    raise Refused("is no cassette: a response has no status")


def _pairs(headers: dict[str, Any] | None) -> Pairs:
    pairs: Pairs = []
    for name, value in (headers or {}).items():
        values = cast("list[Any]", value) if isinstance(value, list) else [value]
        pairs += [(name, str(one)) for one in values if isinstance(one, str | int)]
    return pairs


def _bytes(body: Any) -> bytes:
    """A body: text, bytes, or an object that says how it is spelt."""
    if isinstance(body, dict):
        fields = cast("dict[str, Any]", body)
        if isinstance(encoded := fields.get("base64_string"), str):
            try:
                return b64decode(encoded)
            except ValueError:
                raise Refused("is no cassette: a body's base64_string is no base64") from None
        body = fields.get("string")
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass")
    return body if isinstance(body, bytes) else b""


_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that YAML takes for line ends, or not at all, unescaped."""


def write_vcr(exchanges: Iterable[Exchange]) -> Iterator[bytes]:
    """A cassette as vcrpy writes it. Strings are quoted as in JSON, which YAML takes: no emitter is needed."""
    empty = True
    yield b"interactions:"
    for one in exchanges:
        empty = False
        status = f"{{code: {one.status}, message: {_quoted(reason_of(one.status or 0))}}}"
        lines = [
            "",
            "- request:",
            f"    body: {_body(one.body) if one.body else 'null'}",
            *_headers(one.headers),
            f"    method: {_quoted(one.method)}",
            f"    uri: {_quoted(one.url)}",
            "  response:",
            f"    body: {{string: {_body(one.answer)}}}",
            *_headers(one.response_headers),
            f"    status: {status}",
        ]
        yield "\n".join(lines).encode()
    yield b" []\nversion: 1\n" if empty else b"\nversion: 1\n"


def _headers(pairs: Pairs) -> list[str]:
    named: dict[str, list[str]] = {}
    for name, value in pairs:
        named.setdefault(name, []).append(value)
    lines = [f"      {_quoted(name)}: [{', '.join(map(_quoted, values))}]" for name, values in named.items()]
    return ["    headers:", *lines] if lines else ["    headers: {}"]


def _body(body: bytes) -> str:
    try:
        return _quoted(body.decode("utf-8"))
    except UnicodeDecodeError:
        return f'!!binary "{b64encode(body).decode()}"'


def _quoted(text: str) -> str:
    return _NOT_IN_YAML.sub(lambda one: f"\\u{ord(one[0]):04x}", json.dumps(text, ensure_ascii=False))
