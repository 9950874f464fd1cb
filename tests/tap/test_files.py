"""Where the records go: full queues, bad disks, files that are somebody else's, forks, many streams at once."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
from pathlib import Path
from typing import Any

import httpx2
import pytest

import recorder
from recorder.core.records import Gap
from recorder.testing import (
    Received,
    Reply,
    Upstream,
    message_events,
)
from tests.tap.calls import (
    ASK,
    MS,
    ChunkTransport,
    async_client,
    check_hello,
    client,
    hello,
    recorded,
)


def test_a_full_queue_drops_and_says_so_and_the_stream_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = [b"data: %d\n\n" % n for n in range(2000)]
    with recorder.Tap(tmp_path, queue_bytes=512 * 50) as tap:
        transport = recorder.TapTransport(tap, ChunkTransport(body, None))
        with httpx2.Client(transport=transport) as http, http.stream("GET", "http://x/") as response:
            os.sched_yield()
            assert b"".join(response.iter_raw()) == b"".join(body)

    [stream] = recorded(tmp_path)
    gaps = [record for record in stream.records if isinstance(record, Gap)]
    assert sum(gap.chunks for gap in gaps) == tap.stats().dropped_chunks > 0
    assert len(stream.events) + tap.stats().dropped_chunks >= 2000 - len(gaps)
    assert [record.seq for record in stream.records] == list(range(len(stream.records)))


def test_a_disk_that_fails_costs_nothing_but_records(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way of the directory")
    with caplog.at_level(logging.ERROR, "recorder"), Upstream(hello) as upstream:
        tap = recorder.Tap(blocked / "recordings")
        events = [*tap.wrap(client(upstream)).messages.create(**ASK, stream=True)]
        tap.close()

    assert len(events) == 9
    assert tap.stats().lost_records > 0
    assert len([record for record in caplog.records if "cannot write" in record.message]) == 1


def test_recording_goes_on_when_the_disk_does(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way of the directory")
    with Upstream(hello) as upstream, recorder.Tap(blocked / "recordings") as tap:
        [*tap.wrap(client(upstream)).messages.create(**ASK, stream=True)]
        assert not tap.flush(0.05)
        blocked.unlink()
        assert tap.flush()

    check_hello(blocked / "recordings")
    assert tap.stats().lost_records == 0


def test_a_tap_appends_to_a_file_and_never_to_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    with Upstream(hello) as upstream:
        for torn in (b"", b'{"kind":"event","stream":"tor'):
            with recorder.Tap(path) as tap:
                [*tap.wrap(client(upstream)).messages.create(**ASK, stream=True)]
            with path.open("ab") as file:
                file.write(torn)
        with recorder.Tap(path) as tap:
            [*tap.wrap(client(upstream)).messages.create(**ASK, stream=True)]

    recording = recorder.open(path)
    assert len(list(recording.streams())) == 3
    assert [problem.kind for problem in recording.problems] == ["torn"]


def test_two_taps_on_one_file_are_told_apart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "one.jsonl"
    with Upstream(hello) as upstream, recorder.Tap(path) as first:
        [*first.wrap(client(upstream)).messages.create(**ASK, stream=True)]
        first.flush()
        second = recorder.Tap(path)
        [*second.wrap(client(upstream)).messages.create(**ASK, stream=True)]
        second.close()

    assert "another writer has it open" in caplog.text
    check_hello(path)


@pytest.mark.parametrize("content", [b"hello\n", b"{}\n", b'{"kind":"event"}\n', b"\x00\x01"])
def test_a_file_that_is_no_recording_is_not_touched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.jsonl"
    path.write_bytes(content)

    with pytest.raises(recorder.RecordingError, match=r"notes\.jsonl:1: not a recording; nothing was written"):
        recorder.Tap(path)

    assert path.read_bytes() == content


def test_a_closed_tap_lets_streams_go_on(tmp_path: Path) -> None:
    with Upstream(hello) as upstream:
        tap = recorder.Tap(tmp_path)
        stream = tap.wrap(client(upstream)).messages.create(**ASK, stream=True)
        tap.close()
        assert len([*stream]) == 9
        assert len([*tap.wrap(client(upstream)).messages.create(**ASK, stream=True)]) == 9

    assert [stream.end for stream in recorded(tmp_path)] == [None]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_records_to_its_own_segment(tmp_path: Path) -> None:
    body = [b"data: 1\n\n"]
    tap = recorder.Tap(tmp_path)

    def ask() -> None:
        with httpx2.Client(transport=recorder.TapTransport(tap, ChunkTransport(body, None))) as http:
            http.get("http://x/")

    ask()
    if (child := os.fork()) == 0:
        try:
            ask()
            tap.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    ask()
    tap.close()

    segments = sorted(tmp_path.iterdir(), key=lambda path: f"-{child}-" in path.name)
    assert [len(recorded(segment)) for segment in segments] == [2, 1]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize(
    ("method", "whose"), [("fork", "parent's"), ("fork", "own"), ("spawn", "own"), ("forkserver", "own")]
)
def test_a_child_of_multiprocessing_loses_nothing_at_its_end(tmp_path: Path, method: str, whose: str) -> None:
    context = multiprocessing.get_context(method)
    with recorder.Tap(tmp_path) as tap:
        target = _ask_in_child if whose == "parent's" else _ask_with_own_tap
        process = context.Process(target=target, args=(tap if whose == "parent's" else tmp_path,))
        process.start()
        process.join()

    assert process.exitcode == 0
    [stream] = recorded(tmp_path)
    assert stream.end is not None
    assert len(stream.events) == 500


def _ask_in_child(tap: recorder.Tap) -> None:
    body = [b"data: %d\n\n" % n for n in range(500)]
    with httpx2.Client(transport=recorder.TapTransport(tap, ChunkTransport(body, None))) as http:
        http.get("http://x/")


def _ask_with_own_tap(path: Path) -> None:
    _ask_in_child(recorder.Tap(path))


@pytest.mark.parametrize("durability", ["write", "fsync"])
def test_either_durability_records_the_same(tmp_path: Path, durability: Any) -> None:
    with Upstream(hello) as upstream, recorder.Tap(tmp_path, durability=durability) as tap:
        [*tap.wrap(client(upstream)).messages.create(**ASK, stream=True)]

    check_hello(tmp_path)


def test_an_unknown_durability_is_refused_when_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="durability is 'maybe'; it is 'write' or 'fsync'"):
        recorder.Tap(tmp_path, durability="maybe")  # type: ignore[arg-type]


async def test_many_streams_at_once_keep_apart(tmp_path: Path) -> None:
    def numbered(request: Received) -> Reply:
        number = request.json()["messages"][0]["content"]
        return Reply.sse(message_events(*(f"{number}." for _ in range(10))), gap=MS // 2)

    with Upstream(numbered) as upstream, recorder.Tap(tmp_path) as tap:
        async with async_client(upstream) as one:
            tapped = tap.wrap(one)

            async def ask(number: int) -> str:
                ask = {**ASK, "messages": [{"role": "user", "content": str(number)}]}
                async with tapped.messages.stream(**ask) as stream:
                    return await stream.get_final_text()

            texts = await asyncio.gather(*map(ask, range(60)))

    assert texts == [f"{n}." * 10 for n in range(60)]
    for stream in recorded(tmp_path):
        message = stream.message()
        assert message is not None
        assert message["content"][0]["text"] == f"{stream.request.body['messages'][0]['content']}." * 10
    assert tap.stats().events == 60 * 15
