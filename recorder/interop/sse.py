"""Bodies of responses as curl leaves them: bare (`curl -N`), or behind their headers (`curl -i -N`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus

from .exchange import Exchange, Pairs
from .limits import Refused

_STATUS = re.compile(rb"HTTP/(\d(?:\.\d)?) (\d{3})(?: [^\r\n]*)?\r?\n")
_BLANK = re.compile(rb"\r?\n\r?\n")
_MAX_HEADERS = 1 << 18
_KNOWN = frozenset(map(int, HTTPStatus))


def read_sse(data: bytes) -> list[Exchange]:
    """The one answer that the file holds. Raises Refused for headers that are none."""
    if not data.lstrip(b"\r\n").startswith(b"HTTP/"):
        headers = [("content-type", "text/event-stream")]  # which is what it can be seen to be
        missing = ("request", "response")
        return [Exchange(source="sse", response_headers=headers, answer=data, whole=False, missing=missing)]
    version, status, headers, body = _answer(data.lstrip(b"\r\n"))
    kind = next((value for name, value in headers if name.lower() == "content-type"), "")
    return [
        Exchange(
            source="sse",
            status=status,
            http=f"HTTP/{version}",
            response_headers=headers,
            answer=body,
            whole="event-stream" not in kind and "eventstream" not in kind,
            missing=("request",),
        )
    ]


def _answer(data: bytes) -> tuple[str, int, Pairs, bytes]:
    """Version, status, headers and body of the last response: before it may stand a proxy's, and redirects."""
    while True:
        line, blank = _STATUS.match(data), _BLANK.search(data, 0, _MAX_HEADERS)
        if line is None or blank is None:
            raise Refused(
                "begins like an HTTP response and is none: there is no status line, or no end of headers"
            )
        block, data = data[line.end() : blank.start()], data[blank.end() :]
        if not (_STATUS.match(data) and line[2] != b"200") and not _is_tunnel(data, block):
            headers = [_pair(one) for one in block.decode("latin-1").splitlines() if ":" in one]
            return line[1].decode(), int(line[2]), headers, data


def _is_tunnel(rest: bytes, block: bytes) -> bool:
    """A proxy says 200 without headers, and the response follows."""
    return not block.strip() and _STATUS.match(rest) is not None


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def write_sse(one: Exchange) -> Iterator[bytes]:
    """The body, byte for byte."""
    yield one.answer


def write_http(one: Exchange) -> Iterator[bytes]:
    """Status, headers and body; nothing where there was no response."""
    if one.status is None:
        return
    yield f"{one.http or 'HTTP/1.1'} {one.status} {reason_of(one.status)}\r\n".encode()
    for name, value in one.response_headers:
        yield f"{name}: {value}\r\n".encode("latin-1", "replace")
    yield b"\r\n"
    yield one.answer


def reason_of(status: int) -> str:
    """What HTTP calls a status; nothing for one that it does not know."""
    return HTTPStatus(status).phrase if status in _KNOWN else ""
