"""What each fault does to a recorded stream, and what that is to a client."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import recorder
from recorder import faults
from recorder.replayer.faults.outcome import outcome_of, pieces_to_answer, text_of
from recorder.replayer.faults.place import frames_of, with_frames
from recorder.replayer.faults.spec import Fault
from recorder.replayer.script import READ, Script, piece, script_of
from recorder.testing import Step, chunkings
from recorder.testing.recorded import reply_from
from tests.replayer.faulty import BODY, THINKING, S, names, script, under
from tests.replayer.streams import EVENTS, TEXTS

FIXTURES = Path(__file__).parents[2] / "fixtures"


@given(st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_reading_a_body_as_events_and_back_changes_nothing(random: Random) -> None:
    body = BODY.replace(b"\n", b"\r\n") if random.random() < 0.5 else b": hi\n\n" + BODY + b"data: torn"
    for _, chunks in chunkings(body, seed=random.randint(0, 99)):
        one = script(chunks=chunks)
        assert with_frames(one, frames_of(one)) == one


ANY_PLACE = st.one_of(
    st.integers(-30, 60),
    st.floats(0, 1),
    st.builds("{}b".format, st.integers(0, 5000)),
    st.builds(
        "{}:{}".format,
        st.sampled_from(["ping", "text_delta", "thinking_delta", "message_stop"]),
        st.integers(0, 9),
    ),
)
ANY_FAULT = st.one_of(
    *(st.builds(kind, at=ANY_PLACE) for kind in (faults.cut_clean, faults.cut_dirty, faults.hang, faults.error_event)),
    *(st.builds(kind, at=ANY_PLACE) for kind in (faults.corrupt, faults.reorder, faults.drop, faults.unnamed, faults.ping)),
    st.builds(faults.stall, at=ANY_PLACE, seconds=st.floats(0, 99), distribution=st.sampled_from(["uniform", "lognormal"])),
    st.builds(faults.rechunk, size=st.integers(1, 300), up_to=st.integers(1, 300)),
    st.builds(faults.cut_inside, what=st.sampled_from(["utf8", "data", "crlf"])),
    st.builds(faults.jitter, seconds=st.floats(0, 9)),
    st.builds(faults.rate, tokens_per_second=st.floats(0.1, 1000)),
    st.sampled_from([faults.crlf(), faults.merge(), faults.index_gap(), faults.cut_thinking(), faults.cut_tool_input()]),
)  # fmt: skip
RECORDED = [stream for path in sorted(FIXTURES.glob("*.jsonl")) for stream in recorder.open(path).streams()]


@given(st.lists(ANY_FAULT, min_size=1, max_size=3), st.sampled_from(RECORDED), st.integers())
@settings(max_examples=200)
def test_any_faults_of_any_recording_make_a_script_that_can_be_served(
    made: list[Fault], stream: recorder.Stream, seed: int
) -> None:
    done = recorded_script = script_of(stream)
    for one in (one for fault in made for one in fault.ones):
        done = one.apply(done, Random(seed))

    times = [chunk.at for chunk in done.pieces]
    assert times == sorted(times)
    assert all(chunk.data for chunk in done.pieces)
    assert 0 <= pieces_to_answer(done) <= len(done.pieces)
    assert outcome_of(done, recorded_script)
    assert reply_from(done).steps == tuple(Step(at=chunk.at, data=chunk.data) for chunk in done.pieces)


def test_places() -> None:
    ends = {
        "3": 3, "-1": len(EVENTS) - 1, "50%": len(EVENTS) // 2, "0.5": len(EVENTS) // 2, "message_stop": len(EVENTS) - 1,
        "text_delta": 2, "text_delta:2": 4, "content_block_stop": 8, "text": 1,
    }  # fmt: skip
    for at, index in ends.items():
        assert names(under(f"cut_clean(at={at})")) == [event["type"] for event in EVENTS[:index]], at
    assert under("cut_dirty(at=30b)").body() == BODY[:30]
    assert under("cut_dirty(at=99)") == script()
    assert under("cut_dirty(at=nothing)") == script()
    assert under(f"corrupt(at={len(BODY) - 5}b)").body().endswith(b'data: {"type":"me\n\n')


def test_endings() -> None:
    assert under("cut_clean(at=4)").ending == READ
    assert under("cut_dirty(at=4)").ending.how == "cut"
    assert under("hang(at=4)").ending.how == "hang"
    assert (under("reset(at=4, after=2)").ending.how, under("reset(at=4, after=2)").end_at) == ("reset", 7 * S)
    assert under("refuse()").headers_at is None
    assert under("status(code=429, retry_after=2)").headers["retry-after"] == "2"
    assert names(under("cut_thinking()", script(THINKING)))[-1] == "content_block_delta"
    assert len(names(under("cut_thinking()", script(THINKING)))) == 4
    assert under("cut_tool_input()", script(THINKING)).body().endswith(b'"{\\"a\\""}}\n\n')


def test_times() -> None:
    def due(fault: str) -> list[float]:
        return [chunk.at / S for chunk in under(fault).pieces][:5]

    assert due("stall(at=3, seconds=10)") == [1, 2, 3, 14, 15]
    assert due("ttft(seconds=9)") == [1, 2, 9, 10, 11]
    assert due("speed(factor=2)") == [0.5, 1, 1.5, 2, 2.5]
    assert due("idle_limit(seconds=0.25)") == [0.25, 0.5, 0.75, 1, 1.25]
    assert due("rate(tokens_per_second=0.5)") == [1, 2, 3, 4.5, 5.5]  # "Hel", "lo ", "wo": 3 characters, 3, 2
    assert due("jitter(seconds=1, distribution=fixed)") == [2, 4, 6, 8, 10]
    assert all(2 * (n + 1) > at > n + 1 for n, at in enumerate(due("jitter(seconds=1)")))
    assert under("stall(at=3, seconds=10)").end_at == under("slow_close(seconds=10)").end_at
    assert under("stall(at=3, seconds=10)").timed


def test_chunks() -> None:
    assert [chunk.data for chunk in under("merge()").pieces] == [BODY]
    assert {len(chunk.data) for chunk in under("rechunk(size=1)").pieces} == {1}
    drawn = [len(chunk.data) for chunk in under("rechunk(size=2, up_to=5)").pieces]
    assert set(drawn[:-1]) == {2, 3, 4, 5}
    umlaut = [chunk.data[-1:] for chunk in under("cut_inside(what=utf8)").pieces]
    assert b"\xc3" in umlaut
    assert sum(chunk.data.endswith(b"\nda") for chunk in under("cut_inside(what=data)").pieces) == len(EVENTS)
    assert sum(chunk.data.endswith(b"\r") for chunk in under("crlf()+cut_inside(what=crlf)").pieces) == 3 * len(
        EVENTS
    )
    for fault in ("merge()", "rechunk(size=3)", "cut_inside(what=data)"):
        assert under(fault).body() == BODY


def test_events() -> None:
    types = [event["type"] for event in EVENTS]
    assert names(under("drop(at=2, count=2)")) == types[:2] + types[4:]
    assert names(under("duplicate(at=0, count=2)")) == types[:1] * 3 + types[1:]
    assert names(under("reorder(at=0)"))[:2] == types[1::-1]
    assert [chunk.at for chunk in under("reorder(at=0)").pieces] == [chunk.at for chunk in script().pieces]
    assert names(under("unknown_event(at=1)"))[1] == "unheard_of"
    assert names(under("unnamed(at=1)"))[1] is None
    assert under("heartbeat(at=1, count=2)").body().count(b": keep-alive\n\n") == 2
    assert names(under("error_event(at=3)")) == [*types[:3], "error"]
    assert names(under("no_message_delta()")) == [*types[:-2], types[-1]]
    assert under("stop_reason(reason=refusal)").body().count(b'"stop_reason":"refusal"') == 1
    assert under("usage(output_tokens=7)").body().count(b'"output_tokens":7') == 1
    assert b'"index":0' not in under("index_gap()").body()
    assert [frame.value["index"] for frame in frames_of(under("index_gap(by=2)", script(THINKING))) if frame.value and "index" in frame.value] == [0] * 7 + [3] * 5  # fmt: skip


OUTCOMES = {
    "rechunk(size=3)": "complete", "ping(at=3)+heartbeat(at=4)+unknown_event(at=2)": "complete", "crlf()": "complete",
    "stall(at=3, seconds=1)": "complete", "slow_close(seconds=1)": "complete",
    "drop(at=4)": "altered", "duplicate(at=4)": "altered", "stop_reason(reason=refusal)": "altered", "unnamed(at=4)": "altered",
    "cut_clean(at=5)": "truncated", "no_message_stop()": "truncated", "unnamed(at=-1)": "truncated",
    "cut_dirty(at=5)": "broken", "reset()": "broken", "hang(at=5)": "broken", "corrupt(at=5)": "broken",
    "status(code=529)": "refused", "error_event(at=5)": "error_event",
}  # fmt: skip


@pytest.mark.parametrize("fault", OUTCOMES)
def test_what_a_script_is_to_a_client(fault: str) -> None:
    assert outcome_of(under(fault), script()) == OUTCOMES[fault]


def test_the_text_that_a_client_was_given() -> None:
    assert text_of(script(), 5) == "".join(TEXTS[:3])


def test_an_undecoded_body_has_no_events_to_edit(tmp_path: Path) -> None:
    one = Script(
        headers_at=0, headers={"content-type": "text/event-stream"}, pieces=(piece(1, BODY),), encoded=True
    )
    assert under("drop(at=2)", one) is one
    assert under("cut_dirty(at=50%)", one).body() == BODY[: len(BODY) // 2]
