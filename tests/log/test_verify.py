"""What the tap writes passes; each way in which a recording can contradict itself is found, and named."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.core.attempt import Attempt
from recorder.core.lines import encode_line
from recorder.core.records import VERSION, ErrorInfo, Header, Record
from recorder.core.redact import Secrets
from recorder.log.verify import FileCheck, verify

SSE = [("content-type", "text/event-stream")]
HEADER = Header(format="sse-recording", v=VERSION, segment="0", wall=1, mono=0, recorder="0.1.0")
BODY = b"".join(
    b"event: %s\ndata: %s\n\n" % (str(payload["type"]).encode(), json.dumps(payload).encode())
    for payload in [
        {"type": "message_start", "message": {"id": "m", "model": "claude-x", "usage": {"input_tokens": 9}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
)
PIECES = st.one_of(
    st.sampled_from(
        [
            b"\r", b"\n", b"\r\n", b"\n\n", b"\xef\xbb\xbf", b": hi", b"data: ", b"event: ping\n", b"id: 1\n", b"retry: 10\n",
            b"event: x\ndata: {\"a\":1,\"a\":2}\n\n", b"data: {\"a\":\"\\ud83d\"}\n\n", b"\xff", b"data: [DONE]\n\n",
            b"event: message_stop\ndata: {}\n\n", b"data: sk-ant-api03-abcdefgh\n\n", BODY[: BODY.index(b"\n\n") + 2],
        ]
    ),
    st.binary(max_size=8),
)  # fmt: skip


def records_of(
    chunks: list[bytes], headers: list[tuple[str, str]] = SSE, *, gap_after: int | None = None, stream: str = "s1"
) -> list[Record]:
    one = Attempt(stream=stream, call="c1", attempt=0, secrets=Secrets())
    records: list[Record] = [
        HEADER,
        one.request(wall=1, mono=2, method="POST", url="/v1/messages", headers=[], body=b'{"stream":true}'),
        one.response(at=5, status=200, headers=headers),
    ]
    for n, chunk in enumerate(chunks):
        records += one.chunk(10 * (n + 1), n, chunk)
        if n == gap_after:
            records += one.gap(10 * (n + 1), 3, 99, "queue full")
    return records + one.end(10 * (len(chunks) + 1), 3, "read")


def cut(body: bytes, cuts: list[int]) -> list[bytes]:
    points = [0, *sorted(at % (len(body) + 1) for at in cuts), len(body)]
    return [body[a:b] for a, b in pairwise(points)]


def write(path: Path, records: list[Record]) -> Path:
    path.write_bytes(b"".join(map(encode_line, records)))
    return path


def reasons(check: FileCheck) -> list[str]:
    return [str(problem).removeprefix(f"{check.path}:") for problem in check.problems]


@given(
    body=st.lists(PIECES, max_size=12).map(b"".join),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    gap_after=st.none() | st.integers(0, 5),
)
@example(b"\r\xef\xbb\xbf\rdata: sk-ant-api03-abcdefgh\n\n", [], None)
@example(b"\xef\xbb\xbfevent: a\ndata: sk-ant-api03-abcdefgh\n\n", [], None)
@settings(max_examples=200)
def test_what_is_recorded_of_any_body_passes(
    tmp_path_factory: pytest.TempPathFactory, body: bytes, cuts: list[int], gap_after: int | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    if gap_after is not None:
        body = body.replace(b"\xef\xbb\xbf", b"")  # where the body began is not known after a gap

    (check,) = verify([write(path, records_of(cut(body, cuts), gap_after=gap_after))])

    assert reasons(check) == []


@pytest.mark.parametrize(
    ("chunks", "headers"),
    [
        ([], SSE),
        (
            [b'{"id":"m","type":"message",', b'"usage":{"output_tokens":3}}'],
            [("content-type", "application/json")],
        ),
        ([b"x" * 700_000, b"y" * 700_000], [("content-type", "application/x-jsonl")]),
        ([gzip.compress(BODY)[:90], gzip.compress(BODY)[90:]], [*SSE, ("content-encoding", "gzip")]),
        ([gzip.compress(BODY)[:90], b"\0\xff\0\xff" * 9], [*SSE, ("content-encoding", "gzip")]),
        ([BODY], [*SSE, ("content-encoding", "x-unheard-of")]),
    ],
    ids=["no body", "json", "large download", "gzip", "broken gzip", "unknown encoding"],
)
def test_bodies_of_other_kinds_pass(tmp_path: Path, chunks: list[bytes], headers: list[tuple[str, str]]) -> None:
    (check,) = verify([write(tmp_path / "a.jsonl", records_of(chunks, headers))])

    assert reasons(check) == []


def test_a_connection_that_failed_passes(tmp_path: Path) -> None:
    one = Attempt(stream="s1", call="c1", attempt=0, secrets=Secrets())
    request = one.request(wall=1, mono=2, method="POST", url="/v1/messages", headers=[], body=b"{}")
    end = one.end(10, 0, "failed", ErrorInfo(type="httpx2.ConnectError", message="refused"))

    (check,) = verify([write(tmp_path / "a.jsonl", [HEADER, request, *end])])

    assert (check.problems, check.streams, check.lost) == ([], 1, 0)


def test_it_counts_what_is_there(tmp_path: Path) -> None:
    lost = records_of([BODY], stream="s2")[1:-1]
    dropped = records_of([BODY, b"rest", b"\n\n"], gap_after=0, stream="s3")[1:]
    path = write(tmp_path / "a.jsonl", [*records_of([BODY]), *lost, *dropped])
    with path.open("ab") as file:
        file.write(b'{"kind":"note","text":"of a later version"}\n')

    (check,) = verify([path])

    assert reasons(check) == []
    assert (check.lines, check.streams, check.events) == (30, 3, 18)
    assert (check.lost, check.gaps, check.unknown) == (1, 3, 1)


def test_a_stream_may_go_on_in_the_next_segment(tmp_path: Path) -> None:
    records = records_of([BODY])
    first = write(tmp_path / "a.jsonl", records[:5])
    second = write(tmp_path / "b.jsonl", [HEADER, *records[5:]])

    checks = verify([first, second])

    assert [(check.streams, check.lost, check.problems) for check in checks] == [(1, 0, []), (0, 0, [])]


def test_a_recording_without_text_passes(tmp_path: Path) -> None:
    records = [json.loads(encode_line(record)) for record in records_of(cut(BODY, [20, 300]))]
    for record in records:
        record.pop("data", None)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))

    (check,) = verify([path])

    assert reasons(check) == []


Change = Callable[[list[dict[str, Any]]], object]
"""Of the lines of BODY's stream in one chunk: 0 header, 1 request, 2 response, 3 to 8 events, 9 end."""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda lines: lines[5].update(chars=4), ["6: stream s1: chars is 4 where its payload says 5"]),
        (lambda lines: lines[5].pop("chars"), ["6: stream s1: chars is None where its payload says 5"]),
        (lambda lines: lines[5].update(block=1), ["6: stream s1: block is 1 where its payload says 0"]),
        (
            lambda lines: lines[5].update(delta="thinking_delta"),
            ["6: stream s1: delta is 'thinking_delta' where its payload says 'text_delta'"],
        ),
        (lambda lines: lines.pop(6), ["7: stream s1: seq 6 where 5 comes next", "9: stream s1: end says 6 events, there are 5", "9: stream s1: end says 633 bytes, there are 557"]),
        (lambda lines: lines[9].update(events=7), ["10: stream s1: end says 7 events, there are 6"]),
        (lambda lines: lines[9].update(bytes=7), ["10: stream s1: end says 7 bytes, there are 633"]),
        (
            lambda lines: lines[9].update(chunks=9),
            ["10: stream s1: chunks cannot be put together: ordinal 9 with 0 in split"],
        ),
        (
            lambda lines: lines[5].update(chunk=4),
            [
                "6: stream s1: chunks cannot be put together: ordinal 4 with 0 in split",
                "7: stream s1: chunks cannot be put together: ordinal 0 with 0 in split",
            ],
        ),
        (
            lambda lines: lines[3].update(split=[[5, 1, 1]]),
            ["4: stream s1: chunks cannot be put together: ordinal 0 with 1 in split"],
        ),
        (
            lambda lines: (lines[3].update(split=[[5000, 1, 1]], chunk=1), [line.update(chunk=1) for line in lines[4:9]], lines[9].update(chunks=2)),
            ["4: stream s1: chunks cannot be put together: split at [5000]"],
        ),
        (lambda lines: lines[6].update(at=9), ["7: stream s1: at 9 is before 10, the record before"]),
        (
            lambda lines: lines[9]["summary"].update(model="claude-y", usage={"output_tokens": 3}),
            [
                "10: stream s1: summary differs from the payloads: model is 'claude-y', not 'claude-x', usage is {'output_tokens': 3}, not {'input_tokens': 9, 'output_tokens': 2}"
            ],
        ),
        (lambda lines: lines[9].update(complete=False), ["10: stream s1: not complete, but there is a message_stop"]),
        (
            lambda lines: (lines.pop(8), lines[8].update(events=5, bytes=581, seq=7)),
            ["9: stream s1: complete, but there is no message_stop"],
        ),
        (lambda lines: lines.pop(1), ["2: stream s1: it does not begin with a request", "2: stream s1: seq 1 where 0 comes next"]),
        (lambda lines: lines.insert(2, {**lines[1], "seq": 1}), ["3: stream s1: more than one request", "4: stream s1: seq 1 where 2 comes next"]),
        (
            lambda lines: lines.append({**lines[8], "seq": 9}),
            ["11: stream s1: event record after its end"],
        ),
        (lambda lines: lines.extend(lines[1:]), ["11: stream s1: it is there twice"]),
        (lambda lines: lines[3].update(event="ping"), ["10: stream s1: end says 633 bytes, there are 624"]),
        (lambda lines: lines[3].update(base64="A"), ["4: stream s1: its bytes cannot be read: "]),
        (lambda lines: lines[3].update(raw="data: 1\n\ndata: 2\n\n"), ["4: stream s1: its bytes are not one event"]),
        (lambda lines: lines[1].update(wall=2**63), ["2: not a record: "]),
        (lambda lines: lines[3].update(wait=-1), ["4: stream s1: wait is -1"]),
        (lambda lines: lines[3].update(id="7"), ["4: stream s1: event, id or retry differ from its bytes"]),
        (lambda lines: lines[3].update(raw="event: message_start\ndata: {}\n\n"), ["4: stream s1: payload differs from its bytes"]),
        (lambda lines: lines[3].pop("wait"), ["4: not a record: Object missing required field `wait`; left out", "5: stream s1: seq 3 where 2 comes next"]),
    ],
)  # fmt: skip
def test_each_contradiction_is_found(tmp_path: Path, change: Change, expected: list[str]) -> None:
    lines = [json.loads(encode_line(record)) for record in records_of([BODY])]
    change(lines)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = path.read_bytes()

    (check,) = verify([path])

    found = reasons(check)
    assert found[: len(expected)] == [
        line if line.startswith(start) else start for line, start in zip(found, expected, strict=False)
    ]
    assert found
    assert path.read_bytes() == before


