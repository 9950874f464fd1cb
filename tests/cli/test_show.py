"""`recorder show`: one stream, as a story, in parts, and byte for byte."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from recorder.core.records import Phases
from recorder.log.streams import Stream
from recorder.recording import Recording
from tests.cli import recordings
from tests.cli.command import recorder, rows
from tests.core.script import MS, Script


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
    what = (shown["method"], shown["path"], shown["not_compared"])
    assert what == ("POST", "/v1/messages", ["metadata.user_id"])
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
