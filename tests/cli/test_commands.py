"""What each command prints of good recordings."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from recorder.core.records import Phases
from recorder.log.streams import Stream
from recorder.recording import Recording
from tests.cli import recordings
from tests.cli.command import COMMANDS, contents, recorder
from tests.core.script import MS, Script


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """One stream of every kind."""
    return recordings.write(tmp_path / "all.jsonl", *recordings.every_kind())


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return recordings.write(tmp_path / "text.jsonl", recordings.text(tags={"feature": "chat"}))


def rows(output: str) -> list[dict[str, str]]:
    """A table in plain text, by its header; the last column may hold spaces."""
    head, *lines = output.splitlines()
    names = head.split()
    return [dict(zip(names, line.split(None, len(names) - 1), strict=False)) for line in lines]


@pytest.mark.parametrize("command", [*COMMANDS])
@pytest.mark.parametrize("kind", recordings.KINDS, ids=lambda kind: kind.__name__)
def test_every_command_takes_every_kind_of_stream_and_changes_nothing(
    tmp_path: Path, command: str, kind: Any
) -> None:
    file = recordings.write(tmp_path / "a.jsonl", kind())
    before = contents(tmp_path)

    result = recorder(*COMMANDS[command], file)

    assert (result.exit_code, result.stderr.startswith("error:")) == (0, False)
    assert contents(tmp_path) == before


def test_ls_has_a_row_for_each_stream_in_the_order_sent(path: Path) -> None:
    found = rows(recorder("ls", path).stdout)

    assert [row["outcome"] for row in found] == recordings.OUTCOMES
    assert found[1] == {
        "stream": "7417000000000001",
        "sent": "2026-11-21T01:05:01Z",
        "model": "claude-opus-4-5",
        "outcome": "complete",
        "status": "200",
        "ttft_s": "0.500",
        "ttft_text_s": "0.800",
        "duration_s": "0.905",
        "events": "11",
        "output_tokens": "12",
        "tags": "-",
    }


def test_ls_orders_by_the_send_whatever_order_they_ended_or_were_written_in(tmp_path: Path) -> None:
    recordings.write(tmp_path / "a.jsonl", recordings.text("02", sent=2000), recordings.text("01", sent=1000))
    recordings.write(tmp_path / "b.jsonl", recordings.text("00"), recordings.lost("03", sent=3000))

    found = json.loads(recorder("ls", tmp_path, "--format", "json").stdout)

    assert [row["stream"] for row in found] == ["00", "01", "02", "03"]


def test_ls_takes_several_paths_and_reads_each_file_once(tmp_path: Path) -> None:
    one = recordings.write(tmp_path / "a.jsonl", recordings.text("01"))
    recordings.write(tmp_path / "b.jsonl", recordings.text("02"))

    assert len(rows(recorder("ls", one, tmp_path, tmp_path / "*.jsonl").stdout)) == 2


def test_ls_filters_and_limits(path: Path) -> None:
    found = rows(recorder("ls", path, "--outcome", "failed", "--outcome", "complete", "--limit", "4").stdout)

    assert [row["outcome"] for row in found] == ["complete", "complete", "complete", "failed"]


def test_the_formats_hold_the_same_values(path: Path) -> None:
    as_json = json.loads(recorder("ls", path, "--format", "json").stdout)
    as_lines = [json.loads(line) for line in recorder("ls", path, "--format", "jsonl").stdout.splitlines()]
    as_csv = list(csv.DictReader(io.StringIO(recorder("ls", path, "--format", "csv").stdout)))

    assert as_json == as_lines
    assert [row["stream"] for row in as_csv] == [row["stream"] for row in as_json]
    assert [float(row["ttft_s"]) if row["ttft_s"] else None for row in as_csv] == [
        row["ttft_s"] for row in as_json
    ]
    assert as_json[0] == {
        "stream": "7e470000a1b2c3d4",
        "sent": "2026-11-21T01:05:00.000Z",
        "model": "claude-haiku-4-5-20251001",
        "outcome": "complete",
        "status": 200,
        "ttft_s": 0.4,
        "ttft_text_s": 0.4,
        "duration_s": 0.755,
        "events": 14,
        "output_tokens": 8,
        "tags": {},
    }


def test_nothing_to_list_is_an_empty_document(path: Path) -> None:
    for output, expected in (("json", "[]\n"), ("jsonl", "")):
        assert recorder("ls", path, "--outcome", "timeout", "--format", output).stdout == expected


def test_ls_and_sql_agree(path: Path) -> None:
    columns = "stream, model, outcome, status, ttft_s, ttft_text_s, duration_s, events, output_tokens"

    listed = json.loads(recorder("ls", path, "--format", "json").stdout)
    query = f"SELECT {columns} FROM streams ORDER BY wall_ns, mono_ns"
    queried = json.loads(recorder("sql", query, path, "--format", "json").stdout)

    assert queried == [{name: row[name] for name in columns.split(", ")} for row in listed]


def test_show_tells_the_whole_story(text: Path) -> None:
    lines = recorder("show", text).stdout.splitlines()

    assert lines[0] == "stream 7e470000a1b2c3d4  complete"
    for line in (
        "  tags feature=chat",
        "  model: claude-haiku-4-5",
        "  user: What is a stream?",
        "  200 HTTP/1.1 after 0.300 s",
        "  request-id: req_011C",
        "  read, complete, after 0.755 s",
        "  14 events, 9 chunks, 1,678 bytes",
        '  usage: {"input_tokens": 8, "output_tokens": 8}',
    ):
        assert line in lines
    table = lines[lines.index("body") + 1 : lines.index("end")]
    assert (
        "  6  0.4500     49.0    50.0            -      2  content_block_delta      0  text_delta      7   stream"
        in table
    )
    assert (
        " 12  0.7000     49.0       -            -      7  content_block_delta      0  text_delta      1  ."
        in table
    )
    assert "ttft_text_s" in recorder("show", text).stdout


def test_show_tells_what_the_http_client_did_who_read_and_what_came_unseen(tmp_path: Path) -> None:
    script = Script(arrival="eager", phases=Phases(send=(MS, 2 * MS), headers=(2 * MS, 100 * MS)), reused=True)
    records = script.text(1, 200, text="{}").text(1, 350, hold=150, text="{}").end(360).records
    path = recordings.write(tmp_path / "a.jsonl", records)
    shown = recorder("show", path)
    lines = shown.stdout.splitlines()

    assert "  connection reused, send 1.0 ms, headers 98.0 ms" in lines
    assert "  read ahead of the application: times are of the tap's own reads" in lines
    found = rows("\n".join(lines[lines.index("body") + 1 : lines.index("end")]))
    assert [(row["at_s"], row["gap_ms"], row["censored_ms"]) for row in found] == [
        ("0.2000", "-", "-"),
        ("0.3500", "150.0", "150.0"),
    ]


def test_show_tells_how_far_an_attempt_came_that_got_no_response(tmp_path: Path) -> None:
    script = Script(status=None).end(300, "failed", phases=Phases(connect=(MS, 21 * MS), send=(21 * MS, 22 * MS)))
    lines = recorder("show", recordings.write(tmp_path / "a.jsonl", script.records)).stdout.splitlines()

    assert "  connect 20.0 ms, send 1.0 ms" in lines


@pytest.mark.parametrize(
    ("stream", "line"),
    [
        ("fa11", "  error httpx2.RemoteProtocolError: peer closed connection without sending complete message body (incomplete chunked read)"),
        ("e44", "  API error overloaded_error: Overloaded"),
        ("529", "  529 HTTP/1.1 after 0.300 s"),
        ("c00", "  nothing came"),
        ("105", "  there was none: the process died, or was stopped, before the stream ended"),
        ("fa11", "stream fa11000000000001  failed, connection_error"),
    ],
)  # fmt: skip
def test_show_says_what_went_wrong(path: Path, stream: str, line: str) -> None:
    assert line in recorder("show", path, stream).stdout.splitlines()


def test_show_tells_what_a_replay_compares(text: Path) -> None:
    shown = json.loads(recorder("show", text, "--fingerprint").stdout)
    assert (shown["method"], shown["path"], shown["not_compared"]) == (
        "POST",
        "/v1/messages",
        ["metadata.user_id"],
    )
    assert shown["body"]["stream"] is True
    assert re.fullmatch("[0-9a-f]{32}", shown["fingerprint"])


def test_show_abbreviates_long_streams_and_texts_unless_told_otherwise(tmp_path: Path) -> None:
    words = [f"word{n} " for n in range(200)]
    asked = {"model": "m", "messages": [{"role": "user", "content": "why? " * 500}] * 9}
    long = recordings.stream("10", recordings.text_chunks(words), request=asked)
    file = recordings.write(tmp_path / "a.jsonl", long)

    short, full = recorder("show", file).stdout, recorder("show", file, "--full").stdout

    assert len(short.splitlines()) < 100
    assert "3 earlier messages; --request shows them" in short
    assert "rows left out; --full shows them" in short
    assert all(word.strip() in full for word in words)
    assert "why? " * 500 in full


def only(file: Path) -> Stream:
    [stream] = Recording(file).streams()
    return stream


def test_show_gives_each_part_of_a_stream_on_its_own(text: Path) -> None:
    stream = only(text)

    assert recorder("show", text, "--body").stdout_bytes == stream.body()
    assert json.loads(recorder("show", text, "--message").stdout) == stream.message()
    assert json.loads(recorder("show", text, "--request").stdout) == stream.request.body
    events = [json.loads(line) for line in recorder("show", text, "--events").stdout.splitlines()]
    recorded = [json.loads(line) for line in text.read_bytes().splitlines()]
    assert events == [line for line in recorded if line["kind"] == "event"]


def test_show_gives_any_body_byte_for_byte(tmp_path: Path) -> None:
    body = b"\xef\xbb\xbf: \xff\xfe\r\n\r\ndata: \x00\x1b[31m\n\n" + bytes(range(256))
    file = recordings.write(tmp_path / "a.jsonl", recordings.stream("01", [(400, 1, body)]))

    assert recorder("show", file, "--body").stdout_bytes == body


def test_show_as_json_is_one_document(path: Path) -> None:
    whole = json.loads(recorder("show", path, "7001", "--format", "json").stdout)

    assert list(whole) == ["stream", "file", "header", "request", "response", "events", "end", "metrics"]
    assert whole["request"]["body"]["model"] == "claude-sonnet-4-5"
    assert whole["metrics"]["ttf_tool_s"] == 0.4
    assert [event["text"] for event in whole["events"][1:5]] == [
        "[tool_use get_weather] ",
        "",
        '{"city": "Par',
        'is"}',
    ]


def test_show_message_of_a_stream_without_one(path: Path) -> None:
    result = recorder("show", path, "c00", "--message")

    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == f"error: {path}: stream c000000000000001 has no message\n"


def test_show_wants_to_know_which(path: Path) -> None:
    result = recorder("show", path)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "more than one stream there; name one" in result.stderr


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT 1 AS a, 'x' AS b", [{"a": 1, "b": "x"}]),
        ("SELECT 1 AS a, 2 AS a, 3 AS a", [{"a": 1, "a_2": 2, "a_3": 3}]),
        ("SELECT 'inf'::DOUBLE AS a, 'nan'::DOUBLE AS b, NULL AS c", [{"a": "inf", "b": "nan", "c": None}]),
        ("SELECT [1, 2] AS a, {'b': 1.5} AS b, '\\x01'::BLOB AS c, 2.50::DECIMAL(4,2) AS d", [{"a": [1, 2], "b": {"b": 1.5}, "c": "01", "d": 2.5}]),
        ("SELECT DATE '2026-01-02' AS a, TIMESTAMP '2026-01-02 03:04:05' AS b", [{"a": "2026-01-02", "b": "2026-01-02 03:04:05"}]),
        ("SELECT TIMESTAMPTZ '2026-01-02 03:04:05+00' = TIMESTAMPTZ '2026-01-02 03:04:05+00' AS a", [{"a": True}]),
        ("SELECT data->'delta' AS a FROM events WHERE seq = 5", [{"a": {"type": "text_delta", "text": "A"}}]),
        ("CREATE TABLE t (a INT); INSERT INTO t VALUES (7); FROM t", [{"a": 7}]),
        ("FROM stalls", []),
        ("", []),
    ],
)  # fmt: skip
def test_sql_gives_every_type_as_json(text: Path, query: str, expected: list[dict[str, object]]) -> None:
    result = recorder("sql", query, text, "--format", "json")

    assert (result.exit_code, json.loads(result.stdout)) == (0, expected)


def test_sql_gives_times_with_a_zone(text: Path) -> None:
    result = recorder("sql", "SET TimeZone = 'UTC'; SELECT TIMESTAMPTZ '2026-01-02 03:04:05+00' AS a", text)

    assert result.stdout.splitlines()[1].startswith("2026-01-02 03:04:05")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT nope FROM streams", 'Binder Error: Referenced column "nope" not found'),
        ("SELEC 1", 'Parser Error: syntax error at or near "SELEC"'),
        ("FROM nowhere", "Catalog Error: Table with name nowhere does not exist"),
        ("SELECT 'a'::INT", "Conversion Error: Could not convert string 'a' to INT32"),
        ("SELECT if(range < 5000, '1', 'a')::INT FROM range(9999)", "Conversion Error: "),
    ],
)
def test_a_query_that_fails_is_duckdbs_message_and_an_exit_code(text: Path, query: str, says: str) -> None:
    result = recorder("sql", query, text)

    assert result.exit_code == 5
    assert result.stderr.startswith(f"error: {says}")
    assert "Traceback" not in result.stderr


def test_verify_counts_and_finds_nothing(path: Path) -> None:
    result = recorder("verify", path)

    assert (result.exit_code, result.stderr) == (0, "")
    assert rows(result.stdout) == [
        {"file": str(path), "lines": "97", "streams": "11", "events": "62", "sealed": "no", "lost": "1", "dropped_chunks": "0", "unknown": "0", "problems": "0"}
    ]  # fmt: skip


def test_verify_says_one_line_for_each_problem(text: Path) -> None:
    content = text.read_bytes().replace(b'"chars":7', b'"chars":8', 1).replace(b'"events":14', b'"events":15')
    text.write_bytes(content)

    result = recorder("verify", text)

    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"problem: {text}:8: stream 7e470000a1b2c3d4: chars is 8 where its payload says 7",
        f"problem: {text}:18: stream 7e470000a1b2c3d4: end says 15 events, there are 14",
    ]


PLAYED = {
    "7e47": ("A stream is a sequence of events.\n", "complete after 0.755 s, 14 events"),
    "7417": ("Let me think.\n\nFünf.\n", "complete after 0.905 s, 11 events"),
    "7001": ('[tool_use get_weather] {"city": "Paris"}\n', "complete after 0.705 s, 8 events"),
    "e44": ("A stream is\n", "error_event after 0.605 s, 7 events: overloaded_error: Overloaded"),
    "fa11": ("A stream is\n", f"failed after 0.505 s, 6 events: {recordings.DISCONNECT.type}: {recordings.DISCONNECT.message}"),
    "7400": ("A stream is\n", "truncated after 0.705 s, 6 events"),
    "c10": ("A stream\n", "closed after 0.455 s, 5 events"),
    "1057": ("A stream\n", "lost, no end was recorded, 5 events"),
    "529": ("", "http_error after 0.315 s, 0 events: overloaded_error: Overloaded"),
    "c00": ("", "connect_failed after 0.005 s, 0 events: httpx2.ConnectError: [Errno 111] Connection refused"),
    "1503": ("Five.\n", "complete after 0.315 s, 0 events"),
}  # fmt: skip


@pytest.mark.parametrize("stream", list(PLAYED))
def test_play_prints_the_text_and_how_it_ended(path: Path, stream: str) -> None:
    result = recorder("play", path, stream, "--speed", "1e9")

    assert (result.exit_code, result.stdout, result.stderr) == (0, PLAYED[stream][0], PLAYED[stream][1] + "\n")


def test_play_without_thinking(path: Path) -> None:
    assert recorder("play", path, "7417", "--speed", "1e9", "--no-thinking").stdout == "Fünf.\n"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], [300, 300, 300, 400, 450, 500, 550, 600, 650, 700, 700, 750, 750, 750, 755]),
        (["--speed", "2"], [150, 150, 150, 200, 225, 250, 275, 300, 325, 350, 350, 375, 375, 375, 377.5]),
        (["--idle-limit", "0.06"], [60, 60, 60, 120, 170, 220, 270, 320, 370, 420, 420, 470, 470, 470, 475]),
    ],
)
def test_play_waits_for_absolute_times(
    text: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], expected: list[float]
) -> None:
    deadlines: list[int] = []
    monkeypatch.setattr("recorder_cli.play.sleep_until", deadlines.append)
    monkeypatch.setattr("recorder_cli.play.perf_counter_ns", lambda: 5_000_000_000)

    assert recorder("play", text, *options).exit_code == 0

    assert [(deadline - 5_000_000_000) / 1e6 for deadline in deadlines] == expected
