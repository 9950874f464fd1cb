"""What `ant messages create --stream --format jsonl` prints: the payload of each event, one a line.

The bytes around the payloads are not in it: names of events are those of their payloads' types, as the API has it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from .exchange import Exchange
from .limits import Refused


class _Said(Struct):
    type: str


_decode = msgspec.json.Decoder(_Said).decode


def read_ant(data: bytes) -> list[Exchange]:
    """Each stream in the file begins with a `message_start`. Raises Refused for a line that is no event."""
    exchanges: list[Exchange] = []
    body: list[bytes] = []
    for number, line in _lines(data):
        kind = _kind(line, number)
        if kind == "message":
            exchanges.append(_exchange("application/json", line))
            continue
        if kind == "message_start" and body:
            exchanges.append(_exchange("text/event-stream", b"".join(body)))
            body = []
        body.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), line))
    if body:
        exchanges.append(_exchange("text/event-stream", b"".join(body)))
    return exchanges


def _exchange(kind: str, body: bytes) -> Exchange:
    return Exchange(
        source="ant",
        response_headers=[("content-type", kind)],
        answer=body,
        whole=kind == "application/json",
        missing=("request", "response", "spelling"),
    )


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(data.split(b"\n"), 1):
        if line := line.strip():
            yield number, line


def _kind(line: bytes, number: int) -> str:
    try:
        kind = _decode(line).type
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Refused(f"line {number} is no event: JSON with a type is expected in each line") from None
    if not kind.isprintable():
        raise Refused(f"line {number} is no event: its type is {kind[:40]!r}")
    return kind
