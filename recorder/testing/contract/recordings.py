"""A recording, replayed and recorded again, is the same recording but for its times."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import httpx2

from recorder.core import wire
from recorder.core.records import StreamRecord
from recorder.log.streams import Stream, read_streams
from recorder.replayer.session import Replay
from recorder.tap.middleware import Tap
from recorder.tap.transport import TapTransport

_TIMES = ("stream", "at", "wait", "wall", "mono", "call", "split", "tags", "phases", "reused")


def check_record_of_replay(path: str | os.PathLike[str]) -> int:
    """The recording at `path` is replayed stream by stream, and recorded: every record and chunk must come again.

    Whoever writes recordings (recorder/FORMAT.md) finds out by this whether they replay as what was recorded.
    Returns the number of streams. Raises RecordingError for a recording that cannot be read.
    """
    replay = Replay(path, timing="recorded", speed=1e9)  # `instant` adds a header to errors
    assert replay.streams, f"{os.fspath(path)}: nothing was checked: the recording has no streams"
    with tempfile.TemporaryDirectory(prefix="recorder-") as directory:
        copy = Path(directory) / "again.jsonl"
        with Tap(copy) as tap:
            for stream in replay.streams:
                _send_again(replay, stream, tap)
        again = sorted(read_streams([copy], report=lambda _: None), key=lambda stream: stream.request.mono)
    there, came = len(replay.streams), len(again)
    assert came == there, f"{os.fspath(path)}: of {there} streams came {came}"
    for before, after in zip(replay.streams, again, strict=True):
        _compare(before, after)
    return came


def _compare(before: Stream, after: Stream) -> None:
    where = f"{before.path}: stream {before.id}"
    sizes = [[len(chunk.data) for chunk in one.chunks()] for one in (before, after)]
    assert sizes[1] == sizes[0], f"{where}: chunks of {sizes[0]} bytes came again as {sizes[1]}"
    assert [one.data for one in after.chunks()] == [one.data for one in before.chunks()], f"{where}: other bytes"
    counts = [len(one.records) for one in (before, after)]
    assert counts[1] == counts[0], f"{where}: {counts[0]} records came again as {counts[1]}"
    for old, new in zip(before.records, after.records, strict=True):
        was, now = _timeless(old), _timeless(new)
        fields = [name for name in was.keys() | now.keys() if was.get(name) != now.get(name)]
        said = "; ".join(f"{name} {was.get(name)!r} came again as {now.get(name)!r}" for name in sorted(fields))
        assert not fields, f"{where}: record {old.seq} ({was['kind']}): {said}"


def _timeless(record: StreamRecord) -> dict[str, Any]:
    """The fields of a record that do not tell when it was made."""
    fields = {name: getattr(record, name) for name in record.__struct_fields__ if name not in _TIMES}
    if record.__struct_config__.tag == "request":
        fields["headers"] = fields["url"] = None  # the SDK's then, httpx2's now
    if record.__struct_config__.tag == "response":
        fields["url"] = None  # known from the request now
    return {"kind": record.__struct_config__.tag, **{k: bytes(v) if k == "data" else v for k, v in fields.items()}}


def _send_again(replay: Replay, stream: Stream, tap: Tap) -> None:
    """Ask as the recorded client did, and read to the same place."""
    headers = {
        **stream.request.headers,
        "content-type": "application/json",
        "accept-encoding": "identity",
        "x-stainless-retry-count": str(stream.request.attempt),
    }
    content = wire.payload(stream.request)
    transport = TapTransport(tap, replay.transport)
    with httpx2.Client(transport=transport, base_url="https://api.anthropic.com") as client:
        try:
            with client.stream(stream.request.method, stream.url, content=content, headers=headers) as response:
                if stream.end is None or stream.end.end != "closed":
                    response.read()
                else:
                    with closing(cast("Generator[bytes]", response.iter_raw())) as chunks:
                        for _ in stream.chunks():
                            next(chunks)
        except httpx2.TransportError:
            pass
