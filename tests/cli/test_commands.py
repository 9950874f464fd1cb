"""What each command prints of good recordings."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli import recordings
from tests.cli.command import COMMANDS, contents, recorder, rows


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
