"""What a replay serves is what was recorded: recording it again gives the same records, but for the times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

import recorder
from recorder.core import wire
from recorder.core.records import Event, StreamRecord
from recorder.log.streams import Stream
from recorder.testing import Reply, Step, Upstream, chunkings
from tests.corpus import marker, streams

FIXTURES = sorted((Path(__file__).parents[2] / "fixtures").glob("*.jsonl"))
TIMES = ("stream", "at", "wait", "wall", "mono", "call", "split", "tags", "phases", "reused")


def timeless(record: StreamRecord) -> dict[str, Any]:
    """The fields of a record that do not tell when it was made."""
    fields = {name: getattr(record, name) for name in record.__struct_fields__ if name not in TIMES}
    if record.__struct_config__.tag == "request":
        fields["headers"] = fields["url"] = None  # the SDK's then, httpx2's now
    if record.__struct_config__.tag == "response":
        fields["url"] = None  # known from the request now
    return {"kind": record.__struct_config__.tag, **{k: bytes(v) if k == "data" else v for k, v in fields.items()}}


def said(stream: Stream) -> tuple[list[dict[str, Any]], list[bytes]]:
    return [timeless(record) for record in stream.records], [chunk.data for chunk in stream.chunks()]


def send_again(replay: recorder.Replay, stream: Stream, tap: recorder.Tap) -> None:
    """Ask as the recorded client did, and read to the same place."""
    transport = recorder.TapTransport(tap, replay.transport)
    with httpx2.Client(transport=transport, base_url="https://api.anthropic.com") as client:
        content = wire.payload(stream.request)
        headers = {
            **stream.request.headers,
            "content-type": "application/json",
            "accept-encoding": "identity",
            "x-stainless-retry-count": str(stream.request.attempt),
        }
        try:
            with client.stream(stream.request.method, stream.url, content=content, headers=headers) as response:
                if stream.end is None or stream.end.end != "closed":
                    response.read()
                else:
                    chunks = response.iter_raw()
                    for _ in stream.chunks():
                        next(chunks)
                    chunks.close()
        except httpx2.TransportError:
            pass


def check(source: Path, copy: Path) -> int:
    replay = recorder.replay(source, timing="recorded", speed=1e9)  # `instant` adds a header to errors
    with recorder.Tap(copy) as tap:
        for stream in replay.streams:
            send_again(replay, stream, tap)
    again = sorted(recorder.open(copy).streams(), key=lambda stream: stream.request.mono)
    for before, after in zip(replay.streams, again, strict=True):
        assert said(after) == said(before)
    return len(again)


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.stem)
def test_every_fixture(fixture: Path, tmp_path: Path) -> None:
    assert check(fixture, tmp_path / "again.jsonl") > 0


@marker
@pytest.mark.slow
def test_the_corpus(tmp_path: Path) -> None:
    """Every real stream, in the chunks it came in or in a seeded cut of it."""
    known = streams()
    replies = []
    for number, one in enumerate(known):
        cuts = [one.chunks] if one.chunks else [c for name, c in chunkings(one.body, seed=number) if len(c) < 2000]
        replies.append(Reply(steps=tuple(Step(at=0, data=data) for data in cuts[number % len(cuts)])))
    with Upstream(replies) as upstream, recorder.Tap(tmp_path / "first.jsonl") as tap:
        with httpx2.Client(transport=recorder.TapTransport(tap)) as client:
            for number in range(len(known)):
                body = {"model": "m", "messages": [{"role": "user", "content": f"stream {number}"}]}
                client.post(f"{upstream.url}/v1/messages", json=body, headers={"anthropic-version": "1"})

    assert check(tmp_path / "first.jsonl", tmp_path / "again.jsonl") == len(known)
    events = sum(
        isinstance(r, Event) for s in recorder.open(tmp_path / "again.jsonl").streams() for r in s.records
    )
    assert events > 10_000
