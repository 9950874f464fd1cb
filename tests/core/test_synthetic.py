"""What is drawn for invented streams follows the numbers that it is said to follow, and one seed gives one stream."""

from __future__ import annotations

from itertools import islice
from random import Random
from statistics import mean, median, quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core import synthetic

MANY = 20_000
MEASURED = {  # of METRICS: time to first token p50, p95; tokens/s p5, p50, p95
    "opus-4-5": ((2.43, 4.92), (40, 56, 89)),
    "sonnet-4-5": ((5.28, 16.2), (38, 55, 85)),
    "sonnet-4": ((1.97, 4.61), (45, 64, 95)),
    "haiku-4-5": ((1.12, 2.20), (84, 126, 179)),
}


@pytest.mark.parametrize("name", synthetic.MODELS)
def test_paces_are_those_that_were_measured(name: str) -> None:
    random, model = Random(1), synthetic.MODELS[name]
    paces = [synthetic.draw_pace(random, model) for _ in range(MANY)]
    (ttft_50, ttft_95), rates = MEASURED[name]

    first = quantiles([one.first / 1e9 for one in paces], n=20)
    rate = quantiles([one.rate for one in paces], n=20)
    assert (first[9], first[18]) == pytest.approx((ttft_50, ttft_95), rel=0.2)
    assert (rate[0], rate[9], rate[18]) == pytest.approx(rates, rel=0.15)
    assert all(0 < one.headers < one.first for one in paces)


def test_deltas_have_1_to_12_tokens_and_a_fifth_share_a_chunk() -> None:
    random = Random(2)
    pace = synthetic.Pace(headers=1, first=2, rate=100.0)
    deltas = [synthetic.draw_delta(random, pace, first=n == 0) for n in range(MANY)]

    assert {one.tokens for one in deltas} == set(range(1, 13))
    assert mean(one.tokens for one in deltas) == pytest.approx(4.7, rel=0.05)
    assert mean(one.coalesced for one in deltas) == pytest.approx(0.2, abs=0.02)
    assert not deltas[0].coalesced
    assert all((one.gap == 0) == one.coalesced for one in deltas)
    per_token = [one.gap / 1e9 / one.tokens for one in deltas if not one.coalesced]
    assert median(per_token) == pytest.approx(0.01, rel=0.05)


def test_the_sdk_waits_longer_before_each_retry() -> None:
    random = Random(4)

    assert 0.37e9 <= synthetic.draw_backoff(random, 0) <= 0.5e9
    assert 6e9 <= synthetic.draw_backoff(random, 9) <= 8e9


def test_pings_come_every_30_seconds_of_a_silence() -> None:
    assert synthetic.pings_in(29_999_999_999) == []
    assert synthetic.pings_in(95_000_000_000) == [30_000_000_000, 60_000_000_000, 90_000_000_000]


@given(st.text(), st.integers(0, 99))
def test_a_text_is_cut_into_what_adds_up_to_it(text: str, seed: int) -> None:
    pace = synthetic.Pace(headers=1, first=2, rate=100.0)
    pieces = list(synthetic.cut(text, Random(seed), pace))

    assert "".join(one.text for one in pieces) == text
    assert all(one.text for one in pieces)
    assert pieces == list(synthetic.cut(text, Random(seed), pace))


def test_a_model_has_its_own_numbers_or_those_of_its_family() -> None:
    named = {
        "claude-haiku-4-5-20251001": "haiku-4-5",
        "claude-3-5-haiku-latest": "haiku-4-5",
        "claude-opus-4-5": "opus-4-5",
        "claude-opus-4-1-20250805": "opus-4-5",
        "claude-sonnet-4-20250514": "sonnet-4",
        "claude-sonnet-4-5": "sonnet-4-5",
        "claude-sonnet-4-6": "sonnet-4",
        "anything": "sonnet-4",
    }
    assert {name: synthetic.model_of(name) for name in named} == {
        name: synthetic.MODELS[key] for name, key in named.items()
    }


def test_ids_look_like_the_apis() -> None:
    ids = [synthetic.draw_id(Random(n), "msg_01", 22) for n in range(9)]

    assert len(set(ids)) == 9
    assert {len(one) for one in ids} == {28}
    assert list(islice(ids, 1)) == [synthetic.draw_id(Random(0), "msg_01", 22)]
