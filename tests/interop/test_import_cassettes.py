"""Cassettes of vcrpy and others become recordings, in all the shapes that they have had."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import pytest
import vcr

from recorder.testing import Reply, Upstream, bedrock_event, message_events
from tests import corpus
from tests.interop.imports import BODY, KEY, cassette, has_no_times, imported, replayed, write
from tests.tap.calls import ASK


@corpus.marker
def test_every_cassette_of_the_corpus_is_imported(tmp_path: Path) -> None:
    files = sorted((Path(os.environ["RECORDER_CORPUS"]) / "cassettes").iterdir())
    streams = imported(tmp_path, *files)

    assert len(files) > 80
    assert len({stream.path for stream in streams}) == len(files)
    assert {stream.timing().outcome for stream in streams} == {"complete", "http_error", "truncated"}
    assert all("body" in stream.unknown for stream in streams)
    known = {body.body for body in corpus.streams()}
    assert sum(stream.body() in known for stream in streams) > 60  # what others took out of the same files


SPELLINGS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "json": lambda one: json.dumps(one).encode(),
    "yaml": lambda one: __import__("yaml").safe_dump(one).encode(),
    "yaml by json": lambda one: b"# a comment\n" + json.dumps(one).encode(),
    "gzip": lambda one: gzip.compress(json.dumps(one).encode()),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_cassette_is_imported_without_its_key_and_replays(spelling: str, tmp_path: Path) -> None:
    made = cassette(BODY.decode().replace("there", KEY))
    (stream,) = imported(tmp_path, write(tmp_path / f"c.{spelling}", SPELLINGS[spelling](made)))

    assert KEY.encode() not in stream.path.read_bytes()
    assert stream.unknown == ("wall", "headers", "body", "end")
    assert stream.request.headers == {"anthropic-version": "2023-06-01", "content-type": "application/json"}
    assert stream.status == 200
    has_no_times(stream)
    assert replayed(tmp_path) == "Hello — [redacted]"


def test_older_and_other_shapes_of_cassettes(tmp_path: Path) -> None:
    made = cassette()["interactions"][0]
    httpx_of_old = {"status_code": 200, "http_version": "HTTP/1.1", "headers": made["response"]["headers"]}
    shapes: list[dict[str, Any]] = [
        {"interactions": [{**made, "response": {**httpx_of_old, "content": BODY.decode()}}]},
        {
            "http_interactions": [
                {
                    **made,
                    "response": {
                        **made["response"],
                        "body": {
                            "encoding": "UTF-8",
                            "base64_string": __import__("base64").b64encode(BODY).decode(),
                        },
                    },
                }
            ]
        },
        {
            "version": 2,
            "interactions": [
                {
                    "request": {**made["request"], "uri": None, "url": made["request"]["uri"]},
                    "response": {
                        "code": 200,
                        "proto": "HTTP/2.0",
                        "headers": made["response"]["headers"],
                        "body": BODY.decode(),
                    },
                }
            ],
        },
    ]
    files = [write(tmp_path / f"{n}.json", json.dumps(shape)) for n, shape in enumerate(shapes)]
    streams = imported(tmp_path, *files)

    assert [stream.body() for stream in streams] == [BODY] * 3
    assert {stream.url for stream in streams} == {"https://api.anthropic.com/v1/messages"}


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("taken_off", [True, False])
def test_a_body_in_a_content_encoding_or_no_longer(encoding: str, taken_off: bool, tmp_path: Path) -> None:
    import base64
    import zlib

    import brotli

    from recorder.core.zstd import ZstdCompressor

    def zstd(body: bytes) -> bytes:
        made = ZstdCompressor()
        return made.compress(body) + made.flush()

    encode = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstd}[encoding]
    made = cassette()
    response = made["interactions"][0]["response"]
    response["headers"]["content-encoding"] = [encoding]
    body = BODY if taken_off else encode(BODY)
    response["body"] = {"base64_string": base64.b64encode(body).decode()}
    (stream,) = imported(tmp_path, write(tmp_path / "c.json", json.dumps(made)))

    assert stream.body() == BODY
    assert replayed(tmp_path) == "Hello — there"


def test_bedrock_is_imported_frame_by_frame(tmp_path: Path) -> None:
    import base64

    frames = b"".join(bedrock_event(event) for event in message_events("Hel", "lo"))
    made = cassette()
    made["interactions"][0]["response"] |= {
        "headers": {"content-type": "application/vnd.amazon.eventstream"},
        "body": {"base64_string": base64.b64encode(frames).decode()},
    }
    (stream,) = imported(tmp_path, write(tmp_path / "c.json", json.dumps(made)))

    assert stream.body() == frames
    assert (stream.timing().outcome, stream.timing().output_chars) == ("complete", 5)


def test_retries_of_a_call_stay_one_call(tmp_path: Path) -> None:
    made = cassette()
    first = json.loads(json.dumps(made["interactions"][0]))
    first["response"] |= {
        "status": {"code": 529},
        "body": {"string": "{}"},
        "headers": {"content-type": "application/json"},
    }
    made["interactions"][0]["request"]["headers"]["x-stainless-retry-count"] = ["1"]
    made["interactions"].insert(0, first)
    failed, answered = imported(tmp_path, write(tmp_path / "c.json", json.dumps(made)))

    assert failed.call == answered.call
    assert (failed.request.attempt, answered.request.attempt) == (0, 1)
    assert replayed(tmp_path) == "Hello — there"


def test_a_real_cassette_of_vcrpy(tmp_path: Path) -> None:
    """Recorded by vcrpy from a real server, through the real SDK."""
    events = message_events("Hel", "lo")
    with Upstream([Reply.sse(events)]) as upstream, vcr.use_cassette(str(tmp_path / "c.yaml")):
        with anthropic.Anthropic(base_url=upstream.url, api_key=KEY) as client:
            with client.messages.stream(**ASK) as stream:
                assert stream.get_final_text() == "Hello"
        assert len(upstream.received) == 1
    assert KEY in (tmp_path / "c.yaml").read_text()

    (made,) = imported(tmp_path, tmp_path / "c.yaml")

    assert KEY.encode() not in made.path.read_bytes()
    assert made.url == f"{upstream.url}/v1/messages"
    assert replayed(tmp_path) == "Hello"
