"""Files to tables: known rows, odd files, and nothing left out without a word."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from msgspec import Raw
from msgspec.structs import fields

from recorder.analytics.database import connect
from recorder.core.lines import encode_line
from recorder.core.records import (
    NO_DATA,
    Bytes,
    End,
    ErrorInfo,
    Event,
    Gap,
    Header,
    Record,
    Request,
    Response,
    StreamRecord,
    Summary,
)
from recorder.core.timing import Timing
from recorder.log.reader import RecordingError

MS = 1_000_000
HEADER = Header(format="sse-recording", v=1, segment="s", wall=0, mono=0, recorder="0")
TABLES = ("blocks", "calls", "events", "gap_histogram", "load_errors", "stalls", "streams")
COMPAT = ("aiperf", "guidellm", "otel_genai", "proxy", "sdk", "vllm")


def request(stream: str, *, ms: int = 0, call: str = "c", attempt: int = 0, **more: Any) -> Request:
    """Sent `ms` after 2026-01-02 03:04:05 UTC."""
    times = {"wall": 1767323045 * 10**9 + ms * MS, "mono": 7 + ms * MS}
    usual: dict[str, Any] = {"method": "POST", "url": "https://a.b/v1/messages?beta=true", "headers": {}}
    return Request(stream=stream, seq=0, at=0, call=call, attempt=attempt, **times, **(usual | more))


def response(stream: str, ms: int, status: int = 200, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(stream=stream, seq=1, at=ms * MS, status=status, headers=named)


def event(stream: str, seq: int, ms: int, event: str, **more: Any) -> Event:
    usual: dict[str, Any] = {"wait": 5 * MS, "chunk": seq, "data": Raw(b'{"type":"%s"}' % event.encode())}
    return Event(stream=stream, seq=seq, at=ms * MS, event=event, **(usual | more))


def text(stream: str, seq: int, ms: int, chars: int = 1, **more: Any) -> Event:
    usual: dict[str, Any] = {"block": 0, "delta": "text_delta", "chars": chars}
    return event(stream, seq, ms, "content_block_delta", **(usual | more))


def end(stream: str, seq: int, ms: int, **more: Any) -> End:
    usual: dict[str, Any] = {"end": "read", "complete": True, "events": 1, "bytes": 99, "chunks": seq, "wait": 0}
    return End(stream=stream, seq=seq, at=ms * MS, **(usual | more))


def a_stream(stream: str, **more: Any) -> list[StreamRecord]:
    return [
        request(stream, **more),
        response(stream, 100),
        text(stream, 2, 200),
        text(stream, 3, 250),
        end(stream, 4, 300),
    ]


def write(path: Path, records: list[Any], *, header: bool = True) -> Path:
    lines = [HEADER, *records] if header else records
    path.write_bytes(b"".join(line if isinstance(line, bytes) else encode_line(line) for line in lines))
    return path


def rows(database: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    result = database.execute(query)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def load(path: Path, records: list[Any], query: str) -> list[dict[str, Any]]:
    return rows(connect([write(path / "a.jsonl", records)]), query)


def types(database: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[str, str]]]:
    return {name: [row[:2] for row in database.execute(f"DESCRIBE {name}").fetchall()] for name in TABLES}


def test_no_recording_gives_empty_tables_with_the_columns_of_full_ones(tmp_path: Path) -> None:
    full = connect([write(tmp_path / "a.jsonl", a_stream("s"))])
    for files in ([], [write(tmp_path / "b.jsonl", [])], [write(tmp_path / "c.jsonl", [], header=False)]):
        empty = connect(files)
        assert types(full) == types(empty)
        assert [0] * len(TABLES) == [rows(empty, f"SELECT count(*) AS n FROM {name}")[0]["n"] for name in TABLES]


def test_only_the_documented_tables_are_left(tmp_path: Path) -> None:
    database = connect([write(tmp_path / "a.jsonl", a_stream("s"))])
    assert sorted([*TABLES, *(f"compat_{name}" for name in COMPAT)]) == [
        row["name"] for row in rows(database, "SHOW TABLES")
    ]


def test_every_metric_is_a_column_of_its_type(tmp_path: Path) -> None:
    columns = dict(types(connect([]))["streams"])
    assert {field.name for field in fields(Timing)} <= set(columns)
    assert {"DOUBLE"} == {kind for name, kind in columns.items() if name.endswith("_s")}


def test_a_stream_has_its_names(tmp_path: Path) -> None:
    headers = {
        "anthropic-version": "2023-06-01",
        "x-stainless-lang": "python",
        "x-stainless-package-version": "2.11.0",
        "user-agent": "u",
    }
    records: list[Record] = [
        request("s", headers=headers, tags={"user": "u1"}, data=Raw(b'{"model":"asked","messages":[1,2]}')),
        response("s", 100, request_id="req_1"),
        text("s", 2, 200),
        end("s", 3, 300, summary=Summary(id="msg_1", model="answered", stop_reason="end_turn")),
    ]
    [row] = load(tmp_path, records, "FROM streams")
    expected = {
        "stream": "s",
        "call": "c",
        "attempt": 0,
        "wall": datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001 (DuckDB's TIMESTAMP has no zone)
        "wall_ns": 1767323045 * 10**9,
        "mono_ns": 7,
        "method": "POST",
        "url": "https://a.b/v1/messages?beta=true",
        "path": "/v1/messages",
        "status": 200,
        "model": "answered",
        "request_model": "asked",
        "stop_reason": "end_turn",
        "message_id": "msg_1",
        "request_id": "req_1",
        "sdk": "python 2.11.0",
        "anthropic_version": "2023-06-01",
        "tags": {"user": "u1"},
        "ended": "read",
        "complete": True,
        "error_message": None,
        "request": '{"model":"asked","messages":[1,2]}',
    }
    assert expected == {name: row[name] for name in expected}


def test_a_stream_without_an_answer_is_counted_with_the_model_it_asked_for(tmp_path: Path) -> None:
    error = ErrorInfo(type="httpx2.ConnectError", message="refused")
    records = [
        request("s", url="/v1/messages", data=Raw(b'{"model":"asked"}'), headers={"user-agent": "curl/8"}),
        end("s", 1, 50, end="failed", complete=False, chunks=0, error=error),
    ]
    [row] = load(tmp_path, records, "FROM streams")
    assert (
        row["model"], row["path"], row["outcome"], row["error_message"], row["sdk"], row["status"],
    ) == ("asked", "/v1/messages", "connect_failed", "refused", "curl/8", None)  # fmt: skip


def test_a_body_that_is_no_json_names_no_model(tmp_path: Path) -> None:
    records = [
        request("s", text='{"model":"asked","a":"\\ud83d"}'),
        request("t", text='{"model":"asked","a":1,"a":2}'),
    ]
    assert [r["request_model"] for r in load(tmp_path, records, "FROM streams ORDER BY stream")] == [None, "asked"]


def test_a_stream_whose_request_is_in_no_file_is_left_out_and_told(tmp_path: Path) -> None:
    database = connect([write(tmp_path / "a.jsonl", [*a_stream("t"), *a_stream("s")[1:]])])
    assert [row["stream"] for row in rows(database, "FROM streams")] == ["t"]
    assert [row["stream"] for row in rows(database, "FROM calls")] == ["t"]
    [told] = rows(database, "SELECT line, kind, reason FROM load_errors")
    assert told == {"line": 7, "kind": "missing", "reason": "stream s has no request record; left out"}


def test_a_stream_in_several_files_is_one(tmp_path: Path) -> None:
    records = a_stream("s")
    whole = load(tmp_path, records, "FROM streams")
    parts = [write(tmp_path / f"{i}.jsonl", [record]) for i, record in enumerate(reversed(records))]
    assert whole == rows(connect(parts), "FROM streams")
    assert whole == rows(connect([*parts, parts[0]]), "FROM streams"), "a file is read once"


def test_concatenated_files_and_blank_lines_are_read(tmp_path: Path) -> None:
    records = [*a_stream("s"), HEADER, b"\n", *a_stream("t")]
    assert [row["stream"] for row in load(tmp_path, records, "FROM streams ORDER BY stream")] == ["s", "t"]


def test_events(tmp_path: Path) -> None:
    records = [
        request("s"),
        response("s", 100),
        event("s", 2, 200, "message_start", chunk=0),
        text("s", 3, 300, chars=4, chunk=1, wait=100_000),
        event("s", 4, 300, "ping", chunk=1, wait=100_000, data=NO_DATA, text='{"a":"\\ud83d"}'),
        text("s", 5, 350, chars=2, chunk=3, wait=10 * MS, split=((3, 320 * MS, 20 * MS),)),
        text("s", 6, 400, chars=2, chunk=4, wait=50 * MS, data=NO_DATA, text='{"a":1,"a":2}'),
        text("s", 7, 500, chars=2, chunk=5, block=1, wait=0),
        Bytes(stream="s", seq=8, at=600 * MS, wait=0, chunk=6, text=": comment"),
        Gap(stream="s", seq=9, at=700 * MS, chunks=1, bytes=1, reason="r"),
    ]
    names = ("seq", "at_s", "output", "coalesced", "censored", "earliest_s", "gap_s", "hold_s", "data", "text")
    found = load(tmp_path, records, f"SELECT {', '.join(names)} FROM events ORDER BY seq")
    delta = '{"type":"content_block_delta"}'
    expected = [
        (2, 0.2, False, False, False, 0.2, None, 0.095, '{"type":"message_start"}', None),
        (3, 0.3, True, False, True, 0.2, None, 0.0999, delta, None),
        (4, 0.3, False, True, True, 0.2, None, None, None, '{"a":"\\ud83d"}'),
        (5, 0.35, True, False, False, 0.35, 0.05, 0.02, delta, None),
        (6, 0.4, True, False, False, 0.4, 0.05, 0.0, '{"a":1,"a":2}', '{"a":1,"a":2}'),
        (7, 0.5, True, False, True, 0.4, None, 0.1, delta, None),
    ]
    assert expected == [tuple(row.values()) for row in found]


def test_payloads_can_be_left_out(tmp_path: Path) -> None:
    records = [*a_stream("s", data=Raw(b'{"model":"m"}')), event("s", 9, 400, "ping", data=NO_DATA, text="odd")]
    path = write(tmp_path / "a.jsonl", records)
    with_payloads, without = (connect([path], payloads=payloads) for payloads in (True, False))
    of_streams = "SELECT * EXCLUDE (request) FROM streams"
    assert rows(with_payloads, of_streams) == rows(without, of_streams)
    assert [rows(one, "SELECT request FROM streams") for one in (with_payloads, without)] == [
        [{"request": '{"model":"m"}'}],
        [{"request": None}],
    ]
    count = "SELECT count(*) AS events, count(data) AS data, count(text) AS text FROM events"
    assert rows(with_payloads, count) == [{"events": 3, "data": 2, "text": 1}]
    assert rows(without, count) == [{"events": 3, "data": 0, "text": 0}]


def test_blocks(tmp_path: Path) -> None:
    records = [
        response("s", 100),
        event("s", 2, 200, "content_block_start", block=0, delta="thinking"),
        text("s", 3, 300, chars=4, delta="thinking_delta"),
        text("s", 4, 400, chars=5, delta="thinking_delta"),
        text("s", 5, 410, chars=0, delta="signature_delta"),
        event("s", 6, 420, "content_block_stop", block=0),
        event("s", 7, 500, "content_block_start", block=1, delta="redacted_thinking", chars=70),
        text("s", 8, 600, chars=0, block=2),
        event("s", 9, 700, "message_delta"),
    ]
    found = load(tmp_path, records, "SELECT * EXCLUDE (stream) FROM blocks ORDER BY block")
    expected = [
        (0, "thinking", 0.2, 0.3, 0.4, 0.42, 2, 9),
        (1, "redacted_thinking", 0.5, 0.5, 0.5, None, 1, 70),
        (2, None, None, None, None, None, 0, 0),
    ]
    assert expected == [tuple(row.values()) for row in found]


def test_percentiles_are_those_of_quantile_cont(tmp_path: Path) -> None:
    records = [request("s"), response("s", 1), *(text("s", i, i * i * i) for i in range(2, 60))]
    database = connect([write(tmp_path / "a.jsonl", records)])
    [ours] = database.execute("SELECT [gap_p50_s, gap_p95_s, gap_p99_s, gap_max_s] FROM streams").fetchall()
    [theirs] = database.execute("SELECT quantile_cont(gap_s, [0.5, 0.95, 0.99, 1]) FROM events").fetchall()
    assert theirs[0] == pytest.approx(ours[0], rel=1e-12)


def test_a_call_with_retries(tmp_path: Path) -> None:
    overloaded = Summary(error=ErrorInfo(type="overloaded_error", message="busy"))
    records = [
        *a_stream("s3", ms=2500, attempt=2, tags={"user": "u1"}),
        request("s1", ms=1000),
        response("s1", 100, 529),
        end("s1", 2, 110, chunks=0, summary=overloaded),
        request("s2", ms=1700, attempt=1),
        end("s2", 1, 20, end="failed", complete=False, chunks=0),
    ]
    [row] = load(tmp_path, records, "FROM calls")
    expected = {
        "call": "c",
        "attempts": 3,
        "stream": "s3",
        "streams": ["s1", "s2", "s3"],
        "wall": datetime(2026, 1, 2, 3, 4, 6),  # noqa: DTZ001
        "wall_ns": 1767323046 * 10**9,
        "model": None,
        "request_model": None,
        "status": 200,
        "outcome": "complete",
        "error_type": None,
        "request_id": None,
        "tags": {"user": "u1"},
        "ttft_call_s": 1.7,
        "ttft_s": 0.2,
        "retry_penalty_s": 1.5,
        "duration_call_s": 1.8,
    }
    assert expected == row


def test_a_call_that_got_no_output_has_no_time_to_it(tmp_path: Path) -> None:
    records = [request("s1"), end("s1", 1, 10), request("s2", ms=500, attempt=1)]
    [row] = load(tmp_path, records, "FROM calls")
    assert (
        row["outcome"], row["attempts"], row["ttft_call_s"], row["retry_penalty_s"], row["duration_call_s"],
    ) == ("lost", 2, None, None, None)  # fmt: skip


def test_a_call_whose_first_attempt_is_in_no_file_has_no_time_from_it(tmp_path: Path) -> None:
    [row] = load(tmp_path, a_stream("s2", attempt=1), "FROM calls")
    assert (
        row["ttft_s"], row["ttft_call_s"], row["retry_penalty_s"], row["duration_call_s"],
    ) == (0.2, None, None, None)  # fmt: skip


LINE = b'{"kind":"event","stream":"s","seq":9,"at":900000000,"wait":1,"chunk":9,"event":"ping","data":%s}\n'
BAD_LINES = {
    "torn": b'{"kind":"event","stream":"s","se',
    "corrupt": b'{"kind":"event",!\n',
    "not an object": b"[1]\n",
    "NUL bytes": b"\0" * 50 + b"\n",
    "bad UTF-8": LINE % b'"\xff"',
    "half a surrogate pair": LINE % rb'"\ud83d"',
    "no integer": LINE.replace(b"900000000", b'"late"') % b"1",
}


@pytest.mark.parametrize("bad", BAD_LINES)
def test_a_line_that_cannot_be_read_is_left_out_and_counted(tmp_path: Path, bad: str) -> None:
    good = write(tmp_path / "good.jsonl", a_stream("t"))
    torn = write(tmp_path / "[bad]*?.jsonl", [*a_stream("s"), BAD_LINES[bad]])
    database = connect([torn, good])
    errors = rows(database, "SELECT file, line, kind FROM load_errors")
    assert errors == ([{"file": str(torn), "line": 7, "kind": "corrupt"}] if bad != "torn" else [])
    found = rows(database, "SELECT stream, outcome, events, ttft_s FROM streams ORDER BY stream")
    assert [tuple(row.values()) for row in found] == [("s", "complete", 2, 0.2), ("t", "complete", 2, 0.2)]


@pytest.mark.parametrize(
    "payload", ['{"a":1,"a":2}', '{"a":123456789012345678901234567890}', '"\u2028"', "[" * 300 + "]" * 300]
)
@pytest.mark.parametrize("torn", [False, True])
def test_a_payload_that_some_reader_refuses_is_kept(tmp_path: Path, payload: str, torn: bool) -> None:
    records = [*a_stream("s"), LINE % payload.encode(), *([b"torn"] if torn else [])]
    database = connect([write(tmp_path / "a.jsonl", records)])
    assert [{"event": "ping", "data": payload}] == rows(database, "SELECT event, data FROM events WHERE seq = 9")


@pytest.mark.parametrize("size", [20 << 20, 40 << 20])
def test_long_lines_are_read(tmp_path: Path, size: int) -> None:
    long = LINE % (b'"' + b"x" * size + b'"')
    database = connect([write(tmp_path / "a.jsonl", [*a_stream("s"), long])])
    assert [{"chars": size}] == rows(database, "SELECT length(data ->> '$') AS chars FROM events WHERE seq = 9")
    assert rows(database, "FROM load_errors") == []


def test_what_a_later_version_adds_is_ignored(tmp_path: Path) -> None:
    usual = load(tmp_path, a_stream("s"), "FROM streams")
    later = [
        *a_stream("s")[:-1],
        b'{"kind":"mood","stream":"s","seq":"first","at":{"a":1}}\n',
        b'{"kind":"mood","stream":"other","seq":1,"at":5}\n',
        encode_line(a_stream("s")[-1]).replace(b'{"kind"', b'{"colour":[1],"kind"'),
    ]
    assert usual == load(tmp_path, later, "FROM streams")


def test_files_that_are_no_recording_are_refused(tmp_path: Path) -> None:
    good = write(tmp_path / "good.jsonl", a_stream("t"))
    newer = encode_line(HEADER).replace(b'"v":1', b'"v":99')
    for name, lines in {"foreign": [b'{"a":1}\n'], "newer": [newer], "prose": [b"Dear diary,\n"]}.items():
        path = write(tmp_path / f"{name}.jsonl", lines, header=False)
        with pytest.raises(RecordingError, match=name):
            connect([good, path])
    with pytest.raises(RecordingError, match="gone"):
        connect([good, tmp_path / "gone.jsonl"])


def test_a_connection_of_the_callers_keeps_its_own_tables(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", a_stream("s"))
    mine = duckdb.connect(":memory:")
    mine.execute("CREATE TABLE mine AS SELECT 's' AS stream")
    assert connect([path], connection=mine) is mine
    assert connect([path], connection=mine) is mine
    assert rows(mine, "SELECT ttft_s FROM streams JOIN mine USING (stream)") == [{"ttft_s": 0.2}]
