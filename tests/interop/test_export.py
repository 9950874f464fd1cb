"""Recordings in the formats of other tools, and back: the same streams, as far as the format can hold them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest
import vcr

import recorder
from recorder.testing import Reply, Upstream, bedrock_event, encode_event, message_events
from tests.cli.command import recorder as command
from tests.tap.calls import ASK

MS = 1_000_000
FIXTURES = Path(__file__).parents[2] / "fixtures"
ODD = "two\r\nlines, \x1b[31mred\x07, \x85\u2028\ufeff, \U0001f600, {{x}} 'y' \"z\" \\ \x00"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A stream of odd text, a body that is no JSON, an error and a call that does not stream; each once."""
    replies = [
        Reply.sse(message_events("Hel", ODD, "lo"), first=30 * MS, gap=20 * MS, headers={"request-id": "req_1"}),
        Reply.json(400, {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}),
        Reply.sse(message_events("cut")[:3], end="cut"),
    ]
    with (
        Upstream(replies) as upstream,
        recorder.Tap(tmp_path / "r") as tap,
        tap.wrap(anthropic.Anthropic(base_url=upstream.url, api_key="k" * 20, max_retries=0)) as client,
    ):
        with client.messages.stream(**ASK) as stream:
            assert stream.get_final_text() == f"Hel{ODD}lo"
        with pytest.raises(anthropic.BadRequestError):
            client.messages.create(**ASK)
        with pytest.raises(Exception, match="peer closed"), client.messages.stream(**ASK) as stream:
            list(stream)
    return tmp_path / "r"


def facts(streams: Iterator[recorder.Stream]) -> list[tuple[Any, ...]]:
    return [
        (
            one.request.method,
            one.url,
            one.request.body,
            one.status,
            one.body(),
            [event.data for event in one.events],
        )
        for one in sorted(streams, key=lambda one: (one.header.wall - one.header.mono + one.request.mono, one.id))
    ]


@pytest.mark.parametrize(("form", "suffix"), [("har", "har"), ("vcr", "yaml")])
def test_there_and_back_in_one_file(form: str, suffix: str, recorded: Path, tmp_path: Path) -> None:
    out = tmp_path / f"x.{suffix}"
    assert command("export", recorded, "--to", form, "-o", out).exit_code == 0
    assert command("import", out, "-o", tmp_path / "back").exit_code == 0

    back = recorder.open(tmp_path / "back")
    assert facts(back.streams()) == facts(recorder.open(recorded).streams())
    assert out.stat().st_mode & 0o777 == 0o600


def test_a_har_holds_when_and_how_it_broke(recorded: Path, tmp_path: Path) -> None:
    command("export", recorded, "--to", "har", "-o", tmp_path / "x.har")
    command("import", tmp_path / "x.har", "-o", tmp_path / "back")
    before = [one.timing() for one in recorder.open(recorded).streams()]
    after = [one.timing() for one in recorder.open(tmp_path / "back").streams()]

    for was, now in zip(before, after, strict=True):
        assert (now.outcome, now.error_type) == (was.outcome, was.error_type)
        for name in ("headers_s", "duration_s", "sent_s", "connect_s"):
            assert getattr(now, name) == pytest.approx(getattr(was, name), abs=2e-4), name
        assert now.ttft_s is None
    assert [was.outcome for was in before] == ["complete", "http_error", "failed"]


def test_a_har_is_one(recorded: Path, tmp_path: Path) -> None:
    command("export", recorded, "--to", "har", "-o", tmp_path / "x.har")
    log = json.loads((tmp_path / "x.har").read_text())["log"]

    assert log["version"] == "1.2"
    for entry in log["entries"]:
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", entry["startedDateTime"])
        spent = [entry["timings"][name] for name in ("blocked", "dns", "connect", "send", "wait", "receive")]
        assert sum(ms for ms in spent if ms > 0) == pytest.approx(entry["time"])
        assert entry["request"].keys() >= {"method", "url", "httpVersion", "cookies", "headers", "queryString"}
        assert entry["response"].keys() >= {"status", "statusText", "content", "redirectURL", "bodySize"}


