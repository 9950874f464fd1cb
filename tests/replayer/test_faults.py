"""Faults as values and as functions: read and printed, validated, applied to scripts, injected by a session."""

from __future__ import annotations

import inspect
import threading
from pathlib import Path
from random import Random
from typing import Any

import anthropic
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import recorder
from recorder import faults
from recorder.replayer.faults.inject import Injector, Served
from recorder.replayer.faults.outcome import outcome_of, pieces_to_answer, text_of
from recorder.replayer.faults.place import frames_of, with_frames
from recorder.replayer.faults.spec import CATALOGUE, Fault
from recorder.replayer.script import READ, Ending, Script, at_once, piece, script_of
from recorder.testing import ManualClock, Reply, Step, chunkings, encode_event, message_events
from recorder.testing.recorded import reply_from
from tests.replayer.streams import ASK, EVENTS, OPTIONS, TEXTS, read, recorded

S = 1_000_000_000
FIXTURES = Path(__file__).parents[2] / "fixtures"
BODY = b"".join(map(encode_event, EVENTS))
THINKING = [
    *message_events()[:1],
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    *({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": t}} for t in "abcd"),
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "n", "input": {}}},
    *({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": p}} for p in ('{"a"', ":1", "}")),
    {"type": "content_block_stop", "index": 1},
    *message_events()[-2:],
]  # fmt: skip


def script(events: list[dict[str, Any]] = EVENTS, *, gap: int = S, chunks: list[bytes] | None = None) -> Script:
    data = chunks or list(map(encode_event, events))
    pieces = tuple(piece((n + 1) * gap, one) for n, one in enumerate(data))
    headers = {"content-type": "text/event-stream; charset=utf-8"}
    return Script(headers_at=0, headers=headers, pieces=pieces, end_at=len(data) * gap)


def under(fault: str, on: Script | None = None, *, seed: int = 0) -> Script:
    done = on or script()
    for one in faults.parse(fault).ones:
        done = one.apply(done, Random(seed))
    return done


def names(one: Script) -> list[str | None]:
    return [frame.event for frame in frames_of(one) if frame.payload is not None]


ONE_OF_EACH = {
    "refuse": "refuse(after=1)",
    "status": 'status(code=529, type=odd_error, message="a \\"b\\", c", retry_after=1.5, headers="x-a: b; x-c: d=e", after=2)',
    "reset": "reset(at=4, after=1)",
    "hang": "hang(at=text_delta:2)",
    "cut_clean": "cut_clean(at=50%)",
    "cut_dirty": "cut_dirty(at=-1, times=2, nth=3, probability=0.25, ramp=4)",
    "slow_close": "slow_close(seconds=2)",
    "speed": "speed(factor=0.5)",
    "idle_limit": "idle_limit(seconds=0.1)",
    "ttft": "ttft(seconds=9)",
    "stall": "stall(at=12.5%, seconds=30, distribution=lognormal)",
    "jitter": "jitter(seconds=0.5)",
    "rate": "rate(tokens_per_second=10)",
    "rechunk": "rechunk(size=1, up_to=9)",
    "cut_inside": "cut_inside(what=data)",
    "merge": "merge()",
    "drop": "drop(at=2, count=2)",
    "duplicate": "duplicate(at=2)",
    "reorder": "reorder(at=2)",
    "corrupt": "corrupt(at=100b)",
    "unknown_event": "unknown_event(at=2)",
    "heartbeat": "heartbeat(at=2)",
    "ping": "ping(at=2)",
    "crlf": "crlf()",
    "unnamed": "unnamed(at=2)",
    "error_event": "error_event(at=3, type=api_error)",
    "no_message_delta": "no_message_delta()",
    "no_message_stop": "no_message_stop()",
    "cut_tool_input": "cut_tool_input(end=clean)",
    "cut_thinking": "cut_thinking()",
    "usage": "usage(input_tokens=5)",
    "stop_reason": "stop_reason(reason=max_tokens)",
    "index_gap": "index_gap(by=2)",
    "quota": "quota(requests=2)",
    "token_quota": "token_quota(tokens=100, per=1)",
}  # fmt: skip
QUOTAS = {"quota", "token_quota"}


def test_each_fault_of_the_catalogue_is_tested_exported_and_described() -> None:
    assert ONE_OF_EACH.keys() == CATALOGUE.keys()
    assert CATALOGUE.keys() <= set(faults.__all__)
    assert [name for name in CATALOGUE if not getattr(faults, name).__doc__] == []


@pytest.mark.parametrize("text", ONE_OF_EACH.values())
def test_a_fault_is_printed_as_it_is_read(text: str) -> None:
    assert str(faults.parse(text)) == f"{text} seed=0"
    assert faults.parse(f"{text} seed=-7").seed == -7


def test_help_shows_the_parameters_that_a_fault_is_made_with() -> None:
    assert list(inspect.signature(faults.stall).parameters) == ["at", "seconds", "distribution"]


def test_faults_add_up() -> None:
    made = (faults.stall(at=12, seconds=30) + faults.cut_dirty(at=40).only(times=1)).seeded(7)

    assert str(made) == "stall(at=12, seconds=30)+cut_dirty(at=40, times=1) seed=7"
    assert faults.parse(str(made)) == made
    assert faults.parse(" stall( at=12,seconds = 30 ) + cut_dirty(at=40,times=1)  seed=7 ") == made


PLACES = st.one_of(st.integers(-99, 99), st.floats(0, 1), st.sampled_from(["50%", "7b", "ping", "text_delta:3"]))


@given(at=PLACES, seconds=st.floats(0, 86_400), message=st.text(), seed=st.integers())
def test_any_fault_reads_back(at: float | str, seconds: float, message: str, seed: int) -> None:
    made = (faults.stall(at=at, seconds=seconds) + faults.status(code=500, message=message)).seeded(seed)

    assert faults.parse(str(made)) == made
    assert "\n" not in str(made)


@given(st.text(alphabet="abcdefs_()=,+\"\\ 0123456789%'\n-.", max_size=40))
def test_any_text_is_a_fault_or_one_line_that_says_why_not(text: str) -> None:
    said = ""
    try:
        said = str(faults.parse(text))
    except faults.FaultError as error:
        said = str(error)
    assert said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cut_dirt(at=3)", "fault 'cut_dirt' does not exist; did you mean cut_dirty?"),
        ("zzz", "fault 'zzz' does not exist; there are corrupt, crlf, "),
        ("stall(at=3)", "fault stall: Object missing required field `seconds`; it takes at, seconds, distribution, times"),
        ("stall(at=3, seconds=-1)", "fault stall: Expected `float` >= 0.0 - at `$.seconds`; it takes"),
        ("stall(at=3, seconds=1, second=2)", "fault stall: Object contains unknown field `second`"),
        ("cut_dirty(at=150%)", "fault cut_dirty: at='150%' is no place; write 12 (event 12)"),
        ("cut_dirty(at=1.5)", "fault cut_dirty: at=1.5 is no place"),
        ("cut_dirty(at=3, times=0)", "fault cut_dirty: Expected `int` >= 1 - at `$.times`"),
        ("cut_dirty(at=3, at=4)", "at is given twice"),
        ("cut_dirty(at=3", "expected name=value at 'at=3'"),
        ("cut_dirty(at=3)crlf()", "'crlf()' was not understood; join faults by +"),
        ("cut_dirty(at=3) seed=x", "'seed=x' was not understood"),
        ("", "expected the name of a fault at ''"),
        ("status(code=418)", "fault status: Invalid enum value 418"),
        ('status(code=500, headers="bad")', "fault status: 'bad' is no header"),
    ],
)  # fmt: skip
def test_what_is_no_fault_is_told_in_one_line(text: str, says: str) -> None:
    with pytest.raises(faults.FaultError) as caught:
        faults.parse(text)

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_parameter_is_told_where_the_fault_is_made(tmp_path: Path) -> None:
    with pytest.raises(faults.FaultError, match="stall"):
        faults.stall(at=3, seconds=-1)
    with pytest.raises(faults.FaultError, match="probability"):
        faults.cut_dirty(at=3).only(probability=2)
    with pytest.raises(faults.FaultError, match="does not exist"):
        recorder.replay(recorded(tmp_path), faults="boom()")


