"""The short way that nearly every chunk takes gives what the long way gives."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.core import payload, wire
from recorder.core.attempt import Attempt
from recorder.core.lines import encode_line, encode_lines
from recorder.core.records import Bytes, Event, StreamRecord
from recorder.core.redact import Secrets

START = b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n'
DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}

Spelling = Callable[[int, str, str], bytes]


def compact(index: int, kind: str, text: str) -> bytes:
    delta = {"type": "content_block_delta", "index": index, "delta": {"type": kind, DELTAS[kind]: text}}
    return json.dumps(delta, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def escaped(index: int, kind: str, text: str) -> bytes:
    delta = {"type": "content_block_delta", "index": index, "delta": {"type": kind, DELTAS[kind]: text}}
    return json.dumps(delta, separators=(",", ":")).encode()


def padded(index: int, kind: str, text: str) -> bytes:
    return compact(index, kind, text)[:-1] + b"    }"


def slashed(index: int, kind: str, text: str) -> bytes:
    return compact(index, kind, text).replace(b"/", b"\\/")


def attempt() -> Attempt:
    one = Attempt(stream="s", call="c", attempt=0, secrets=Secrets(["live-key-value"]))
    one.request(wall=1, mono=2, method="POST", url="/v1/messages", headers=[], body=b"{}")
    one.response(at=5, status=200, headers=[("content-type", "text/event-stream")])
    return one


def sse(data: bytes) -> bytes:
    return b"event: content_block_delta\ndata: " + data + b"\n\n"


def recorded(chunks: list[bytes]) -> list[StreamRecord]:
    one = attempt()
    records = [record for n, chunk in enumerate(chunks) for record in one.chunk(10 * n, n, chunk)]
    return [*records, *one.end(1000, 0, "read")]


def plain(records: list[StreamRecord]) -> list[tuple[object, ...]]:
    """What the records say, but for the chunks they came in."""
    return [
        (
            type(r),
            r.seq,
            wire.wire(r),
            bytes(r.data),
            r.text,
            *((r.block, r.delta, r.chars) if isinstance(r, Event) else ()),
        )
        for r in records
        if isinstance(r, Event | Bytes)
    ]


TEXTS = st.text(
    alphabet=st.one_of(st.characters(), st.sampled_from('\\"/\n\t:{}\u2028\u0085\x7f\x00é€😀sk-ant-')), max_size=12
)


@settings(max_examples=400)
@example(0, "text_delta", "\\n\\\\", compact)
@example(0, "text_delta", "\ud83d", compact)
@example(0, "text_delta", "\ud83d", escaped)
@example(0, "text_delta", "a\u2028b", compact)
@example(10**9, "text_delta", "a", compact)
@example(2**40, "text_delta", "a", compact)
@example(0, "input_json_delta", "live-key-value", compact)
@given(
    st.integers(0, 2**33),
    st.sampled_from(sorted(DELTAS)),
    TEXTS,
    st.sampled_from([compact, escaped, padded, slashed]),
)
def test_the_short_way_is_the_long_way(index: int, kind: str, text: str, spelling: Spelling) -> None:
    event = sse(spelling(index, kind, text))

    # A chunk that ends within the event before is the long way.
    short, long = (
        recorded([START, event, event + event]),
        recorded([START + event[:7], event[7:] + event[:7], event[7:] + event]),
    )

    assert plain(short) == plain(long)
    delta = [record for record in short if isinstance(record, Event)][1]
    if b"live-key" not in event:
        said = payload.read("content_block_delta", spelling(index, kind, text))
        assert (delta.block, delta.delta, delta.chars) == (said.block, said.delta, said.chars)
        assert bool(bytes(delta.data)) == said.strict
    assert b"live-key-value" not in encode_lines(short)


@pytest.mark.parametrize(
    "data",
    [
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\xff"}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\xed\xa0\x80"}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\x01"}}',
        b'{"type":"content_block_delta","index":00,"delta":{"type":"text_delta","text":"a"}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\\x"}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"},"index":1}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","thinking":"a"}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}\r',
    ],
)
def test_what_only_looks_usual_is_kept_byte_for_byte(data: bytes) -> None:
    records = recorded([START, sse(data), sse(data)])

    assert wire.body(records) == START + sse(data) * 2
    assert plain(records) == plain(recorded([START + sse(data)[:9], sse(data)[9:] + sse(data)]))


def test_an_empty_chunk_and_a_split_one_between_usual_ones_are_told() -> None:
    event = sse(compact(0, "text_delta", "hi"))
    chunks = [START, event, b"", event, event[:20], event[20:] + event, event + b":c\n", b"\n", event]

    records = recorded(chunks)

    assert [chunk.data for chunk in wire.chunks(records)] == chunks
    assert [chunk.at for chunk in wire.chunks(records)] == [10 * n for n in range(len(chunks))]


def test_several_lines_are_the_lines_one_by_one() -> None:
    odd = recorded([START, b"event: odd\ndata: \xe2\x80\xa8\n\n", sse(compact(0, "text_delta", "é"))])

    assert encode_lines(odd) == b"".join(map(encode_line, odd))
