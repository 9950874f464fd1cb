"""Recordings to draw: every way to end, several models and days, and texts that would harm a page that trusts them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recorder.core.records import Record
from recorder.report.data import Recorded, gather
from tests.cli.recordings import (
    STOP,
    block_start,
    block_stop,
    delta,
    every_kind,
    message_delta,
    message_start,
    sse,
    stream,
    text,
    text_chunks,
    thinking,
    tool,
    write,
)  # fmt: skip

MARKUP = "</script><script>window.owned=1</script><img src=x onerror='window.owned=1'>"
BIDI = "left \u202eright\u2066 \u200fto left"
HALVES = ("\ud83d", "\ude00")
LONG = "x" * (1 << 20)
HOSTILE = "ba3e000000000001"


def hostile(stream_id: str = HOSTILE, **options: Any) -> list[Record]:
    """Markup, turned direction, an emoji split over two deltas, and a line of 1 MiB."""
    head = [message_start(f"model {MARKUP}"), block_start(0, type="text", text="")]
    chunks = [
        (300, 20, sse(*head)),
        (400, 90, sse(delta(0, "text_delta", text=MARKUP))),
        (500, 90, sse(delta(0, "text_delta", text=BIDI))),
        (600, 90, halved(HALVES[0])),
        (700, 90, halved(HALVES[1])),
        (900, 90, sse(delta(0, "text_delta", text=LONG))),
        (1000, 90, sse(block_stop(0), message_delta(9), STOP)),
    ]
    return stream(stream_id, chunks, model=f"model {MARKUP}", tags={"team": MARKUP, BIDI: "x"}, **options)


def halved(half: str) -> bytes:
    """A delta with half a surrogate pair, spelt as the API does: escaped."""
    escaped = b"\\u%04x" % ord(half)
    return (
        b"event: content_block_delta\ndata: "
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%s"}}\n\n' % escaped
    )


def many(n: int = 60) -> list[list[Record]]:
    """Streams of three models over two days, some slower than others."""
    makers = (text, thinking, tool)
    words = ["one ", "two ", "three ", "four ", "five ", "six "]
    made: list[list[Record]] = []
    for place in range(n):
        options: dict[str, Any] = {"sent": place * 2_880_000, "tags": {"team": "ab"[place % 2]}}
        if place % 4 == 3:
            chunks = text_chunks(words, start=400 + 40 * place, step=30 + place)
            made.append(stream(f"{place:016x}", chunks, **options))
        else:
            made.append(makers[place % 4](f"{place:016x}", **options))
    return made


def write_all(path: Path) -> Path:
    """Every kind of stream, the hostile one and many others."""
    return write(path, *every_kind(), hostile(sent=20_000), *many())


def recorded(path: Path, limit: int = 200) -> Recorded:
    from recorder.analytics.report import Tables

    return gather(Tables([path], report=lambda problem: None, payloads=False), [path], limit)