@pytest.mark.parametrize("text", [text for name, text in ONE_OF_EACH.items() if name not in QUOTAS])
def test_a_fault_is_a_pure_function_that_does_something(text: str) -> None:
    whole = [*THINKING[:-3], *EVENTS[1:-2], *THINKING[-3:]]
    before = script(whole)

    once, again = under(text, before, seed=1), under(text, before, seed=1)

    assert once == again
    assert before == script(whole)
    assert once != before
    assert sorted(chunk.at for chunk in once.pieces) == [chunk.at for chunk in once.pieces]
    assert all(chunk.data for chunk in once.pieces)


@pytest.mark.parametrize("text", [text for name, text in ONE_OF_EACH.items() if name not in QUOTAS])
def test_a_fault_leaves_alone_what_it_does_not_fit(text: str) -> None:
    plain = Script(headers_at=0, headers={"content-type": "text/plain"}, pieces=(piece(1, b"hello"),), end_at=1)
    failed = Script(headers_at=None, ending=Ending("reset"))

    for one in (plain, failed):
        done = under(text, one)
        assert isinstance(done, Script)
    if any(
        kind in text
        for kind in ("at=2", "at=3", "thinking", "tool_input", "message_", "index", "crlf", "text_delta")
    ):
        assert under(text, plain) is plain


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
@settings(max_examples=200, deadline=None)
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


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    replies = (Reply.sse(message_events(f"answer {n}")) for n in range(3))
    return recorded(tmp_path_factory.mktemp("three"), *replies)


