"""The summary's numbers against the streams' own, and against numbers worked out by hand."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import pytest

from recorder.analytics.compare import compare as compared
from recorder.analytics.compare import drawn, quantile_cont, values_of
from recorder.analytics.goodput import goodput, parse_share, parse_slo
from recorder.analytics.report import QueryError, Tables
from recorder.analytics.selection import Selection
from recorder.analytics.stats import Spread, Stats, stats
from recorder.log.reader import find_segments
from recorder.recording import Recording
from tests.cli import recordings


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """250 streams of two models, of every kind, their times drawn from a seed."""
    dice = random.Random(20_261_121)
    streams = []
    for n in range(250):
        model = dice.choice(["claude-haiku-4-5", "claude-opus-4-5"])
        words = ["word "] * dice.randint(2, 30)
        chunks = recordings.text_chunks(words, start=dice.randint(400, 3000), step=dice.randint(1, 90))
        kept = len(chunks) if n % 10 else dice.randint(0, len(chunks) - 1)
        streams.append(recordings.stream(f"{n:016x}", chunks[:kept], sent=n, model=model))
    others = [kind(sent=1000 + n) for n, kind in enumerate(recordings.KINDS)]
    return recordings.write(tmp_path_factory.mktemp("report") / "a.jsonl", *streams, *others)


def tables(path: Path) -> Tables:
    return Tables(find_segments(path), report=pytest.fail)


@pytest.mark.parametrize("model", [None, "claude-haiku-4-5", "claude-opus-4-5", "claude-sonnet-4-5"])
def test_the_spread_of_each_metric_is_that_of_the_streams(recording: Path, model: str | None) -> None:
    timings = [
        (stream.timing(), stream)
        for stream in Recording(recording).streams()
        if model in (None, stream.request.body["model"]) and stream.request.body.get("stream")
    ]
    spreads = {spread.metric: spread for spread in stats(tables(recording)).spreads if spread.group == model}

    for name in (
        "headers_s",
        "first_event_s",
        "ttft_s",
        "ttft_text_s",
        "gap_p99_s",
        "gap_max_s",
        "tpot_s",
        "output_tps",
    ):
        compare(spreads.get(name), [value for one, _ in timings if (value := getattr(one, name)) is not None])
    compare(
        spreads["duration_s"],
        [one.duration_s for one, _ in timings if one.outcome == "complete" and one.duration_s],
    )
    adjusted = [math.inf if one.ttft_s is None else one.ttft_s for one, _ in timings]
    compare(spreads["ttft_s_adjusted"], adjusted)


def compare(spread: Spread | None, values: list[float]) -> None:
    if spread is None:
        assert values == []
        return
    assert (spread.n, spread.max) == (len(values), max(values))
    assert ("n too small" in spread.note) == (len(values) < 100)
    cuts = [
        math.inf if math.isnan(cut) else cut
        for cut in quantiles(values * 2 if len(values) == 1 else values, n=100, method="inclusive")
    ]
    assert [spread.p50, spread.p95, spread.p99] == pytest.approx([cuts[49], cuts[94], cuts[98]])


def test_gaps_are_pooled(recording: Path) -> None:
    answer = tables(recording).query(
        "SELECT count(*), median(gap_s), max(gap_s) FROM events WHERE gap_s IS NOT NULL"
    )
    [(n, median, largest)] = answer.rows

    [pooled] = [one for one in stats(tables(recording)).spreads if (one.group, one.metric) == (None, "gap_s")]

    assert (pooled.n, pooled.p50, pooled.max) == (n, median, largest)


def test_every_stream_has_an_outcome(recording: Path) -> None:
    found = stats(tables(recording))

    together, *models = found.outcomes
    assert (together.group, together.streams) == (None, 250 + len(recordings.KINDS))
    assert together.streams == sum(together.outcomes.values()) == sum(one.streams for one in models)
    assert [one.streams for one in models] == sorted((one.streams for one in models), reverse=True)
    assert found.ttft_s == sorted(found.ttft_s)


def test_without_payloads_the_summary_is_the_same(recording: Path) -> None:
    light = Tables(find_segments(recording), report=pytest.fail, payloads=False)

    assert stats(light) == stats(tables(recording))


def streams_of(path: Path, *firsts: int, **more: Any) -> list[Any]:
    """Streams of two words, a second apart, whose first came after so many ms."""
    made = [
        recordings.stream(f"{n:016x}", recordings.text_chunks(["a", "b", "c"], start=first), sent=1000 * n, **more)
        for n, first in enumerate(firsts)
    ]
    recordings.write(path, *made)
    return made


def spread_of(found: Stats, metric: str, group: str | None = None) -> Spread:
    [spread] = [one for one in found.spreads if (one.group, one.metric) == (group, metric)]
    return spread


def test_percentiles_worked_out_by_hand(tmp_path: Path) -> None:
    streams_of(tmp_path / "a.jsonl", 1000, 2000, 3000, 4000, 10_000)
    found = stats(tables(tmp_path))

    plain, weighted = spread_of(found, "ttft_s"), spread_of(found, "ttft_s_weighted")
    # between the 4th and the 5th: 0.8 of the way at 95 %, 0.96 at 99 %
    assert (plain.n, plain.p50, plain.max) == (5, 3.0, 10.0)
    assert (plain.p95, plain.p99) == pytest.approx((4 + 0.8 * 6, 4 + 0.96 * 6))
    # 20 s of waiting in all, 10 s of them in waits of up to 4 s
    assert (weighted.n, weighted.p50, weighted.p95, weighted.p99, weighted.max) == (5, 4.0, 10.0, 10.0, 10.0)
    assert plain.note == "p99: n too small"


def test_a_hundred_values_are_enough_for_a_99th_percentile(tmp_path: Path) -> None:
    streams_of(tmp_path / "a.jsonl", *range(1000, 1100))

    assert spread_of(stats(tables(tmp_path)), "ttft_s").note == ""


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """Two streams of one feature, one of another whose name has a quote, and one without; hours apart."""
    hour = 3_600_000
    recordings.write(
        tmp_path / "a.jsonl",
        recordings.text("01", tags={"feature": "chat"}),
        recordings.overloaded("02", tags={"feature": "chat"}, sent=hour),
        recordings.text("03", tags={"feature": "it's"}, sent=hour + 1),
        recordings.text("04", sent=25 * hour),
    )
    return tmp_path


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("model", {"claude-haiku-4-5": 4}),
        ("tag:feature", {"chat": 2, "(none)": 1, "it's": 1}),
        ("hour", {"2026-11-21T01:00Z": 1, "2026-11-21T02:00Z": 2, "2026-11-22T02:00Z": 1}),
        ("day", {"2026-11-21": 3, "2026-11-22": 1}),
        ("hour-of-day", {"01:00Z": 1, "02:00Z": 3}),
        ("outcome", {"complete": 3, "http_error": 1}),
        ("status", {"200": 3, "529": 1}),
    ],
)
def test_groups(tagged: Path, by: str, groups: dict[str, int]) -> None:
    found = stats(tables(tagged), Selection(by=by))

    together, *each = found.outcomes
    assert (together.group, together.streams, together.no_output) == (None, 4, 1)
    assert [(one.group, one.streams) for one in each] == list(groups.items())


@pytest.mark.parametrize("by", ["a b", "tag:", "", 'x"; DROP TABLE streams; --', "lower(model)"])
def test_what_is_no_group_is_refused(by: str) -> None:
    with pytest.raises(ValueError, match="is none of model, hour, day"):
        Selection(by=by)


def test_a_tag_is_a_name_and_no_sql(tagged: Path) -> None:
    found = stats(tables(tagged), Selection(by="tag:x'] = '1' OR true OR tags['"))

    assert [one.group for one in found.outcomes] == [None, "(none)"]


def test_streams_are_selected_by_time_and_by_condition(tagged: Path) -> None:
    def ids(**selection: Any) -> int:
        outcomes = stats(tables(tagged), Selection(**selection)).outcomes
        return outcomes[0].streams if outcomes else 0

    hour = recordings.WALL + 3_600_000 * recordings.MS
    assert [ids(since_ns=hour), ids(since_ns=hour + 1), ids(until_ns=hour), ids(until_ns=hour + 1)] == [3, 2, 1, 2]
    assert ids(where="outcome = 'complete' -- the good ones") == 3
    assert ids(where="status = 200 OR status = 529", until_ns=hour) == 1
    assert ids(where="false") == 0
    with pytest.raises(QueryError, match="nope"):
        ids(where="nope > 1")


def test_stalls_are_counted_with_their_share_of_the_time(tmp_path: Path) -> None:
    whole = recordings.text_chunks(["a", "b", "c", "d"], start=1000, step=100)
    late = [(at + 5000 if at > 1100 else at, at + 4999 if at == 1200 else wait, data) for at, wait, data in whole]
    recordings.write(
        tmp_path / "a.jsonl",
        recordings.stream("01", late),
        recordings.stream("02", whole, model="claude-opus-4-5"),
    )
    found = stats(tables(tmp_path))

    together, haiku = found.stalls
    assert (together.group, haiku.group) == (None, "claude-haiku-4-5")
    assert (together.streams, together.share, together.stalls, together.kinds) == (1, 0.5, 1, {"silent": 1})
    assert (together.stalled_s, together.max_s) == pytest.approx((5.1, 5.1))
    assert together.stalled_ratio == pytest.approx(5.1 / (6.305 + 1.305))
    assert haiku.stalled_ratio == pytest.approx(5.1 / 6.305)


def test_goodput_is_of_the_calls_sent_retries_included(tmp_path: Path) -> None:
    recordings.write(
        tmp_path / "a.jsonl",
        recordings.text("01"),  # ttft 0.4 s, lasts 0.755 s, gaps of 50 ms
        recordings.overloaded("02", call="again"),
        recordings.text("03", call="again", attempt=1, sent=2000),  # its first attempt was sent 2 s before
        recordings.failed("04"),
        recordings.connect_failed("05"),
        recordings.whole_body("06"),  # did not ask for a stream
    )

    def met(slo: str) -> tuple[int, int, dict[str, int]]:
        together = goodput(tables(tmp_path), parse_slo(slo))[0]
        assert together.group is None
        return together.met, together.calls, together.missed

    assert met("ttft=400ms") == (2, 4, {"ttft": 2})
    assert met("ttft=399ms") == (0, 4, {"ttft": 4})
    assert met("ttft=2.4s") == (3, 4, {"ttft": 1})
    assert met("ttft=10s,complete") == (2, 4, {"ttft": 1, "complete": 2})
    assert met("duration=1s") == (3, 4, {"duration": 1})
    assert met("gap=50ms") == (3, 4, {"gap": 1})
    assert met("gap=49ms") == (0, 4, {"gap": 4})
    assert met("tpot=1s") == (2, 4, {"tpot": 2})


def test_what_is_too_short_for_a_gap_meets_its_limit_if_it_is_complete(tmp_path: Path) -> None:
    one_word = recordings.text_chunks(["a", "b"])  # both in one chunk
    recordings.write(
        tmp_path / "a.jsonl",
        recordings.stream("01", one_word),
        recordings.stream("02", one_word[:2], end="closed"),
    )

    together, _ = goodput(tables(tmp_path), parse_slo("gap=1s,tpot=1ms"))

    assert (together.met, together.calls, together.missed) == (1, 2, {"gap": 1, "tpot": 1})


def test_goodput_by_group_and_of_no_calls(tagged: Path) -> None:
    found = goodput(tables(tagged), parse_slo("complete"), Selection(by="tag:feature"))
    [nothing] = goodput(tables(tagged), parse_slo("complete"), Selection(where="false"))

    assert [(one.group, one.goodput) for one in found] == [
        (None, 0.75),
        ("chat", 0.5),
        ("(none)", 1.0),
        ("it's", 1.0),
    ]
    assert (nothing.calls, nothing.goodput, nothing.reaches(Fraction(0))) == (0, None, False)
    assert found[0].reaches(parse_share("75%"))
    assert not found[0].reaches(parse_share("75.000001%"))


@pytest.mark.parametrize(
    "text",
    ["", "ttft", "ttft=2", "ttft=2s,ttft=3s", "speed=2s", "ttft=-1s", "ttft=1s,", "complete=1s", "ttft=infs"],
)
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_slo(text)


@pytest.mark.parametrize("text", ["99", "0.99", "101%", "%", "-1%", "nan%"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_share(text)


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [1, 2, 3, 10, 11, 100])
def test_a_drawn_quantile_is_distributed_as_that_of_values_drawn_one_by_one(n: int, quantile: float) -> None:
    dice = random.Random(n)
    values = sorted(dice.lognormvariate(0, 1) for _ in range(n))
    draws = 4000

    fast = sorted(drawn(values, quantile, dice) for _ in range(draws))
    slow = sorted(quantile_cont(sorted(dice.choices(values, k=n)), quantile) for _ in range(draws))

    assert (
        distance(fast, slow) < 0.045
    )  # Kolmogorov and Smirnov: one in ten thousand of equal ones is further apart


def distance(a: list[float], b: list[float]) -> float:
    """The greatest distance of two empirical distribution functions."""
    steps = sorted({*a, *b})
    below = [
        [sum(1 for _ in filter(lambda v: v <= step, values)) for step in steps[:: max(1, len(steps) // 200)]]
        for values in (a, b)
    ]
    return max(abs(x / len(a) - y / len(b)) for x, y in zip(*below, strict=True))


@pytest.mark.slow
def test_the_interval_holds_the_true_difference_as_often_as_it_says() -> None:
    dice = random.Random(7)
    held = 0
    for _ in range(200):
        a = sorted(dice.lognormvariate(0, 0.5) for _ in range(80))
        b = sorted(dice.lognormvariate(0.2, 0.5) for _ in range(80))
        shift = compared({"m": a}, {"m": b}, draws=300, seed=dice.randrange(10**6))[0]
        assert shift.low is not None
        assert shift.high is not None
        held += shift.low <= math.exp(0.2) - 1 <= shift.high

    assert 0.90 <= held / 200 <= 0.99


def test_quantiles_of_a_and_b_and_their_difference() -> None:
    a, b = {"ttft_s": [1.0, 2.0, 3.0]}, {"ttft_s": [2.0, 4.0, 8.0, 16.0]}

    shifts = compared(a, b)

    assert [shift.quantile for shift in shifts] == ["p50", "p90", "p95", "p99"]
    p50 = shifts[0]
    assert (p50.n_a, p50.n_b, p50.a, p50.b, p50.difference) == (3, 4, 2.0, median(b["ttft_s"]), 4.0)
    assert {shift.note for shift in shifts} == {"n too small"}
    assert shifts == compared(a, b)
    assert shifts != compared(a, b, seed=1)


def test_more_values_make_narrower_intervals_and_equal_ones_may_be_chance() -> None:
    dice = random.Random(1)
    small = {"m": sorted(dice.gauss(10, 1) for _ in range(50))}
    large = {"m": sorted(dice.gauss(10, 1) for _ in range(50_000))}
    other = {"m": sorted(dice.gauss(11, 1) for _ in range(50_000))}

    def width(a: dict[str, list[float]], b: dict[str, list[float]]) -> float:
        shift = compared(a, b)[0]
        assert shift.low is not None
        assert shift.high is not None
        return shift.high - shift.low

    assert width(small, small) > 10 * width(large, other)
    assert compared(small, small)[0].note == "may be chance"
    assert [shift.note for shift in compared(large, other)] == [""] * 4


def test_infinities_are_compared_as_far_as_they_can_be() -> None:
    shifts = compared({"m": [1.0] * 9 + [math.inf] * 9}, {"m": [1.0] * 18})

    assert [(shift.a, shift.b, shift.difference) for shift in shifts[1:]] == [(math.inf, 1.0, -math.inf)] * 3
    assert (shifts[0].difference, shifts[0].low, shifts[0].high) == (-math.inf, -math.inf, 0.0)
    both = compared({"m": [math.inf] * 20}, {"m": [math.inf] * 20})[0]
    assert (both.difference, both.low, both.high) == (None, None, None)


def test_values_of_a_group(tagged: Path) -> None:
    everything = values_of(tables(tagged), Selection())
    chat = values_of(tables(tagged), Selection(by="tag:feature"), "chat")
    quoted = values_of(tables(tagged), Selection(by="tag:feature"), "it's")

    assert everything["ttft_s"] == [0.4] * 3
    assert chat["ttft_s_adjusted"] == [0.4, math.inf]
    assert (quoted["ttft_s"], quoted["duration_s"]) == ([0.4], [0.755])
