"""Bytes to events, and back: the same whatever the chunks are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest

from recorder.testing.chunks import chunkings
from recorder.testing.reply import encode_event, message_events

Dispatched = tuple[str, str, str]
"""What a browser would dispatch: the event's name ("message" without one), its data, the last id."""
Expected = Mapping[str, tuple[bytes, Sequence[Dispatched]]]

_MESSAGE = b"".join(map(encode_event, message_events("Hel", "lö ", "日本")))
_WHOLE = [(name, data, "") for name, data in (
    (str(event["type"]), encode_event(event).partition(b"data: ")[2].rstrip().decode())
    for event in message_events("Hel", "lö ", "日本")
)]  # fmt: skip

FRAMING: Expected = {
    "a message": (_MESSAGE, _WHOLE),
    "a message with CRLF": (_MESSAGE.replace(b"\n", b"\r\n"), _WHOLE),
    "a message with CR": (_MESSAGE.replace(b"\n", b"\r"), _WHOLE),
    "comments and heartbeats": (b": hi\n\n:\ndata: a\n: in between\ndata: b\n\n", [("message", "a\nb", "")]),
    "a byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [("message", "a", "")]),
    "a byte order mark in the middle": (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [("message", "a", "")]),
    "one space belongs to the field": (b"data:  a\ndata:b\ndata:\tc\n\n", [("message", " a\nb\n\tc", "")]),
    "a field without a colon": (b"data\n\ndata\ndata\n\n", [("message", "", ""), ("message", "\n", "")]),
    "a name without data": (b"event: ping\n\ndata: a\n\n", [("message", "a", "")]),
    "the last name counts": (b"event: x\nevent: y\ndata: a\n\n", [("y", "a", "")]),
    "an id stays": (b"id: 1\ndata: a\n\ndata: b\n\n", [("message", "a", "1"), ("message", "b", "1")]),
    "an empty id is none": (b"id: 1\ndata: a\n\nid\ndata: b\n\n", [("message", "a", "1"), ("message", "b", "")]),
    "an id with a null is none": (b"id: 1\0\ndata: a\n\n", [("message", "a", "")]),
    "unknown fields": (b"retry: 10\nfoo: bar\ndata: a\n\n", [("message", "a", "")]),
    "separators that are none": ("data: a\u2028b\u0085\x0b\n\n".encode(), [("message", "a\u2028b\u0085\x0b", "")]),
    "bad UTF-8": (b"data: \xff\xc3\n\n", [("message", "\ufffd\ufffd", "")]),
    "no blank line at the end": (b"data: a\n\ndata: b\n", [("message", "a", "")]),
    "nothing but line ends": (b"\r\n\n\r\r\n", []),
}  # fmt: skip
"""Bodies in which parsers break, and what WHATWG says of each (HTML, 9.2.6)."""


def check_framing(parse: Callable[[list[bytes]], Sequence[Dispatched]], cases: Expected = FRAMING) -> int:
    """`parse` gets all chunks of a body and gives what it dispatched; a body is cut in every way of `chunkings`.

    Returns how many bodies in how many ways were parsed.
    """
    done = 0
    for name, (body, expected) in cases.items():
        for way, chunks in chunkings(body):
            given = [tuple(one) for one in parse(list(chunks))]
            assert given == [tuple(one) for one in expected], (
                f"{name}, cut {way}:\n  bytes    {body!r}\n  expected {expected!r}\n  given    {given!r}"
            )
            done += 1
    assert done, "nothing was checked: no cases were given"
    return done


def check_lossless(
    record: Callable[[list[bytes]], Sequence[bytes]], bodies: Mapping[str, bytes] | None = None
) -> int:
    """`record` records a body that comes in these chunks, and gives the chunks that can be read from that again.

    `bodies`: by name; those of `FRAMING` where none are given. Returns how many in how many ways were recorded.
    """
    done = 0
    for name, body in ({name: body for name, (body, _) in FRAMING.items()} if bodies is None else bodies).items():
        for way, chunks in chunkings(body):
            back = [bytes(chunk) for chunk in record(list(chunks))]
            assert back == chunks, f"{name}, cut {way}: {_lost(chunks, back)}"
            done += 1
    assert done, "nothing was checked: no bodies were given"
    return done


def _lost(chunks: list[bytes], back: list[bytes]) -> str:
    number, (went, came) = next(
        (number, pair) for number, pair in enumerate(zip_longest(chunks, back)) if pair[0] != pair[1]
    )
    whole = "the bytes are all there" if b"".join(chunks) == b"".join(back) else "the bytes are others"
    return f"chunk {number} of {len(chunks)} was {went!r} and came back as {came!r}; {whole}"