class TestSession:
    def outcomes(self, path: Path, fault: Any, times: int, **options: Any) -> tuple[list[Any], recorder.Replay]:
        replay = recorder.replay(path, faults=fault)
        with replay.client(**{**OPTIONS, **options}) as client:
            return [read(client, "stream") for _ in range(times)], replay

    def test_what_a_fault_spoilt_answers_the_next_equal_request(self, path: Path) -> None:
        (cut, *rest), replay = self.outcomes(path, "cut_dirty(at=2, times=1)", 4)

        assert cut[1][0] is httpx2.RemoteProtocolError
        assert [seen for seen, _ in rest] == [["answer 0"], ["answer 1"], ["answer 2"]]
        [injected] = replay.injected
        assert injected.fault == "cut_dirty(at=2, times=1) seed=0"
        assert (injected.stream, injected.call, injected.ordinal) == (replay.streams[0].id, 1, 0)

    def test_only_the_nth_call(self, path: Path) -> None:
        outcomes, replay = self.outcomes(path, "cut_clean(at=2, nth=2)", 2)

        assert [seen for seen, _ in outcomes] == [["answer 0"], []]
        assert [one.call for one in replay.injected] == [2]

    def test_the_retries_of_the_sdk_belong_to_the_call(self, path: Path) -> None:
        outcomes, replay = self.outcomes(path, "status(code=529, nth=1)", 1, max_retries=2)

        assert outcomes[0][1][2] == 529
        assert [(one.call, one.ordinal) for one in replay.injected] == [(1, 0), (1, 1), (1, 2)]

    def test_a_function_chooses_for_each_attempt(self, path: Path) -> None:
        def choose(stream: recorder.Stream, ordinal: int) -> Fault | str | None:
            assert stream.request.body["model"] == ASK["model"]
            return [None, "cut_clean(at=2)", faults.status(code=400)][ordinal]

        outcomes, replay = self.outcomes(path, choose, 3)

        assert [one.fault for one in replay.injected] == ["cut_clean(at=2) seed=0", "status(code=400) seed=0"]
        assert outcomes[2][1][2] == 400

    def test_a_function_that_gives_no_fault_is_told_of_it_unwrapped(self, path: Path) -> None:
        outcomes, _ = self.outcomes(path, lambda stream, ordinal: "boom()", 1, max_retries=5)

        assert outcomes[0][1][0] is faults.FaultError

    def test_without_faults_there_is_no_verdict(self, path: Path) -> None:
        replay = recorder.replay(path)
        assert replay.injected == []
        with pytest.raises(ValueError, match="has no faults"):
            replay.verdict()

    def test_a_fault_that_fits_nothing_is_not_injected(self, path: Path) -> None:
        outcomes, replay = self.outcomes(path, "cut_thinking()", 1)

        assert outcomes[0][0] == ["answer 0"]
        assert replay.injected == []
        with pytest.raises(AssertionError, match="no fault was injected"):
            replay.verdict().assert_resilient()

    def test_the_recording_is_not_touched(self, path: Path) -> None:
        [file] = path.glob("*.jsonl")
        before = file.read_bytes()
        self.outcomes(path, "crlf()+drop(at=1)", 3)
        assert file.read_bytes() == before


def taken(served: Served) -> None:
    for _ in served.script.pieces:
        served.gave()
    served.over(None)


def serve(injector: Injector, name: str, stream: Any) -> str:
    served = injector.serve(name, lambda: stream, at_once)
    taken(served)
    return served.fault


@pytest.fixture
def stream(tmp_path: Path) -> recorder.Stream:
    return next(recorder.open(recorded(tmp_path)).streams())


