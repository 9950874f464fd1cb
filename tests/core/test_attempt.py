"""Bytes in, records out, the same bytes and chunks back: for any bytes, cut anywhere."""

from __future__ import annotations

import gzip
import itertools
import json
import zlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.core import wire
from recorder.core.attempt import Attempt
from recorder.core.lines import decode_line, encode_line
from recorder.core.plain import PIECE
from recorder.core.records import Bytes, End, ErrorInfo, Event, Gap, Record
from recorder.core.redact import Secrets
from recorder.core.zstd import ZstdCompressor
from recorder.testing.contract import check_lossless

SSE = [("Content-Type", "text/event-stream; charset=utf-8")]
PIECES = st.one_of(
    st.sampled_from(
        [
            b"\r", b"\n", b"\r\n", b"\n\n", b"\xef\xbb\xbf", b": hi", b"data", b"data:", b"data: ", b"event: ping\n", b"event:",
            b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"H\xc3\xa9\"}}\n\n",
            b"event: x\ndata: {\"a\":1,\"a\":2}\n\n",
            b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\ndata: \"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n", b"data: {\"a\":\"\\ud83d\"}\n\n", b"data: {\"a\":\"\xe2\x80\xa8\"}\r\n\r\n",
            b"id: 1\0\n", b"retry: 10\n", b"\xff", b" ", b"[DONE]", b"data: 1e999\n\n", b"data: {} \n\n", b"sk-an",
        ]
    ),
    st.binary(max_size=12),
)  # fmt: skip
BODIES = st.lists(PIECES, max_size=24).map(b"".join)


def attempt(secrets: Secrets | None = None) -> Attempt:
    return Attempt(stream="s1", call="c1", attempt=0, secrets=secrets or Secrets())


def cut(body: bytes, cuts: list[int]) -> list[bytes]:
    points = [0, *sorted(at % (len(body) + 1) for at in cuts), len(body)]
    return [body[a:b] for a, b in itertools.pairwise(points)]


def records_of(
    chunks: list[bytes],
    headers: list[tuple[str, str]] = SSE,
    status: int = 200,
    secrets: Secrets | None = None,
) -> list[Record]:
    one = attempt(secrets)
    records: list[Record] = [
        one.request(wall=1, mono=2, method="POST", url="/v1/messages", headers=[], body=b'{"stream":true}'),
        one.response(at=5, status=status, headers=headers),
    ]
    for n, chunk in enumerate(chunks):
        records += one.chunk(10 * (n + 1), n, chunk)
    records += one.end(10 * (len(chunks) + 1), 3, "read")
    return [decode_line(encode_line(record)) for record in records]


def events_of(records: list[Record]) -> list[tuple[str | None, bytes]]:
    return [(record.event, wire.payload(record)) for record in records if isinstance(record, Event)]


@given(body=BODIES, cuts=st.lists(st.integers(0, 400), max_size=12))
@settings(max_examples=400)
def test_any_bytes_in_any_chunks_come_back(body: bytes, cuts: list[int]) -> None:
    chunks = cut(body, cuts)

    records = records_of(chunks)

    assert wire.body(records) == body
    given_back = wire.chunks(records)
    assert [chunk.data for chunk in given_back] == chunks
    assert [(chunk.at, chunk.wait) for chunk in given_back] == [(10 * (n + 1), n) for n in range(len(chunks))]
    assert [getattr(record, "seq", None) for record in records] == list(range(len(records)))
    end = records[-1]
    assert isinstance(end, End)
    assert (end.chunks, end.bytes) == (len(chunks), len(body))


def test_bodies_in_which_parsers_break_come_back() -> None:
    assert check_lossless(lambda chunks: [chunk.data for chunk in wire.chunks(records_of(chunks))]) > 100


@given(body=BODIES, cuts=st.lists(st.integers(0, 400), max_size=12))
@settings(max_examples=300)
def test_events_do_not_depend_on_the_chunks(body: bytes, cuts: list[int]) -> None:
    whole, pieces, bytewise = (
        records_of([body]),
        records_of(cut(body, cuts)),
        records_of([bytes([byte]) for byte in body]),
    )

    assert events_of(pieces) == events_of(whole) == events_of(bytewise)


@given(body=BODIES, cuts=st.lists(st.integers(0, 400), max_size=6))
@settings(max_examples=100)
def test_every_line_is_strict_json_on_one_line(body: bytes, cuts: list[int]) -> None:
    for record in records_of(cut(body, cuts)):
        line = encode_line(record)
        text = line.decode("utf-8")
        assert line.endswith(b"\n")
        assert len(text.splitlines()) == 1
        json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=pytest.fail).get("kind")


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    assert len(dict(pairs)) == len(pairs), f"duplicate key in {pairs}"
    json.dumps(pairs, ensure_ascii=False).encode("utf-8")  # a lone surrogate would raise
    return dict(pairs)


