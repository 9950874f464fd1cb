"""Files of other tools become recordings: whole, sealed, without secrets, and without invented times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import recorder
from recorder.testing import message_events
from tests import corpus
from tests.cli.command import recorder as command
from tests.interop.imports import BODY, KEY, cassette, has_no_times, imported, replayed, write
from tests.tap.calls import ASK

PAYLOADS = [json.dumps(event).encode() for event in message_events("Hel", "lo")]


@corpus.marker
def test_every_body_of_the_corpus_comes_back_byte_for_byte(tmp_path: Path) -> None:
    chosen = corpus.streams()[::12]
    files = [write(tmp_path / f"{n}.sse", one.body) for n, one in enumerate(chosen)]
    streams = {stream.path.stem: stream for stream in imported(tmp_path, *files)}

    assert len(streams) == len(chosen) > 40
    assert all(streams[str(n)].body() == one.body for n, one in enumerate(chosen))


def test_a_bare_body_says_what_is_not_known(tmp_path: Path) -> None:
    (stream,) = imported(tmp_path, write(tmp_path / "body.sse", BODY))

    assert stream.unknown == ("wall", "headers", "body", "end", "request", "response")
    assert (stream.body(), stream.header.source, stream.status) == (BODY, "sse", None)
    assert stream.timing().outcome == "complete"
    has_no_times(stream)


def test_a_bare_body_with_its_request_replays(tmp_path: Path) -> None:
    asked = write(tmp_path / "ask.json", json.dumps({**ASK, "stream": True}))
    (stream,) = imported(tmp_path, write(tmp_path / "body.sse", BODY), "--request", asked)

    assert "request" not in stream.unknown
    assert replayed(tmp_path) == "Hello — there"


def test_a_bare_body_without_it_replays_where_the_user_says_that_it_matches(tmp_path: Path) -> None:
    imported(tmp_path, write(tmp_path / "body.sse", BODY))

    assert replayed(tmp_path, match=lambda recorded, asked: None) == "Hello — there"


def test_a_request_that_no_import_answers_is_told_without_an_age(tmp_path: Path) -> None:
    imported(tmp_path, write(tmp_path / "c.json", json.dumps(cassette())))
    with recorder.replay(tmp_path / "out").client() as client:
        with pytest.raises(recorder.NoMatch, match="of unknown age") as raised:
            client.messages.create(**{**ASK, "max_tokens": 11})

    assert raised.value.age_s is None


def test_a_bare_body_that_stops_has_no_known_end(tmp_path: Path) -> None:
    (stream,) = imported(tmp_path, write(tmp_path / "body.sse", BODY[:-40]))

    assert stream.end is None
    assert stream.body() == BODY[:-40]


def test_the_headers_of_curl(tmp_path: Path) -> None:
    head = (
        "HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        f"HTTP/2 200 \r\ncontent-type: text/event-stream\r\nset-cookie: a=b\r\nrequest-id: {KEY}\r\n\r\n"
    )
    (stream,) = imported(tmp_path, write(tmp_path / "body.http", head.encode() + BODY))

    assert stream.response is not None
    assert (stream.status, stream.response.http) == (200, "HTTP/2")
    assert stream.response.headers == {"content-type": "text/event-stream", "request-id": "[redacted]"}
    assert stream.body() == BODY
    assert stream.unknown == ("wall", "headers", "body", "end", "request")


def test_curl_of_an_error(tmp_path: Path) -> None:
    error = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    head = b"HTTP/1.1 529 Overloaded\ncontent-type: application/json\n\n"
    (stream,) = imported(tmp_path, write(tmp_path / "body.http", head + error), "--from", "sse", "--all")

    assert (stream.status, stream.timing().outcome, stream.timing().error_type) == (
        529,
        "http_error",
        "overloaded_error",
    )


def test_what_ant_prints(tmp_path: Path) -> None:
    lines = [payload.decode() for payload in PAYLOADS]
    (first, second) = imported(tmp_path, write(tmp_path / "out.jsonl", "\n".join([*lines, *lines]) + "\n"))

    assert first.unknown[-1] == "spelling"
    assert first.body() == second.body()
    assert first.message() == {**(first.message() or {}), "stop_reason": "end_turn"}
    assert first.events[2].event == "content_block_delta"
    assert (first.header.source, first.timing().outcome, first.timing().output_chars) == ("ant", "complete", 5)


def test_a_har_has_the_times_that_it_has(tmp_path: Path) -> None:
    timings = {"blocked": 1, "dns": 2, "connect": 30, "ssl": 20, "send": 0.5, "wait": 400, "receive": 1500}
    (stream,) = imported(tmp_path, write(tmp_path / "x.har", json.dumps(har(time=1933.5, timings=timings))))
    timing = stream.timing()

    assert stream.unknown == ("body",)
    assert stream.request.wall == 1_795_223_100_120_000_000
    assert (timing.headers_s, timing.duration_s) == (0.4335, 1.9335)
    assert (timing.connect_s, timing.tls_s, timing.send_s, timing.sent_s) == (0.012, 0.02, 0.0005, 0.0335)
    assert (timing.ttft_s, timing.gap_max_s, timing.stalls, timing.wait_s) == (None,) * 4
    row = (
        recorder.open(stream.path)
        .sql("SELECT headers_s, duration_s, ttft_s, wall IS NULL FROM streams")
        .fetchall()
    )
    assert row == [(0.4335, 1.9335, None, False)]
    assert replayed(tmp_path) == "Hello — there"


def test_a_har_of_a_tool_that_buffers_does_not_know_when_the_headers_came(tmp_path: Path) -> None:
    timings = {"blocked": -1, "dns": -1, "connect": -1, "ssl": -1, "send": 0, "wait": 502, "receive": 0}
    (stream,) = imported(tmp_path, write(tmp_path / "x.har", json.dumps(har(time=502, timings=timings))))

    assert stream.unknown == ("headers", "body")
    assert (stream.timing().headers_s, stream.timing().duration_s) == (None, 0.502)


def har(**of_entry: Any) -> dict[str, Any]:
    made = cassette()["interactions"][0]
    headers = [{"name": ":method", "value": "POST"}, {"name": "anthropic-version", "value": "2023-06-01"}]
    entry = {
        "startedDateTime": "2026-11-21T01:05:00.120Z",
        "request": {"method": "POST", "url": made["request"]["uri"], "headers": headers, "postData": {"text": made["request"]["body"]}},
        "response": {"status": 200, "httpVersion": "h2", "headers": [], "content": {"mimeType": "text/event-stream", "text": BODY.decode(), "size": 9}},
        **of_entry,
    }  # fmt: skip
    script = {
        "request": {"method": "GET", "url": "https://x.test/a.js"},
        "response": {"status": 200, "content": {"text": "a"}},
    }
    unkept = {**entry, "response": {"status": 200, "content": {"size": 99, "mimeType": "text/event-stream"}}}
    return {"log": {"version": "1.2", "entries": [script, entry, unkept]}}


def test_the_same_file_is_not_imported_twice_and_equal_names_are_told_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "body.sse", BODY)
    both = (tmp_path / "a" / "body.sse", tmp_path / "b" / "body.sse")
    imported(tmp_path, *both)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["body-2.jsonl", "body.jsonl"]

    again = command("import", both[0], "-o", tmp_path / "out")

    assert again.exit_code == 3
    where = tmp_path / "out" / "body.jsonl"
    assert again.stderr == f"error: {both[0]}: {where} is there already; nothing was written; name another place\n"


def test_what_is_no_call_to_claude_is_left_out_and_counted(tmp_path: Path) -> None:
    done = command("import", write(tmp_path / "x.har", json.dumps(har())), "-o", tmp_path / "out")

    assert done.exit_code == 0
    assert "1 request left out, neither to Claude nor streams of events; --all takes them." in done.stderr
    assert len(imported(tmp_path / "all", tmp_path / "x.har", "--all")) == 2


def test_rules_of_the_user_hold(tmp_path: Path) -> None:
    path = write(tmp_path / "c.json", json.dumps(cassette()))
    (stream,) = imported(tmp_path, path, "--rule", "$.messages", "--rule", "lo — ")

    assert b"lo \xe2\x80\x94" not in stream.path.read_bytes()
    assert stream.request.body["messages"] == "[redacted]"


def test_files_of_which_one_is_refused(tmp_path: Path) -> None:
    good, bad = write(tmp_path / "a.sse", BODY), write(tmp_path / "b.yaml", "- nothing\n")
    done = command("import", good, bad, tmp_path / "none", "-o", tmp_path / "out")

    assert done.exit_code == 3
    assert done.stderr.splitlines() == [
        f"error: {bad}: is no cassette: Expected `object`, got `array`",
        f"error: {tmp_path / 'none'}: no such file or directory",
        f"{tmp_path / 'out'}: 1 stream of 1 file",
    ]


def test_an_imported_stream_is_shown_listed_and_played(tmp_path: Path) -> None:
    imported(tmp_path, write(tmp_path / "body.sse", BODY))
    listed = command("ls", tmp_path / "out", "--format", "json")
    shown = command("show", tmp_path / "out")
    played = command("play", tmp_path / "out")
    stats = command("stats", tmp_path / "out")

    (row,) = json.loads(listed.stdout)
    assert (row["sent"], row["ttft_s"], row["duration_s"], row["status"]) == (None,) * 4
    assert "not known: wall, headers, body, end, request, response" in shown.stdout
    assert "ttft_s" not in shown.stdout
    assert played.stdout == "Hello — there\n"
    assert stats.exit_code == 0


def test_from_the_standard_input(tmp_path: Path) -> None:
    import subprocess
    import sys

    program = "from recorder_cli.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", program, "import", "-", "-o", "out"], input=BODY, cwd=tmp_path, capture_output=True
    )

    assert (done.returncode, done.stderr.decode()) == (0, "out: 1 stream of 1 file\n")
    assert [stream.body() for stream in recorder.open(tmp_path / "out" / "stdin.jsonl").streams()] == [BODY]


def test_a_har_knows_of_a_connection_that_failed(tmp_path: Path) -> None:
    made = har()
    made["log"]["entries"][1]["response"] = {"status": 0, "_error": "net::ERR_CONNECTION_RESET", "content": {}}
    (stream, _) = imported(tmp_path, write(tmp_path / "x.har", json.dumps(made)), "--all")[::-1]

    assert stream.response is None
    assert stream.timing().outcome == "connect_failed"
