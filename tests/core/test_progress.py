"""A stream while it goes on: what it is at, and at its end the same numbers as for the whole stream."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from recorder.core.attempt import Attempt
from recorder.core.progress import Progress
from recorder.core.records import StreamRecord
from recorder.core.redact import Secrets
from recorder.core.timing import timing
from tests import corpus
from tests.cli import recordings
from tests.core.script import MS, Script

S = 1_000_000_000


def progress(records: Sequence[StreamRecord], now: int = 0) -> Progress:
    stream = Progress(records[0], now)
    for record in records[1:]:
        stream.take(record)
    return stream


def same_as_timing(records: Sequence[StreamRecord]) -> None:
    seen, whole = progress(records), timing(records)
    now = recordings.WALL
    expected = (
        whole.outcome, whole.error_type, whole.ttft_s, whole.output_chars, whole.events, whole.stalls, whole.stalled_s,
    )  # fmt: skip
    assert expected == (
        seen.outcome, seen.error_type, seen.ttft_s, seen.output_chars, seen.events, seen.stalls, seen.stalled_s,
    )  # fmt: skip
    if seen.end:
        assert (whole.output_tokens, whole.duration_s) == (seen.output_tokens, seen.open_s(now))


@pytest.mark.parametrize("kind", recordings.KINDS)
def test_every_kind_of_stream_ends_as_timing_says(kind) -> None:
    same_as_timing(kind())


@corpus.marker
def test_every_real_stream_ends_as_timing_says() -> None:
    stalled = 0
    for number, one in enumerate(corpus.streams()):
        random = Random(number)
        attempt = Attempt(stream="s", call="c", attempt=0, secrets=Secrets())
        records: list[StreamRecord] = [
            attempt.request(wall=0, mono=0, method="POST", url="/", headers=[], body=b"{}"),
            attempt.response(at=S, status=200, headers=recordings.SSE),
        ]
        at = S
        for chunk in one.chunks or [one.body[n : n + 500] for n in range(0, len(one.body), 500)]:
            at += wait if (wait := round(random.lognormvariate(-2, 1.5) * S)) else 1
            records += attempt.chunk(at, wait, chunk)
        records += attempt.end(at + MS, MS, "read")
        same_as_timing(records)
        stalled += timing(records).stalls
        joined = progress(records[3:])
        assert (joined.ttft_s, joined.outcome) == (None, timing(records).outcome)
    assert stalled > 100


@pytest.mark.parametrize(
    "script",
    [
        Script(status=None),
        Script().text(1, 200),
        Script().text(1, 200).gap(5000).text(1, 9000).text(1, 12_000).end(19_200),
        Script().event("ping", 200).text(1, 400).event("ping", 1900).text(1, 3900).end(4000),
        Script().start(0, "redacted_thinking", 200, chars=99).end(3000, complete=True),
        Script().start(0, "text", 200).delta(0, "signature_delta", 7, 300).end(400, "closed"),
        Script(headers_ms=5000).end(9000),
        Script(status=None).end(700, "failed"),
    ],
)
def test_odd_streams_end_as_timing_says(script: Script) -> None:
    same_as_timing(script.records)


def test_what_a_stream_is_at_from_record_to_record() -> None:
    def seen(records: Sequence[StreamRecord]) -> list[str]:
        states = [progress(records[: n + 1]).state for n in range(len(records) - 1)]
        return [state for n, state in enumerate(states) if n == 0 or state != states[n - 1]]

    waiting = ["waiting for headers", "waiting for first token"]
    assert seen(recordings.text()) == [*waiting, "streaming"]
    assert seen(recordings.thinking()) == [*waiting, "thinking", "streaming"]
    assert seen(recordings.tool()) == [*waiting, "tool use"]
    assert seen(recordings.whole_body()) == ["waiting for headers", "waiting for body"]


def test_tokens_and_model_are_known_as_soon_as_an_event_says_them() -> None:
    records = recordings.text()
    models = [progress(records[: n + 1]).model for n in range(4)]
    assert models == ["claude-haiku-4-5"] * 2 + ["claude-haiku-4-5-20251001"] * 2
    tokens = [progress(records[: n + 1]).output_tokens for n in range(len(records))]
    assert tokens == [None] * (len(records) - 3) + [8] * 3  # message_delta, message_stop, end


def test_ages_grow_with_the_clock() -> None:
    script = Script(headers_ms=100).text(1, 1000).event("ping", 4000)
    sent = progress(script.records[:1])
    assert (sent.open_s(5 * S + 1), sent.silent_s(5 * S + 1), sent.paused_s(5 * S + 1)) == (5, 5, 5)
    pinged = progress(script.records)
    assert (pinged.open_s(5 * S + 1), pinged.silent_s(5 * S + 1), pinged.paused_s(5 * S + 1)) == (5, 1, 4)
    assert pinged.paused_s(0) == 0  # a clock that is behind


def test_a_stream_joined_in_its_middle_has_no_ttft_and_an_estimated_send() -> None:
    records = recordings.text()
    joined = progress(records[5:8], now=recordings.WALL + 999 * S)
    assert joined.joined
    assert (joined.ttft_s, joined.model) == (None, None)
    assert joined.sent == recordings.WALL + 999 * S - records[5].at
    assert joined.paused_s(recordings.WALL + 1000 * S) < 1.0
    from_headers = progress(records[1:])
    assert from_headers.ttft_s == timing(records).ttft_s