def test_an_ordinary_event_is_a_short_line() -> None:
    body = b'event: ping\ndata: {"type": "ping"}\n\n'

    line = encode_line(records_of([body])[2])

    assert line == (
        b'{"kind":"event","stream":"s1","seq":2,"at":10,"wait":0,"chunk":0,"event":"ping",'
        b'"data":{"type": "ping"}}\n'
    )


@pytest.mark.parametrize(
    "payload",
    [
        b'{"a":"\\ud83d"}',
        b'{"a":1,"a":2}',
        b'{"type":"content_block_delta","index":0,"index":0,"delta":{"type":"text_delta","text":"a"}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a","text":"\\u003a"}}',
        b'{"a":12345678901234567890123}',
        b'{"a":1e999}',
        b'{"a":NaN}',
        b"[DONE]",
        b"",
        b'{"a":1} ',
        b"[" * 70 + b"]" * 70,
        '{"a":"\u2028"}'.encode(),
        '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\u2029"}}'.encode(),
    ],
)
def test_a_payload_that_some_reader_would_refuse_is_kept_as_text(payload: bytes) -> None:
    records = records_of([b"event: content_block_delta\ndata: " + payload + b"\n\n"])

    event = records[2]

    assert isinstance(event, Event)
    assert (bytes(event.data), event.text) == (b"", payload.decode())
    assert (event.frame, event.raw, event.base64) == (None, None, None)


def test_bad_utf8_is_kept_as_base64_and_read_with_replacement() -> None:
    body = b"event: x\ndata: a\xffb\n\n"

    event = records_of([body])[2]

    assert isinstance(event, Event)
    assert (event.text, event.raw) == ("a\ufffdb", None)
    assert wire.wire(event) == body


def test_unusual_framing_costs_a_frame_not_the_payload() -> None:
    event = records_of([b'event:ping\r\ndata:{"type":"ping"}\r\n\r\n'])[2]

    assert isinstance(event, Event)
    assert bytes(event.data) == b'{"type":"ping"}'
    assert event.frame == ("event:ping\r\ndata:", "\r\n\r\n")


def test_a_cr_that_ends_a_chunk_keeps_its_own_arrival() -> None:
    records = records_of([b"data: 1\r\r", b"data: 2\r\r"])

    arrivals = [(r.at, r.chunk) for r in records if isinstance(r, Event)]

    assert arrivals == [(10, 0), (20, 1)]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate", "br", "zstd"])
def test_content_encoding_comes_off_chunk_by_chunk(coding: str) -> None:
    steps = [b'event: ping\ndata: {"n": %d}\n\n' % n for n in range(20)]

    records = records_of(list(compressed(coding, steps)), [*SSE, ("Content-Encoding", coding.split()[-1])])

    assert wire.body(records) == b"".join(steps)
    assert [r.chunk for r in records if isinstance(r, Event)] == list(range(20))


def compressed(coding: str, steps: list[bytes]) -> list[bytes]:
    if coding == "br":
        brotli = pytest.importorskip("brotli", reason="needs brotli")
        packer = brotli.Compressor()
        return [packer.process(step) + packer.flush() for step in steps] + [packer.finish()]
    if coding == "zstd":
        packer = ZstdCompressor()
        return [packer.compress(step, packer.FLUSH_BLOCK) for step in steps] + [packer.flush()]
    bits = {"gzip": 31, "deflate": 15, "raw deflate": -15}[coding]
    deflate = zlib.compressobj(wbits=bits)
    return [deflate.compress(step) + deflate.flush(zlib.Z_SYNC_FLUSH) for step in steps] + [deflate.flush()]


def test_a_body_that_stops_making_sense_is_kept_encoded() -> None:
    packed = gzip.compress(b"event: ping\ndata: {}\n\n" * 50)
    broken = packed[:20] + b"\0\xff\0\xff" * 10

    records = records_of([packed[:10], broken[10:]], [*SSE, ("content-encoding", "gzip")])

    kept = [record for record in records if isinstance(record, Bytes)]
    assert [record.encoded for record in kept] == ["gzip"]
    assert wire.payload(kept[-1]) == broken[10:]


def test_a_body_of_several_zstd_frames_is_one_body() -> None:
    steps = [b'event: ping\ndata: {"n": %d}\n\n' % n for n in range(5)]

    frames = b"".join(ZstdCompressor().compress(step, ZstdCompressor.FLUSH_FRAME) for step in steps)
    records = records_of([frames], [*SSE, ("content-encoding", "zstd")])

    assert wire.body(records) == b"".join(steps)


def test_a_delta_over_two_data_lines_stays_one_line_of_the_log() -> None:
    body = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,\ndata: "delta":{"type":"text_delta","text":"a"}}\n\n'

    records = records_of([body])

    assert all(encode_line(record).count(b"\n") == 1 for record in records)
    assert wire.body(records) == body


def test_an_unknown_content_encoding_is_said_and_kept() -> None:
    records = records_of([b"\x00\x01"], [*SSE, ("content-encoding", "x-secret-sauce")])

    assert getattr(records[1], "encoded", None) == "x-secret-sauce"
    assert wire.body(records) == b"\x00\x01"