@pytest.mark.parametrize(("form", "keeps_status"), [("sse", False), ("http", True)])
def test_there_and_back_one_file_a_stream(form: str, keeps_status: bool, recorded: Path, tmp_path: Path) -> None:
    done = command("export", recorded, "--to", form, "-o", tmp_path / "x")
    assert done.stderr == f"{tmp_path / 'x'}: 3 files\n"
    for one in recorder.open(recorded).streams():
        path = tmp_path / "x" / f"{one.id}.{form}"
        if form == "sse":
            assert path.read_bytes() == one.body()
        options = ["--from", "sse", "--all"]
        assert command("import", path, "-o", tmp_path / "back", *options).exit_code == 0
        (back,) = recorder.open(tmp_path / "back" / f"{one.id}.jsonl").streams()
        assert back.body() == one.body()
        assert back.status == (one.status if keeps_status else None)


def test_a_cassette_replays_in_vcrpy(recorded: Path, tmp_path: Path) -> None:
    """The real vcrpy, the real SDK, and no server."""
    command("export", recorded, "--to", "vcr", "-o", tmp_path / "c.yaml")
    first = next(recorder.open(recorded).streams())
    url = first.url.removesuffix("/v1/messages")
    with (
        vcr.use_cassette(str(tmp_path / "c.yaml"), record_mode="none") as cassette,
        anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as client,
    ):
        with client.messages.stream(**ASK) as stream:
            assert stream.get_final_text() == f"Hel{ODD}lo"
        with pytest.raises(anthropic.BadRequestError):
            client.messages.create(**ASK)
        assert cassette.play_count == 2


def test_a_cassette_cannot_say_that_a_stream_broke(recorded: Path, tmp_path: Path) -> None:
    done = command("export", recorded, "--to", "vcr", "-o", tmp_path / "c.yaml")

    assert done.stderr.count("it broke, which the format cannot say: there it ends like a whole one") == 1


def test_binary_bodies_go_there_and_back(tmp_path: Path) -> None:
    frames = b"".join(map(bedrock_event, message_events("Hel", "lo")))
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\n\r\n"
    (tmp_path / "a.http").write_bytes(head + frames)
    command("import", tmp_path / "a.http", "-o", tmp_path / "r")
    for form, suffix in (("har", "har"), ("vcr", "yaml"), ("http", "http")):
        out = tmp_path / f"x.{suffix}"
        assert (
            command(
                "export", tmp_path / "r" / "a.jsonl", "--to", form, "-o", out if form != "http" else tmp_path / "h"
            ).exit_code
            == 0
        )
        out = next((tmp_path / "h").iterdir()) if form == "http" else out
        assert command("import", out, "-o", tmp_path / f"back {form}").exit_code == 0
        (back,) = recorder.open(tmp_path / f"back {form}").streams()
        assert back.body() == frames
    (back,) = recorder.open(tmp_path / "back har").streams()
    assert back.unknown == ("wall", "headers", "body", "end", "request")


