"""asciicast v2: the text of a stream as a terminal session, each piece at the time at which it came.

Time begins at the send, so the wait for the first token is a wait here too. What is no text of the answer is dim.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from recorder.core.records import Event
from recorder.core.said import as_object, block_text, said
from recorder.core.visible import visible
from recorder.log.streams import Stream

from .limits import Refused

_WIDTH, _HEIGHT = 80, 24
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


def write_asciicast(stream: Stream) -> Iterator[bytes]:
    """A header and a line for each event that says something. Raises Refused where times are not known."""
    if "body" in stream.unknown:
        raise Refused(f"stream {stream.id}: nobody knows when its text came, so it cannot be played")
    header = {
        "version": 2,
        "width": _WIDTH,
        "height": _HEIGHT,
        "timestamp": stream.request.wall // 10**9,
        "title": f"stream {stream.id}",
    }
    yield _line(header)
    block: int | None = None
    written = False
    for at, kind, index, text in _pieces(stream):
        apart = "\r\n\r\n" if written and index != block else ""
        block, written = index, True
        shown = visible(text, keep="\n\t").replace("\n", "\r\n")
        yield _line([at / 1e9, "o", apart + (shown if kind == "text" else f"{_DIM}{shown}{_PLAIN}")])
    if stream.end is not None:
        yield _line([stream.end.at / 1e9, "o", "\r\n"])


def _pieces(stream: Stream) -> Iterator[tuple[int, str, int | None, str]]:
    """(at, kind, block, text)"""
    for record in stream.records:
        if isinstance(record, Event) and (one := said(record)).text:
            yield record.at, one.kind, one.block, one.text
    if not stream.events and stream.end is not None:  # a call that did not stream has its text all at once
        for n, part in enumerate((stream.message() or {}).get("content") or []):
            yield stream.end.at, "text", n, block_text(as_object(part))


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
