"""What is said of clients under faults, and what is not. The clients are real; so are their waits over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import pytest

import recorder
from recorder.modes import Use
from recorder.replayer.faults.verdict import Ended, Verdict, judge
from recorder.testing import Upstream
from recorder.testing.recorded import FaultyAnswers, taker
from tests.replayer.streams import ASK, IMPATIENT, OPTIONS, TEXTS, recorded

Client = Callable[[anthropic.Anthropic], Any]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("recording"))


def trusting(client: anthropic.Anthropic) -> str:
    with client.messages.stream(**ASK) as stream:
        return stream.get_final_text()


def swallowing(client: anthropic.Anthropic) -> str:
    try:
        return trusting(client)
    except Exception:
        return ""


def careful(client: anthropic.Anthropic, ask: dict[str, Any] = ASK) -> str:
    """Tries again whatever happens, and looks whether the answer is whole."""
    while True:
        try:
            with client.messages.stream(**ask) as stream:
                message = stream.get_final_message()
        except Exception:
            continue
        if message.stop_reason is not None:
            return "".join(TEXTS)


def in_process(path: Path, fault: str, program: Client, **options: Any) -> Verdict:
    replay = recorder.replay(path, faults=fault)
    with replay.client(**{**OPTIONS, **options}) as client:
        try:
            with replay:
                program(client)
        except Exception:
            pass
    return replay.verdict()


def over_http(path: Path, fault: str, program: Client, *, output: bool = False, **options: Any) -> Verdict:
    answers = FaultyAnswers(taker(path), fault)
    ended: Ended = "well"
    said = None
    with Upstream(answers, on_end=answers.over) as upstream:
        with anthropic.Anthropic(base_url=upstream.url, **{**OPTIONS, **options}) as client:
            try:
                said = program(client)
            except Exception:
                ended = "badly"
        upstream.settle()
    return judge(answers.served, real_time=True, ended=ended, output=str(said) if output else None)


def kinds(verdict: Verdict) -> list[str]:
    return [one.kind for one in verdict.findings]


CASES: list[tuple[str, Client, list[str]]] = [
    ("cut_clean(at=4, times=1)", trusting, ["truncated_stream_accepted"]),
    ("cut_clean(at=4, times=1)", careful, ["recovered"]),
    ("cut_dirty(at=4, times=1)", trusting, ["not_recovered"]),
    ("cut_dirty(at=4, times=1)", swallowing, ["error_swallowed"]),
    ("cut_dirty(at=4, times=1)", careful, ["recovered"]),
    ("error_event(at=4, times=1)", swallowing, ["error_swallowed"]),
    ("status(code=400)", swallowing, ["error_swallowed"]),
    ("status(code=400)", trusting, ["not_recovered"]),
    ("corrupt(at=4)", swallowing, ["error_swallowed"]),
    ("rechunk(size=1)", trusting, ["recovered"]),
    ("cut_dirty(at=4, times=8)", careful, ["too_many_retries", "recovered"]),
]


@pytest.mark.parametrize("where", [in_process, over_http])
@pytest.mark.parametrize(("fault", "program", "expected"), CASES)
def test_what_is_found(path: Path, fault: str, program: Client, expected: list[str], where: Any) -> None:
    verdict = where(path, fault, program)

    found = [kind for kind in kinds(verdict) if kind != "retried_without_backoff"]
    assert found == expected
    assert verdict.unknown == ()
    assert ("retried_without_backoff" in kinds(verdict)) == (where is over_http and "times=8" in fault)


def test_each_finding_has_its_evidence(path: Path) -> None:
    verdict = in_process(path, "cut_dirty(at=4, times=1)", careful)

    [finding] = verdict.findings
    first, second = finding.attempts
    assert (first.outcome, first.status, first.fault) == ("broken", 200, "cut_dirty(at=4, times=1) seed=0")
    assert first.text == "".join(TEXTS[:2])
    assert first.error is not None
    assert "RemoteProtocolError" in first.error
    assert first.at_s == 0
    assert first.ended_s is not None
    assert 0 < first.ended_s <= second.at_s
    assert (second.outcome, second.fault, second.error) == ("complete", "", None)
    assert second.text == "".join(TEXTS)
    assert str(verdict) == str(finding)
    assert str(finding).startswith("recovered: 2 attempts: broken, then complete 0.")
    assert "\n" not in str(finding)
    assert verdict.survived


def test_assert_resilient(path: Path) -> None:
    in_process(path, "cut_dirty(at=4, times=1)", careful).assert_resilient()
    verdict = in_process(path, "cut_clean(at=4)", trusting)
    with pytest.raises(AssertionError, match="truncated_stream_accepted: 1 attempt: truncated"):
        verdict.assert_resilient()
    verdict.assert_resilient(allow=["truncated_stream_accepted"])
    assert not verdict.survived


def test_nothing_is_claimed_of_what_cannot_be_seen(path: Path) -> None:
    altered = in_process(path, "stop_reason(reason=refusal)", trusting)
    assert (kinds(altered), len(altered.unknown)) == ([], 1)
    assert "cannot be seen from here" in altered.unknown[0]

    replay = recorder.replay(path, faults="cut_clean(at=4)")
    with replay.client(**OPTIONS) as client:
        trusting(client)
    unknown = replay.verdict()
    assert (kinds(unknown), len(unknown.unknown)) == ([], 1)
    assert "how the run ended is not known" in unknown.unknown[0]
    with pytest.raises(AssertionError, match="unknown: call 1"):
        unknown.assert_resilient()


def test_a_client_that_goes_on_in_other_words_is_not_judged(path: Path) -> None:
    def continuing(client: anthropic.Anthropic) -> None:
        trusting(client)
        more = [*ASK["messages"], {"role": "assistant", "content": "Hello"}]
        with client.messages.stream(**{**ASK, "messages": more}) as stream:
            stream.get_final_text()

    take = taker(path)
    first: list[recorder.Stream] = []

    def any_request(request: Any) -> recorder.Stream:
        first[:] = first or [take(request)]
        return first[0]

    answers = FaultyAnswers(any_request, "cut_clean(at=4, nth=1)")
    with Upstream(answers, on_end=answers.over) as upstream:
        with anthropic.Anthropic(base_url=upstream.url, **OPTIONS) as client:
            continuing(client)
        upstream.settle()
    verdict = judge(answers.served, real_time=True, ended="well")
    assert (kinds(verdict), len(verdict.unknown)) == ([], 1)
    assert "may have gone on from there" in verdict.unknown[0]

    usual = {one.fingerprint for one in answers.served}
    assert kinds(judge(answers.served, real_time=True, ended="well", usual=usual)) == ["truncated_stream_accepted"]


def test_text_that_came_and_was_not_put_out_is_lost(path: Path) -> None:
    assert kinds(over_http(path, "cut_dirty(at=4)", swallowing, output=True)) == [
        "error_swallowed",
        "partial_output_lost",
    ]
    kept = over_http(path, "cut_clean(at=4)", trusting, output=True)
    assert kinds(kept) == ["truncated_stream_accepted"]
    assert kinds(over_http(path, "status(code=400)", swallowing, output=True)) == ["error_swallowed"]


def test_a_retry_that_does_not_wait_is_found_and_one_that_does_is_not(path: Path) -> None:
    hasty = over_http(path, "status(code=529, times=1)", careful)
    assert kinds(hasty) == ["retried_without_backoff", "recovered"]
    assert not hasty.survived
    polite = over_http(path, "status(code=529, times=1)", careful, max_retries=1)
    assert kinds(polite) == ["recovered"]
    assert kinds(over_http(path, "cut_dirty(at=4, times=1)", careful)) == ["recovered"]


def test_a_retry_after_that_is_not_waited_for_is_found(path: Path) -> None:
    hasty = over_http(path, "status(code=429, retry_after=30, times=1)", careful)
    assert kinds(hasty) == ["retry_after_ignored", "recovered"]
    assert "told to wait 30 s" in str(hasty)
    assert kinds(over_http(path, "status(code=429, retry_after=1, times=1)", careful, max_retries=1)) == [
        "recovered"
    ]


def test_in_instant_replay_nothing_is_said_of_waits(path: Path) -> None:
    assert kinds(in_process(path, "status(code=429, retry_after=30, times=1)", careful)) == ["recovered"]


def test_a_hang_is_survived_by_a_client_that_gives_up_waiting(path: Path) -> None:
    assert kinds(in_process(path, "hang(at=4, times=1)", careful)) == ["recovered"]
    assert kinds(over_http(path, "hang(at=4, times=1)", careful, timeout=IMPATIENT["timeout"])) == ["recovered"]
    assert kinds(in_process(path, "hang(at=4, times=1)", trusting, timeout=None)) == ["no_read_timeout"]


def test_a_client_that_is_killed_in_a_hang_had_no_timeout_that_helps(path: Path) -> None:
    answers = FaultyAnswers(taker(path), "hang(at=4)")
    with Upstream(answers, on_end=answers.over) as upstream:
        client = anthropic.Anthropic(base_url=upstream.url, **OPTIONS)
        stream = iter(client.messages.create(**ASK, stream=True))
        for _ in range(4):
            next(stream)
        killed_at = time.perf_counter_ns()
        client.close()
        upstream.settle()
    verdict = judge(answers.served, real_time=True, ended="killed", killed_at=killed_at, output="")

    assert kinds(verdict) == ["no_read_timeout"]
    assert "it had waited 0 s in silence" in str(verdict)


@pytest.mark.faults
@pytest.mark.recording("../../fixtures/text.jsonl")
@pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")
def test_standard_faults_are_survived_in_process_by_a_careful_client(recording: Use) -> None:
    assert recording.replay is not None
    ask = {name: value for name, value in recording.replay.streams[0].request.body.items() if name != "stream"}
    with anthropic.Anthropic(**OPTIONS) as client:
        careful(client, ask)