def test_a_json_body_is_one_record_whatever_its_chunks() -> None:
    body = b'{"id":"msg_1","type":"message","model":"claude-x","usage":{"input_tokens":3,"output_tokens":5}}'

    records = records_of([body[:7], body[7:]], [("content-type", "application/json")])

    kept = [record for record in records if isinstance(record, Bytes)]
    end = records[-1]
    assert len(kept) == 1
    assert bytes(kept[0].data) == body
    assert isinstance(end, End)
    assert end.complete
    assert end.summary is not None
    assert end.summary.usage == {"input_tokens": 3, "output_tokens": 5}
    assert [chunk.data for chunk in wire.chunks(records)] == [body[:7], body[7:]]


def test_a_large_download_is_written_in_pieces() -> None:
    body = b"x" * (3 * PIECE + 5)

    records = records_of([body[n : n + 65536] for n in range(0, len(body), 65536)], [("content-type", "x/y")])

    kept = [record for record in records if isinstance(record, Bytes)]
    assert [len(wire.payload(record)) for record in kept] == [PIECE, PIECE, PIECE, 5]
    assert wire.body(records) == body


def test_the_summary_repeats_what_the_payloads_said() -> None:
    payloads = [
        {"type": "message_start", "message": {"id": "m", "model": "claude-x", "usage": {"input_tokens": 9, "output_tokens": 1}}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 42, "input_tokens": None}},
        {"type": "message_stop"},
    ]  # fmt: skip
    body = b"".join(b"event: %s\ndata: %s\n\n" % (p["type"].encode(), json.dumps(p).encode()) for p in payloads)

    end = records_of([body])[-1]

    assert isinstance(end, End)
    assert end.complete
    assert msgspec.to_builtins(end.summary) == {
        "id": "m",
        "model": "claude-x",
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 9, "output_tokens": 42},
    }


def test_output_tokens_of_message_start_are_a_placeholder() -> None:
    body = b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":9,"output_tokens":1}}}\n\n'

    end = records_of([body])[-1]

    assert isinstance(end, End)
    assert not end.complete
    assert end.summary is not None
    assert end.summary.usage == {"input_tokens": 9}


def test_a_gap_is_a_record_and_reading_goes_on_at_the_next_block() -> None:
    one = attempt()
    one.response(at=1, status=200, headers=SSE)

    records = one.chunk(10, 0, b"data: 1\n\ndata: 2")
    records += one.gap(15, 3, 99, "queue full")
    records += one.chunk(20, 0, b"rest\n\ndata: 5\n\n")
    records += one.end(30, 0, "failed", ErrorInfo(type="httpx2.ReadError", message="reset"))

    assert [type(record).__name__ for record in records] == ["Event", "Bytes", "Gap", "Bytes", "Event", "End"]
    assert [wire.payload(r) for r in records if isinstance(r, Event)] == [b"1", b"5"]
    assert isinstance(records[2], Gap)
    assert [r.seq for r in records] == list(range(1, 7))


@pytest.mark.parametrize("cuts", [[], [30], [100], list(range(0, 200, 3))])
def test_no_key_reaches_a_record(cuts: list[int]) -> None:
    secrets = Secrets(["my-other-secret"])
    body = (
        b'event: x\ndata: {"t":"a sk-ant-api03-abcDEF_123-456 b my-other-secret c"}\n\n: sk-ant-api03-abcdefgh\n\n'
    )

    records = records_of(cut(body, cuts), secrets=secrets)
    lines = b"".join(map(encode_line, records))

    assert b"sk-ant-" not in lines
    assert b"my-other-secret" not in lines
    assert [r.redacted for r in records if isinstance(r, Event | Bytes)] == [("api_key",), ("api_key",)]
    assert b'{"t":"a [redacted] b [redacted] c"}' in lines


def test_no_key_reaches_the_summary() -> None:
    body = b'{"type":"error","error":{"type":"authentication_error","message":"bad key sk-ant-api03-abcdefghij"}}'

    lines = b"".join(map(encode_line, records_of([body], [("content-type", "application/json")], status=401)))

    assert b"sk-ant-" not in lines
    assert b'"message":"bad key [redacted]"' in lines


def test_an_event_stream_that_cannot_be_read_on_is_not_complete() -> None:
    packed = gzip.compress(b"event: ping\ndata: {}\n\n" * 50)
    one = attempt()
    one.response(at=1, status=200, headers=[*SSE, ("content-encoding", "gzip")])
    one.chunk(2, 0, packed[:20])
    one.gap(3, 1, 9, "queue full")
    one.chunk(4, 0, packed[30:])

    end = one.end(5, 0, "read")[-1]

    assert isinstance(end, End)
    assert not end.complete


def test_a_number_beyond_64_bits_is_no_record_of_ours() -> None:
    line = encode_line(records_of([b"data: 1\n\n"])[2]).replace(b'"at":10', b'"at":%d' % 2**64)

    with pytest.raises(msgspec.ValidationError):
        decode_line(line)
