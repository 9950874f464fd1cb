"""Amazon's framing: events as the SDK's own decoder has them, never a byte lost, never an exception."""

from __future__ import annotations

import itertools
import json
import struct
import time
import zlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from recorder.core import aws, wire
from recorder.core.attempt import Attempt
from recorder.core.aws import EventStreamParser
from recorder.core.framing import parser_for
from recorder.core.records import Bytes, Event, Gap, StreamRecord
from recorder.core.redact import Secrets
from recorder.core.sse import Block, SSEParser
from recorder.core.timing import timing
from recorder.testing import (
    bedrock_event,
    bedrock_exception,
    bedrock_frame,
    chunkings,
    encode_event,
    message_events,
)

HEADERS = [("content-type", "application/vnd.amazon.eventstream")]
EVENTS = message_events("Hel", "lo ", "wör", "ld 👋")
FRAMES = [bedrock_event(event) for event in EVENTS]
KINDS = ("throttlingException", "modelStreamErrorException", "internalServerException", "validationException")


def parse(chunks: list[bytes]) -> list[Block]:
    parser = EventStreamParser()
    return [block for chunk in chunks for block in parser.feed(chunk)] + parser.flush()


def dispatched(blocks: list[Block]) -> list[tuple[str | None, str]]:
    return [(block.event, block.payload.decode()) for block in blocks if block.payload is not None]


def by_the_sdk(body: bytes) -> list[tuple[str | None, str]]:
    pytest.importorskip("botocore", reason="needs botocore")
    from anthropic.lib.bedrock._stream_decoder import AWSEventStreamDecoder

    try:
        return [(sse.event, sse.data) for sse in AWSEventStreamDecoder().iter_bytes(iter([body]))]
    except ValueError as error:
        if "Bad response code" in str(error):
            pytest.skip("this version of the SDK makes no event of an exception of Bedrock's")
        raise


def recorded(chunks: list[bytes], headers: list[tuple[str, str]] = HEADERS, **known: Any) -> list[StreamRecord]:
    one = Attempt(stream="s", call="c", attempt=0, secrets=Secrets(**known))
    records: list[StreamRecord] = [
        one.request(wall=1, mono=1, method="POST", url="/v1/messages", headers=[], body=b"{}"),
        one.response(at=5, status=200, headers=headers),
    ]
    for n, chunk in enumerate(chunks):
        records += one.chunk(10 * (n + 1), 3, chunk)
    return [*records, *one.end(10 * (len(chunks) + 1), 1, "read")]


def test_the_content_type_says_which_framing() -> None:
    assert isinstance(parser_for({"content-type": aws.CONTENT_TYPE + "; x=y"}), EventStreamParser)
    assert isinstance(parser_for({"content-type": "Text/Event-Stream"}), SSEParser)
    assert parser_for({"content-type": "application/json"}) is None
    assert parser_for({}) is None


@pytest.mark.parametrize(
    "frames",
    [
        FRAMES,
        *([FRAMES[0], bedrock_exception(kind, "Too many requests")] for kind in KINDS),
        [bedrock_frame({":message-type": "error", ":error-code": "500", ":error-message": "oh"}, b"")],
        [bedrock_exception("throttlingException", "")],
        [bedrock_event(b'{"completion":" hi","stop_reason":null}')],
        [bedrock_event(b"no json"), bedrock_event(b"[1]"), bedrock_event(b'{"type":7}'), bedrock_event(b"{}")],
        [bedrock_frame({":message-type": "event", ":event-type": "initial-response"}, b"{}"), *FRAMES],
        [bedrock_frame({":message-type": "event", ":event-type": "chunk"}, b"{}"), *FRAMES],
        [bedrock_event({"type": "content_block_delta", "text": "\U0001f44b", "half": "?"}, padding="")],
    ],
)
def test_the_events_are_those_of_the_sdk(frames: list[bytes]) -> None:
    body = b"".join(frames)
    for _, chunks in chunkings(body):
        blocks = parse(chunks)
        assert dispatched(blocks) == by_the_sdk(body)
        assert [block.wire for block in blocks] == frames


def test_an_exception_that_the_service_model_does_not_know_keeps_its_name() -> None:
    [block] = parse([bedrock_exception("quotaException", "No more")])

    assert block.payload is not None
    assert json.loads(block.payload)["error"] == {"type": "quotaException", "message": "No more"}