def test_an_attempt_draws_the_same_whatever_else_goes_on(stream: recorder.Stream) -> None:
    fault = "stall(at=3, seconds=1, probability=0.5, distribution=uniform) seed=11"
    alone = {f"{name}": [serve(injector, name, stream) for _ in range(20)] for name in "abcd" if (injector := Injector(fault, instant=True))}  # fmt: skip
    together, results = Injector(fault, instant=True), {name: list[str]() for name in "abcd"}

    def work(name: str) -> None:
        for _ in range(20):
            results[name].append(serve(together, name, stream))

    threads = [threading.Thread(target=work, args=(name,)) for name in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == alone
    assert 20 < sum(map(bool, (fault for one in results.values() for fault in one))) < 60
    other = Injector(fault.replace("11", "12"), instant=True)
    assert [serve(other, "a", stream) for _ in range(20)] != alone["a"]


def test_what_was_injected_is_reproduced_by_its_line(stream: recorder.Stream) -> None:
    made = "cut_thinking()+stall(at=3, seconds=1, distribution=uniform)+jitter(seconds=1) seed=4"
    one, two = Injector(made, instant=True), Injector(faults.parse(made).seeded(5), instant=True)
    first = one.serve("a", lambda: stream, at_once)
    again = Injector(first.fault, instant=True).serve("a", lambda: stream, at_once)

    assert first.fault == "stall(at=3, seconds=1, distribution=uniform)+jitter(seconds=1) seed=4"
    assert again.script == first.script
    assert two.serve("a", lambda: stream, at_once).script != first.script


def test_a_ramp_rises(stream: recorder.Stream) -> None:
    injector = Injector("heartbeat(at=1, ramp=100) seed=3", instant=True)
    hit = [bool(serve(injector, f"{n}", stream)) for n in range(200)]

    assert sum(hit[:25]) < sum(hit[25:50]) < sum(hit[50:100]) / 1.2
    assert all(hit[99:])


def test_a_quota_says_truly_when_there_is_room_again(stream: recorder.Stream) -> None:
    clock = ManualClock()
    injector = Injector("quota(requests=2, per=60)", instant=False, clock=clock)

    def ask() -> str | None:
        served = injector.serve("a", lambda: stream, at_once)
        taken(served)
        return served.script.headers.get("retry-after") if served.script.status == 429 else None

    assert ask() is None
    clock.advance(10 * S)
    assert [ask(), ask()] == [None, "50"]
    clock.advance(50 * S - 1)
    assert ask() == "1"
    clock.advance(1)
    assert [ask(), ask()] == [None, "10"]


def test_a_quota_of_tokens(stream: recorder.Stream) -> None:
    assert stream.end is not None
    assert stream.end.summary is not None
    assert stream.end.summary.usage is not None
    used = stream.end.summary.usage
    tokens = used["input_tokens"] + used["output_tokens"]  # pyright: ignore
    clock = ManualClock()
    injector = Injector(f"token_quota(tokens={2 * tokens}, per=60)", instant=False, clock=clock)
    statuses = [injector.serve("a", lambda: stream, at_once).script.status for _ in range(3)]

    assert statuses == [200, 200, 429]
    clock.advance(60 * S)
    assert injector.serve("a", lambda: stream, at_once).script.status == 200


def test_in_instant_replay_a_client_counts_as_having_waited(tmp_path: Path) -> None:
    path = recorded(tmp_path, *(Reply.sse(EVENTS) for _ in range(3)))
    replay = recorder.replay(path, faults="quota(requests=1, per=60)")
    with replay.client(**{**OPTIONS, "max_retries": 1}) as client:
        assert [len(read(client, "stream")[0]) for _ in range(3)] == [len(TEXTS)] * 3
    assert [one.ordinal for one in replay.injected] == [1, 3]


def test_a_stall_waits_in_recorded_timing_and_ends_at_the_read_timeout(tmp_path: Path) -> None:
    import time

    path = recorded(tmp_path)
    for seconds, least, most in ((0.3, 0.3, 5), (60, 0.5, 30)):
        replay = recorder.replay(path, timing="recorded", faults=faults.stall(at=4, seconds=seconds))
        with replay.client(**{**OPTIONS, "timeout": httpx2.Timeout(10, read=0.5)}) as client:
            began = time.perf_counter()
            _, end = read(client, "create")
            assert least <= time.perf_counter() - began < most
            assert end is None or end[0] is httpx2.ReadTimeout
            assert (end is None) == (seconds < 0.5)


def test_a_client_without_a_read_timeout_is_told_that_it_would_hang(tmp_path: Path) -> None:
    for timing in ("instant", "recorded"):
        replay = recorder.replay(recorded(tmp_path / timing), timing=timing, faults=faults.hang(at=3))
        with anthropic.Anthropic(api_key="k", timeout=None) as client, replay:
            assert read(client, "create")[1][0] is recorder.EndOfRecording


def test_an_undecoded_body_has_no_events_to_edit(tmp_path: Path) -> None:
    one = Script(
        headers_at=0, headers={"content-type": "text/event-stream"}, pieces=(piece(1, BODY),), encoded=True
    )
    assert under("drop(at=2)", one) is one
    assert under("cut_dirty(at=50%)", one).body() == BODY[: len(BODY) // 2]


def test_the_standard_faults_have_names_and_read_back() -> None:
    for name, fault in faults.standard().items():
        assert name.isidentifier()
        assert faults.parse(str(fault)) == fault


def test_the_public_name_needs_no_import_of_its_own() -> None:
    assert recorder.faults.standard is faults.standard
