"""Faults over the attempts of a session: when they are injected, what follows, quotas, waits."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

import recorder
from recorder import faults
from recorder.replayer.faults.inject import Injector, Served
from recorder.replayer.faults.spec import Fault
from recorder.replayer.script import at_once
from recorder.testing import ManualClock, Reply, message_events
from tests.replayer.faulty import S
from tests.replayer.streams import ASK, EVENTS, OPTIONS, TEXTS, read, recorded


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
    for seconds, timeout, most in ((0.3, 10, 5), (60, 0.5, 30)):
        replay = recorder.replay(path, timing="recorded", faults=faults.stall(at=4, seconds=seconds))
        with replay.client(**{**OPTIONS, "timeout": httpx2.Timeout(10, read=timeout)}) as client:
            began = time.perf_counter()
            _, end = read(client, "create")
            assert min(seconds, timeout) <= time.perf_counter() - began < most
            assert end is None if seconds < timeout else end is not None and end[0] is httpx2.ReadTimeout


def test_a_client_without_a_read_timeout_is_told_that_it_would_hang(tmp_path: Path) -> None:
    for timing in ("instant", "recorded"):
        replay = recorder.replay(recorded(tmp_path / timing), timing=timing, faults=faults.hang(at=3))
        with anthropic.Anthropic(api_key="k", timeout=None) as client, replay:
            assert read(client, "create")[1][0] is recorder.EndOfRecording
