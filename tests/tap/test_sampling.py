"""Which calls are recorded: a share of them, and those that are worth it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import anthropic
import pytest

import recorder
from recorder.core.timing import Timing
from recorder.log.sampling import in_sample
from recorder.log.streams import Stream
from recorder.testing import Received, Reply, Upstream, message_events

ASK: dict[str, Any] = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}


def answer(_: Received) -> Reply:
    return Reply.sse(message_events("a", "b"))


def client(upstream: Upstream, **options: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=upstream.url, api_key="none", **{"max_retries": 0, **options})


def call(one: anthropic.Anthropic, **more: Any) -> None:
    for _ in one.messages.create(**ASK, stream=True, **more):
        pass


def recorded(path: Path) -> list[Stream]:
    return list(recorder.open(path).streams()) if path.exists() else []


def test_the_share_is_what_was_asked_for_and_depends_on_the_id_alone() -> None:
    ids = [f"call-{n}" for n in range(20_000)]
    chosen = {one for one in ids if in_sample(one, 0.1)}

    assert 1800 < len(chosen) < 2200
    assert chosen == {one for one in ids if in_sample(one, 0.1)}
    assert chosen < {one for one in ids if in_sample(one, 0.2)}
    assert not any(in_sample(one, 0.0) for one in ids)
    assert all(in_sample(one, 1.0) for one in ids)


def test_a_call_outside_the_sample_is_not_even_queued(tmp_path: Path) -> None:
    with Upstream(answer) as upstream, recorder.Tap(tmp_path / "r", sample=0.5) as tap:
        with tap.wrap(client(upstream)) as one:
            keys = [f"stainless-python-retry-{n}" for n in range(30)]
            for key in keys:
                call(one, extra_headers={"idempotency-key": key})
        tap.flush()
        stats = tap.stats()
    streams = recorded(tmp_path / "r")

    assert stats.sampled_out == 30 - len(streams)
    assert 3 < len(streams) < 27
    assert all(in_sample(stream.call, 0.5) for stream in streams)


def test_all_attempts_of_a_call_share_its_fate(tmp_path: Path) -> None:
    def busy(received: Received) -> Reply:
        if dict(received.headers)["x-stainless-retry-count"] == "2":
            return answer(received)
        return Reply.error(529, "overloaded_error", "no", headers=[("retry-after-ms", "1")])

    with Upstream(busy) as upstream, recorder.Tap(tmp_path / "r", sample=0.5) as tap:
        with tap.wrap(client(upstream, max_retries=2)) as one:
            for _ in range(20):
                call(one)
    attempts: dict[str, set[int]] = {}
    for stream in recorded(tmp_path / "r"):
        attempts.setdefault(stream.call, set()).add(stream.request.attempt)

    assert attempts
    assert all(each == {0, 1, 2} for each in attempts.values())


def test_keep_is_asked_at_the_end_and_later_attempts_follow(tmp_path: Path) -> None:
    asked: list[Timing] = []

    def failed(timing: Timing) -> bool:
        asked.append(timing)
        return timing.outcome == "http_error"

    replies = [answer, lambda r: Reply.error(529, "e", "no", headers=[("retry-after-ms", "1")]), answer, answer]
    each = iter(replies)
    with Upstream(lambda r: next(each)(r)) as upstream, recorder.Tap(tmp_path / "r", sample=0, keep=failed) as tap:
        with tap.wrap(client(upstream, max_retries=1)) as one:
            call(one)
            call(one)
            call(one)
        tap.flush()
        stats = tap.stats()
    streams = recorded(tmp_path / "r")

    assert [timing.outcome for timing in asked] == ["complete", "http_error", "complete"]
    assert sorted((s.timing().outcome, s.request.attempt) for s in streams) == [("complete", 1), ("http_error", 0)]
    assert len({stream.call for stream in streams}) == 1
    assert (stats.sampled_out, stats.given_up, stats.streams) == (2, 0, 4)
    assert recorder.open(tmp_path / "r").problems == []


def test_a_keep_that_raises_keeps_the_stream_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def keep(timing: Timing) -> bool:
        raise RuntimeError(timing.outcome)

    with caplog.at_level(logging.ERROR, logger="recorder"), Upstream(answer) as upstream:
        with recorder.Tap(tmp_path / "r", sample=0, keep=keep) as tap, tap.wrap(client(upstream)) as one:
            call(one)
            call(one)

    assert len(recorded(tmp_path / "r")) == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"recorder: {tmp_path / 'r'}: keep raised RuntimeError; its streams are written"
    ]


def test_what_is_held_is_bounded(tmp_path: Path) -> None:
    def large(_: Received) -> Reply:
        return Reply.sse(message_events(*["x" * 1000] * 100))

    with Upstream(large) as upstream:
        tap = recorder.Tap(tmp_path / "r", sample=0, keep=lambda _: True, held_bytes=50_000)
        with tap, tap.wrap(client(upstream)) as one:
            call(one)
            tap.flush()
            assert (tap.stats().given_up, tap.stats().lines) == (1, 0)
    assert recorded(tmp_path / "r") == []


def test_nothing_is_written_before_the_end_of_a_stream_that_is_held(tmp_path: Path) -> None:
    with Upstream(answer) as upstream, recorder.Tap(tmp_path / "r", sample=0, keep=lambda _: True) as tap:
        with tap.wrap(client(upstream)) as one:
            stream = one.messages.create(**ASK, stream=True)
            next(iter(stream))
            tap.flush()
            assert tap.stats().lines == 0
            list(stream)
    assert [s.timing().outcome for s in recorded(tmp_path / "r")] == ["complete"]


@pytest.mark.parametrize("wanted", [True, False])
def test_what_is_held_when_the_tap_is_closed_is_asked_for_as_it_is(tmp_path: Path, wanted: bool) -> None:
    asked: list[str] = []

    def keep(timing: Timing) -> bool:
        asked.append(timing.outcome)
        return wanted

    with Upstream(answer) as upstream, recorder.Tap(tmp_path / "r", sample=0, keep=keep) as tap:
        with tap.wrap(client(upstream)) as one:
            stream = one.messages.create(**ASK, stream=True)
            next(iter(stream))
            tap.close()
            assert len(list(stream)) > 1, "the application's stream goes on"

    assert asked == ["lost"]
    assert [s.timing().outcome for s in recorded(tmp_path / "r")] == ["lost"] * wanted
    assert tap.stats().sampled_out == (not wanted)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(tmp_path: Path, share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        recorder.Tap(tmp_path, sample=share)


@pytest.mark.parametrize(("option", "value"), [("capture", "times"), ("redact", ["a.b"])])
def test_wrong_options_are_refused_when_the_tap_is_made(tmp_path: Path, option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"capture is|no JSON path"):
        recorder.Tap(tmp_path, **{option: value})


def test_a_rule_of_the_users_that_raises_costs_the_text_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def keep(value: Any) -> Any:
        raise KeyError(value)

    with caplog.at_level(logging.ERROR, logger="recorder"), Upstream(answer) as upstream:
        with recorder.Tap(tmp_path / "r", redact=[keep]) as tap, tap.wrap(client(upstream)) as one:
            call(one)
        assert tap.stats().errors > 0
    (stream,) = recorded(tmp_path / "r")

    assert stream.timing().outcome == "complete"
    assert stream.request.body is None
    assert [record.getMessage() for record in caplog.records] == [
        f"recorder: {tmp_path / 'r'}: the rule keep raised KeyError; its records have no text"
    ]