def test_a_duplicate_key_in_data_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", records_of([b"data: 1\n\n"]))
    path.write_bytes(path.read_bytes().replace(b'"data":1', b'"data":{"a":1,"a":2}'))

    (check,) = verify([path])

    assert "4: stream s1: data is JSON that some readers refuse" in reasons(check)


def test_a_torn_tail_is_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", records_of([BODY]))
    path.write_bytes(path.read_bytes()[:-10])

    (check,) = verify([path])

    assert check.problems == []
    assert check.lost == 1
    assert [warning.line for warning in check.warnings] == [10]


def test_each_line_that_is_no_record_is_a_problem_and_the_rest_is_checked(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", records_of([BODY]))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:1], b"{]\n", *lines[1:], b'{"kind":"note\xff"}\n', b"[]\n"]))

    (check,) = verify([path])

    assert [problem.line for problem in check.problems] == [2, 12, 13]
    assert (check.streams, check.events) == (1, 6)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hello\n", "not a recording"),
        (encode_line(msgspec.structs.replace(HEADER, v=VERSION + 1)), "written by a newer sse-recorder"),
    ],
)
def test_a_file_that_is_no_recording_is_one_problem_and_the_others_are_checked(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    bad = tmp_path / "a.jsonl"
    bad.write_bytes(content)
    good = write(tmp_path / "b.jsonl", records_of([BODY]))

    first, second = verify([bad, good])

    assert first.unreadable is not None
    assert [problem.reason.startswith(reason) for problem in first.problems] == [True]
    assert (second.problems, second.streams, second.unreadable) == ([], 1, None)