def test_headers_of_every_type_are_passed_over() -> None:
    head = b""
    for kind, value in [
        (0, b""), (1, b""), (2, b"a"), (3, b"ab"), (4, b"abcd"), (5, b"abcdefgh"),
        (6, b"\0\3abc"), (7, b"\0\2hi"), (8, b"abcdefgh"), (9, b"abcdefghabcdefgh"),
    ]:  # fmt: skip
        name = f"h{kind}".encode()
        head += bytes([len(name)]) + name + bytes([kind]) + value
    plain = FRAMES[0]
    head += plain[12 : 12 + int.from_bytes(plain[4:8], "big")]
    body = plain[12 + int.from_bytes(plain[4:8], "big") : -4]
    sizes = struct.pack(">II", len(head) + len(body) + 16, len(head))
    frame = sizes + struct.pack(">I", zlib.crc32(sizes)) + head + body
    frame += struct.pack(">I", zlib.crc32(frame))

    assert dispatched(parse([frame])) == dispatched(parse([plain])) == by_the_sdk(frame)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


def test_a_bad_checksum_costs_one_event() -> None:
    bad = flipped(FRAMES[2], len(FRAMES[2]) - 30)
    blocks = parse([b"".join([*FRAMES[:2], bad, *FRAMES[3:]])])

    assert dispatched(blocks) == dispatched(parse([*FRAMES[:2], *FRAMES[3:]]))
    assert blocks[2] == Block(bad)


@pytest.mark.parametrize("at", range(12))
def test_behind_a_bad_prelude_the_next_frame_is_found(at: int) -> None:
    bad = flipped(FRAMES[2], at)
    body = b"".join([*FRAMES[:2], bad, *FRAMES[3:]])
    for _, chunks in chunkings(body):
        blocks = parse(chunks)
        assert dispatched(blocks) == dispatched(parse([*FRAMES[:2], *FRAMES[3:]]))
        assert blocks[2] == Block(bad)


@pytest.mark.parametrize(
    "odd",
    [
        b"trailing garbage",
        b"\0" * 40,
        FRAMES[0][:-1],
        FRAMES[0][:11],
        struct.pack(">III", 2**31, 0, zlib.crc32(struct.pack(">II", 2**31, 0))),
        struct.pack(">III", 2**20, 2**19, zlib.crc32(struct.pack(">II", 2**20, 2**19))),
        struct.pack(">III", 3, 0, zlib.crc32(struct.pack(">II", 3, 0))),
        bedrock_frame({":event-type": "chunk", ":message-type": "event"}, b"[]"),
        bedrock_frame({":event-type": "chunk", ":message-type": "event"}, b'{"bytes":7}'),
        bedrock_frame({":event-type": "chunk", ":message-type": "event"}, b'{"bytes":"@"}'),
        bedrock_frame({":event-type": "chunk", ":message-type": "event"}, b"[" * 100_000),
        bedrock_event(b'"\xff"'),
        bedrock_event(b""),
        bedrock_frame({}, b""),
    ],
)
def test_what_is_no_event_is_kept_as_bytes(odd: bytes) -> None:
    body = b"".join([*FRAMES, odd])
    records = recorded([body])

    assert wire.body(records) == body
    assert len([record for record in records if isinstance(record, Event)]) == len(FRAMES)
    assert b"".join(wire.wire(record) for record in records if isinstance(record, Bytes)) == odd


@given(
    st.lists(st.one_of(st.sampled_from([*FRAMES, FRAMES[0][:20], b"\0\0\0", b"\0" * 16]), st.binary(max_size=30))),
    st.lists(st.integers(0, 4000), max_size=8),
    st.lists(st.integers(0, 4000), max_size=3),
)
@settings(max_examples=200)
def test_whatever_comes_the_body_and_its_chunks_come_back(
    pieces: list[bytes], cuts: list[int], flips: list[int]
) -> None:
    body = b"".join(pieces)
    for at in flips:
        body = flipped(body, at % len(body)) if body else body
    places = sorted({0, len(body), *(min(cut, len(body)) for cut in cuts)})
    chunks = [body[a:b] for a, b in itertools.pairwise(places)] or [b""]
    records = recorded(chunks)

    assert [chunk.data for chunk in wire.chunks(records)] == chunks
    assert [block.wire for block in parse(chunks)] == [block.wire for block in parse([body])]


