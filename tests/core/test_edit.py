"""Streams that were cut, trimmed and re-timed are streams that could have been recorded."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recorder.core import wire
from recorder.core.attempt import Attempt
from recorder.core.edit import Edit, Edited, EditError, edited
from recorder.core.lines import encode_line
from recorder.core.places import check_place, find
from recorder.core.records import Bytes, End, Event, Gap, Phases, Record, Request, Response, StreamRecord
from recorder.core.redact import Secrets
from recorder.core.retime import Times
from recorder.core.timing import timing
from recorder.log.verify import verify
from tests.cli import recordings

MS = 1_000_000
BODY = recordings.sse(
    recordings.message_start(),
    recordings.block_start(0, type="text", text=""),
    {"type": "ping"},
    *(recordings.delta(0, "text_delta", text=word) for word in recordings.WORDS),
    recordings.block_stop(0),
    recordings.message_delta(9),
    recordings.STOP,
)
COUNT = 14
WAIT_MS = 10
HOLD_MS = 3


def streamed(chunks: list[bytes], *, gap_after: int | None = None) -> list[StreamRecord]:
    """A stream in these chunks: each waited for 10 ms, and held for 3."""
    attempt = Attempt(stream="s", call="c", attempt=0, secrets=Secrets())
    records: list[StreamRecord] = [
        attempt.request(wall=1, mono=1, method="POST", url="/v1/messages", headers=[], body=b'{"model":"m"}'),
        attempt.response(
            at=100 * MS, status=200, headers=recordings.SSE, phases=Phases(headers=(9 * MS, 99 * MS))
        ),
    ]
    at = 100
    for n, chunk in enumerate(chunks):
        at += HOLD_MS + WAIT_MS
        records += attempt.chunk(at * MS, WAIT_MS * MS, chunk)
        if n == gap_after:
            records += attempt.gap(at * MS, 2, 99, "queue full")
    return [*records, *attempt.end((at + 13) * MS, WAIT_MS * MS, "read")]


def by_event() -> list[StreamRecord]:
    return streamed([one + b"\n\n" for one in BODY.split(b"\n\n")[:-1]])


def problems(records: list[StreamRecord], path: Path) -> list[str]:
    lines: list[Record] = [recordings.header(), *records]
    path.write_bytes(b"".join(map(encode_line, lines)))
    [check] = verify([path])
    return [problem.reason for problem in check.problems]


def new(done: Edited) -> list[StreamRecord]:
    return [one.new for one in done.records]


def chunked(cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({cut % len(BODY) for cut in cuts} - {0}), len(BODY)]
    return [BODY[a:b] for a, b in pairwise(edges)]


cuts = st.lists(st.integers(0, 10_000), max_size=25)
numbers = st.integers(0, COUNT - 1)
times = st.builds(
    Times,
    scale=st.sampled_from([1.0, 0.5, 3.7]),
    gap=st.none() | st.integers(0, 50 * MS),
    limit=st.none() | st.integers(0, 50 * MS),
    shift=st.integers(0, 500 * MS),
)
quick = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(cuts, st.lists(st.tuples(numbers, numbers), max_size=3), st.none() | numbers, times, st.booleans())
@example(cuts=[1, 2, 3, 226], spans=[(0, 1)], cut=None, times=Times(limit=0), hole=True)
def test_whatever_is_done_the_stream_is_one_that_verify_takes(
    tmp_path: Path,
    cuts: list[int],
    spans: list[tuple[int, int]],
    cut: int | None,
    times: Times,
    hole: bool,
) -> None:
    records = streamed(chunked(cuts), gap_after=3 if hole else None)
    events = [one for one in records if isinstance(one, Event)]
    trims = tuple((str(a), str(b)) for a, b in spans)
    last = None if cut is None else str(cut)

    done = new(edited(records, Edit(trims=trims, cut=last, times=times)))

    assert problems(done, tmp_path / "a.jsonl") == []
    gone = {n for a, b in spans for n in range(a, b)}
    if not hole:
        left = [wire.wire(one) for n, one in enumerate(events) if n not in gone and (cut is None or n < cut)]
        assert wire.body(done) == b"".join(left) == b"".join(one.data for one in wire.chunks(done))
    if isinstance(done[-1], End):  # a lost stream's last chunk may go on
        assert len(wire.chunks(done)) == done[-1].chunks
    check_waits(done)


def check_waits(records: list[StreamRecord]) -> None:
    """What came in one chunk came at one time; no read took longer than the time since the one before."""
    reads: dict[int, tuple[int, int]] = {}
    for one in records:
        if isinstance(one, Event | Bytes):
            assert reads.setdefault(one.chunk, (one.at, one.wait)) == (one.at, one.wait)
    before = next(one.at for one in records if isinstance(one, Response))
    for chunk in wire.chunks(records):
        assert 0 <= chunk.wait <= chunk.at - before
        before = chunk.at


@quick
@given(cuts, st.integers(0, 50))
def test_every_chunk_comes_a_gap_after_the_one_before(cuts: list[int], gap: int) -> None:
    done = new(edited(streamed(chunked(cuts)), Edit(times=Times(gap=gap))))

    ats = [chunk.at for chunk in wire.chunks(done)]
    assert {b - a for a, b in pairwise(ats)} <= {gap}
    check_waits(done)


@quick
@given(cuts, st.integers(1, COUNT - 3), st.integers(1, COUNT))
def test_what_is_left_out_was_waited_for_and_held_all_the_same(cuts: list[int], first: int, count: int) -> None:
    records = streamed(chunked(cuts))
    last = min(first + count, COUNT - 1)

    done = new(edited(records, Edit(trims=((str(first), str(last)),))))

    before, after = timing(records), timing(done)
    assert after.wait_s == pytest.approx(before.wait_s)
    assert after.duration_s == before.duration_s
    assert after.hold_s <= before.hold_s + 1e-9 + HOLD_MS / 1000 * before.chunks
    assert after.events == before.events - (last - first)


def test_events_of_one_chunk_waited_for_the_trimmed_ones_together() -> None:
    alone = [one + b"\n\n" for one in BODY.split(b"\n\n")[:-1]]
    records = streamed([*alone[:5], b"".join(alone[5:8]), *alone[8:]])

    done = new(edited(records, Edit(trims=(("3", "5"),))))

    together = [one for one in done if isinstance(one, Event)][3:6]
    assert [(one.chunk, one.wait) for one in together] == [(3, 3 * WAIT_MS * MS)] * 3
    check_waits(done)


def test_a_stream_at_half_the_speed_takes_twice_as_long_in_everything() -> None:
    records = by_event()

    before, after = timing(records), timing(new(edited(records, Edit(times=Times(scale=2.0)))))

    for name in ("headers_s", "ttft_s", "gap_p50_s", "gap_max_s", "wait_s", "hold_s", "duration_s"):
        assert getattr(after, name) == pytest.approx(2 * getattr(before, name)), name
    assert after.consumer_bound == before.consumer_bound


def test_a_gap_is_set_from_chunk_to_chunk_and_all_of_it_is_waited_for() -> None:
    records = by_event()

    after = timing(new(edited(records, Edit(times=Times(gap=50 * MS)))))

    assert (after.gap_p50_s, after.gap_max_s) == (0.05, 0.05)
    assert after.ttft_s == pytest.approx(0.113 + 3 * 0.05)
    assert after.wait_s == pytest.approx(0.01 + 13 * 0.05 + 0.01)


def test_no_silence_is_longer_than_the_limit_and_the_wait_gives_way_first() -> None:
    records = new(edited(by_event(), Edit(times=Times(gap=3000 * MS))))

    after = timing(new(edited(records, Edit(times=Times(limit=40 * MS)))))

    assert (after.silence_max_s, after.gap_p50_s, after.headers_s) == (0.04, 0.04, 0.04)
    assert after.hold_s == pytest.approx(0.003 * 2)


def test_a_shift_moves_all_that_comes_and_the_phase_that_waited_for_it() -> None:
    records = by_event()

    done = new(edited(records, Edit(times=Times(shift=2000 * MS))))

    response = next(one for one in done if isinstance(one, Response))
    assert response.phases == Phases(headers=(9 * MS, 2099 * MS))
    assert timing(done).ttft_s == pytest.approx((timing(records).ttft_s or 0) + 2)
    assert timing(done).wait_s == timing(records).wait_s
    with pytest.raises(ValueError, match="0.900 s before the request was sent"):
        edited(records, Edit(times=Times(shift=-1000 * MS)))


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        ("failed", "failed"),
        ("timeout", "timeout"),
        ("truncated", "truncated"),
        ("closed", "closed"),
        ("lost", "lost"),
    ],
)
def test_a_cut_stream_ends_as_one_wants(end: Any, outcome: str, tmp_path: Path) -> None:
    done = new(edited(by_event(), Edit(cut="text_delta:4", end=end)))

    assert timing(done).outcome == outcome
    assert sum(isinstance(one, Event) for one in done) == 7
    assert problems(done, tmp_path / "a.jsonl") == []
    if isinstance(last := done[-1], End):
        assert last.summary is not None
        assert (last.summary.stop_reason, last.summary.usage) == (None, {"input_tokens": 8})
        assert last.at == by_event()[2 + 7].at, "it ends when the next event would have come"
    assert timing(done).hold_s == pytest.approx(HOLD_MS / 1000 * (7 if end == "lost" else 8))


def test_a_cut_behind_the_last_event_leaves_it_complete() -> None:
    done = new(edited(by_event(), Edit(cut="0.29s", end="failed")))

    assert timing(done).outcome == "complete"


@pytest.mark.parametrize(("place", "outcome"), [("0s", "connect_failed"), ("0.05s", "connect_failed"), ("0.1s", "connect_failed"), ("0.11s", "failed")])  # fmt: skip
def test_a_cut_in_time_is_where_the_time_is(place: str, outcome: str, tmp_path: Path) -> None:
    done = new(edited(by_event(), Edit(cut=place)))

    assert timing(done).outcome == outcome
    assert timing(done).duration_s == float(place[:-1]) or place == "0s"
    assert problems(done, tmp_path / "a.jsonl") == []


def test_nothing_is_read_to_its_end_before_it_began() -> None:
    with pytest.raises(EditError, match="cut before its response"):
        edited(by_event(), Edit(cut="0.05s", end="truncated"))


def test_a_place_that_is_not_there_changes_nothing() -> None:
    records = by_event()

    for edit in (
        Edit(cut="99"),
        Edit(cut="tool_use"),
        Edit(trims=(("20", "30"),)),
        Edit(trims=(("3", "nothing"),)),
    ):
        done = edited(records, edit)
        assert (new(done), done.done) == (records, ())


def test_the_last_events_can_be_trimmed_up_to_a_time_behind_them() -> None:
    done = new(edited(by_event(), Edit(trims=(("-3", "999s"),))))

    assert timing(done).events == COUNT - 3
    assert timing(done).outcome == "truncated"


@pytest.mark.parametrize(
    ("place", "position"),
    [("0", 2), ("-1", 15), ("13", 15), ("14", None), ("50%", 9), ("100%", 15), ("text_delta", 5), ("text_delta:2", 7),
     ("ping", 4), ("message_stop", 15), ("0s", 1), ("0.1s", 1), ("0.1131s", 3), ("99s", None), ("tool_use", None)],
)  # fmt: skip
def test_places(place: str, position: int | None) -> None:
    assert find(by_event(), check_place(place)) == position


@pytest.mark.parametrize("place", ["", "1.5", "101%", "x y", "3..4", "-2s", "12b", "text:"])
def test_what_is_no_place(place: str) -> None:
    with pytest.raises(ValueError, match="is no place"):
        check_place(place)


def test_a_hole_stays_a_hole() -> None:
    records = streamed([one + b"\n\n" for one in BODY.split(b"\n\n")[:-1]], gap_after=5)
    holed = [one for n, one in enumerate(records) if n != 4]

    done = new(edited(holed, Edit(trims=(("2", "99s"),))))

    assert [one.seq for one in done] == [0, 1, 2, 3, 5, 6]
    assert sum(isinstance(one, Gap) for one in done) == 1


def test_a_plain_body_is_cut_in_time(tmp_path: Path) -> None:
    attempt = Attempt(stream="s", call="c", attempt=0, secrets=Secrets())
    body = b'{"type":"message","id":"m","model":"x","stop_reason":"end_turn","usage":{"output_tokens":3}}'
    records: list[StreamRecord] = [
        attempt.request(wall=1, mono=1, method="POST", url="/v1/messages", headers=[], body=b"{}"),
        attempt.response(at=5, status=200, headers=[("content-type", "application/json")]),
        *attempt.chunk(9 * MS, 1 * MS, body),
        *attempt.end(10 * MS, 1 * MS, "read"),
    ]
    assert isinstance(records[2], Bytes)

    early, late = (new(edited(records, Edit(cut=place))) for place in ("0.005s", "0.0095s"))

    for done in (early, late):
        assert problems(done, tmp_path / "a.jsonl") == []
        assert timing(done).outcome == "failed"
    assert (timing(early).bytes, timing(late).bytes) == (0, len(body))


def test_requests_never_change() -> None:
    done = new(edited(by_event(), Edit(cut="3", times=Times(scale=2.0))))

    assert isinstance(done[0], Request)
    assert done[0] == by_event()[0]