def test_an_asciicast_has_the_text_in_its_own_time(recorded: Path, tmp_path: Path) -> None:
    first = next(recorder.open(recorded).streams())
    done = command("export", recorded, "--stream", first.id, "--to", "asciicast", "-o", tmp_path / "x.cast")
    lines = (tmp_path / "x.cast").read_bytes().split(b"\n")
    header, *events = map(json.loads, filter(None, lines))

    assert done.exit_code == 0
    assert (header["version"], header["timestamp"]) == (2, first.request.wall // 10**9)
    assert all(isinstance(header[name], int) and header[name] > 0 for name in ("width", "height"))
    assert [at for at, _, _ in events] == sorted(at for at, _, _ in events)
    assert {kind for _, kind, _ in events} == {"o"}
    outputs = [event for event in first.events if event.chars]
    assert [at for at, _, _ in events][:-1] == [event.at / 1e9 for event in outputs]
    assert events[-1] == [first.timing().duration_s, "o", "\r\n"]
    text = "".join(text for _, _, text in events)
    assert text == (
        "Heltwo\\r\r\nlines, \\x1b[31mred\\x07, \\x85\\u2028\ufeff, \U0001f600, {{x}} 'y' \"z\" \\ \\x00lo\r\n"
    )


def test_thinking_is_dim_and_blocks_are_apart(tmp_path: Path) -> None:
    done = command("export", FIXTURES / "thinking.jsonl", "--to", "asciicast", "-o", tmp_path / "x")
    assert done.exit_code == 0
    texts = [
        json.loads(line)[2] for path in (tmp_path / "x").iterdir() for line in path.read_text().splitlines()[1:]
    ]

    assert any(text.startswith("\x1b[2m") and text.endswith("\x1b[0m") for text in texts)
    assert any(text.startswith("\r\n\r\n") for text in texts)


def test_what_has_no_times_is_no_asciicast(tmp_path: Path) -> None:
    (tmp_path / "a.sse").write_bytes(b"".join(map(encode_event, message_events("a"))))
    command("import", tmp_path / "a.sse", "-o", tmp_path / "r")
    (stream,) = recorder.open(tmp_path / "r").streams()
    why = f"stream {stream.id}: nobody knows when its text came, so it cannot be played"
    done = command("export", tmp_path / "r", "--to", "asciicast")
    several = command("export", tmp_path / "r", "--to", "asciicast", "-o", tmp_path / "x")

    assert (done.exit_code, done.stderr) == (2, f"error: {tmp_path / 'r'}: {why}\n")
    assert why in several.stderr
    assert list((tmp_path / "x").iterdir()) == []


def test_what_is_there_is_not_written_over(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "x.har").write_text("mine")
    done = command("export", recorded, "--to", "har", "-o", tmp_path / "x.har")

    assert (done.exit_code, (tmp_path / "x.har").read_text()) == (3, "mine")
    assert (
        done.stderr == f"error: {tmp_path / 'x.har'}: is there already; nothing was written; choose another name\n"
    )


def test_several_streams_do_not_go_into_one_file(recorded: Path) -> None:
    done = command("export", recorded, "--to", "sse")

    assert done.exit_code == 2
    said = "more than one stream there; name one (recorder ls shows their ids), or a directory by -o"
    assert done.stderr == f"error: {recorded}: {said}\n"


def test_to_the_standard_output(recorded: Path) -> None:
    first = next(recorder.open(recorded).streams())
    done = command("export", recorded, "--stream", first.id, "--to", "sse")

    assert done.stdout_bytes == first.body()


@pytest.mark.parametrize("form", ["sse", "har", "vcr", "asciicast"])
def test_a_recording_without_text_has_nothing_to_give(form: str, recorded: Path, tmp_path: Path) -> None:
    command("redact", recorded, tmp_path / "timing", "--capture", "timing")
    done = command("export", tmp_path / "timing", "--to", form, "-o", tmp_path / "x")

    assert done.stderr.count("recorded without text") == 3


def test_an_id_from_a_file_is_no_path(recorded: Path, tmp_path: Path) -> None:
    (segment,) = recorded.iterdir()
    first = next(recorder.open(recorded).streams())
    evil = segment.read_text().replace(first.id, "../../evil")
    (tmp_path / "evil.jsonl").write_text(evil)
    command("export", tmp_path / "evil.jsonl", "--to", "sse", "-o", tmp_path / "deep" / "x")

    assert not list(tmp_path.glob("evil*.sse"))
    assert (tmp_path / "deep" / "x" / "______evil.sse").exists()