def test_a_frame_is_recorded_whole_beside_its_payload() -> None:
    records = recorded(FRAMES)
    events = [record for record in records if isinstance(record, Event)]

    assert [wire.wire(event) for event in events] == FRAMES
    assert [msgspec.json.decode(event.data) for event in events] == EVENTS
    assert all(event.base64 and event.raw is None and event.frame is None for event in events)


def test_time_and_summary_are_those_of_the_same_events_in_text() -> None:
    binary = recorded(FRAMES)
    text = recorded([encode_event(event) for event in EVENTS], [("content-type", "text/event-stream")])

    assert replace(timing(binary), bytes=0) == replace(timing(text), bytes=0)
    for one, other in zip(binary, text, strict=True):
        if isinstance(one, Event) and isinstance(other, Event):
            assert (one.event, one.block, one.delta, one.chars, one.at, one.wait, one.chunk) == (
                other.event, other.block, other.delta, other.chars, other.at, other.wait, other.chunk,
            )  # fmt: skip
    assert replace(binary[-1], bytes=0) == replace(text[-1], bytes=0)


@pytest.mark.parametrize(
    "frame",
    [
        bedrock_event(
            {"type": "content_block_delta", "delta": {"text": "sk-ant-api03-abcdefgh"}, "n": "hunter22"}
        ),
        bedrock_exception("validationException", "key sk-ant-api03-abcdefgh of hunter22"),
        bedrock_frame({":message-type": "error", ":error-code": "4", ":error-message": "hunter22"}, b""),
    ],
)
def test_a_secret_inside_a_frame_is_taken_out_and_the_frame_is_one_still(frame: bytes) -> None:
    records = recorded([frame, FRAMES[-1]], values=["hunter22"])
    [event, _] = [record for record in records if isinstance(record, Event)]

    assert event.redacted
    again = parse([wire.wire(event)])
    assert dispatched(again) == [(event.event, wire.payload(event).decode())] == by_the_sdk(wire.wire(event))
    for text in (again[0].wire, again[0].payload or b"", *(block.payload or b"" for block in again)):
        assert b"hunter22" not in text
        assert b"sk-ant-api" not in text


def test_behind_a_hole_events_go_on_with_the_next_frame() -> None:
    one = Attempt(stream="s", call="c", attempt=0, secrets=Secrets())
    one.request(wall=1, mono=1, method="POST", url="/", headers=[], body=b"")
    one.response(at=0, status=200, headers=HEADERS)
    records = one.chunk(1, 0, FRAMES[0] + FRAMES[1][:30])
    records += one.gap(2, 1, 99, "queue full")
    records += one.chunk(3, 0, FRAMES[2][50:] + FRAMES[3])
    records += one.end(4, 0, "read")

    assert [type(record) for record in records[:-1]] == [Event, Bytes, Gap, Bytes, Event]
    assert wire.wire(records[3]) == FRAMES[2][50:]  # type: ignore[arg-type]


@pytest.mark.parametrize("unit", [b"\0" * 16, b"\0\0\0\1" * 4, FRAMES[0][:-1] + b"!", b"x" * 16])
def test_time_is_linear_whatever_the_chunks(unit: bytes) -> None:
    def seconds(size: int) -> float:
        body = unit * (size // len(unit))
        began = time.process_time()
        assert sum(
            len(block.wire) for block in parse([body[n : n + 512] for n in range(0, len(body), 512)])
        ) == len(body)
        return time.process_time() - began

    small = min(seconds(64 << 10) for _ in range(3))
    assert seconds(512 << 10) < 8 * small * 4 + 0.05


def test_garbage_is_not_held_for_ever() -> None:
    parser = EventStreamParser()
    blocks = [block for _ in range(40) for block in parser.feed(b"x" * 65_536)]

    assert [len(block.wire) for block in blocks] == [aws.PIECE] * 2


def test_a_large_event_comes_in_many_chunks() -> None:
    frame = bedrock_event({"type": "content_block_delta", "text": "x" * (4 << 20)})
    began = time.process_time()
    blocks = parse([frame[n : n + 512] for n in range(0, len(frame), 512)])

    assert [block.wire for block in blocks] == [frame]
    assert time.process_time() - began < 5
