"""The summary's numbers against the streams' own; a query's rows, types and errors."""

from __future__ import annotations

import math
import random
from pathlib import Path
from statistics import quantiles

import pytest

from recorder.analytics.report import QueryError, Spread, Tables
from recorder.log.reader import CorruptError, Problem, find_segments
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
    spreads = {spread.metric: spread for spread in tables(recording).stats().spreads if spread.model == model}

    for name in ("headers_s", "first_event_s", "ttft_s", "ttft_text_s", "gap_max_s", "tpot_s", "output_tps"):
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

    [pooled] = [one for one in tables(recording).stats().spreads if (one.model, one.metric) == (None, "gap_s")]

    assert (pooled.n, pooled.p50, pooled.max) == (n, median, largest)


def test_every_stream_has_an_outcome(recording: Path) -> None:
    stats = tables(recording).stats()

    together, *models = stats.outcomes
    assert (together.model, together.streams) == (None, 250 + len(recordings.KINDS))
    assert together.streams == sum(together.outcomes.values()) == sum(one.streams for one in models)
    assert [one.streams for one in models] == sorted((one.streams for one in models), reverse=True)
    assert stats.ttft_s == sorted(stats.ttft_s)


def test_an_answer_has_names_types_and_rows(recording: Path) -> None:
    answer = tables(recording).query(
        "SELECT 1 AS a, 'x' AS a, TIMESTAMPTZ '2026-01-02 03:04:05+00' AS t FROM range(2)"
    )

    assert answer.columns == [("a", "INTEGER"), ("a", "VARCHAR"), ("t", "TIMESTAMP WITH TIME ZONE")]
    rows = list(answer.rows)
    assert [row[:2] for row in rows] == [(1, "x")] * 2
    assert isinstance(rows[0][2], str)


def test_a_large_answer_comes_in_order(recording: Path) -> None:
    assert [n for (n,) in tables(recording).query("FROM range(5000)").rows] == list(range(5000))


@pytest.mark.parametrize("query", ["SELECT nope FROM streams", "FROM nowhere", "SELEC", "SELECT 'a'::INT"])
def test_a_query_that_fails_says_where(recording: Path, query: str) -> None:
    with pytest.raises(QueryError, match=r"Error: [\s\S]*(LINE 1|nowhere)"):
        list(tables(recording).query(query).rows)


def test_what_is_left_out_is_told_with_its_line(tmp_path: Path) -> None:
    path = recordings.write(tmp_path / "a.jsonl", recordings.text())
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(
        b"".join([*lines[:5], b'{"kind":\n', *lines[5:], b'{"kind":"event","stream":7}\n', b'{"torn'])
    )
    told: list[Problem] = []

    with pytest.raises(CorruptError):
        Tables([path], report=told.append)
    found = Tables([path], salvage=True, report=told.append)

    assert [problem.line for problem in told] == [6, 20, 21]
    assert found.streams == 1
    assert list(found.query("SELECT count(*) FROM events").rows) == [(14,)]


def test_without_payloads_the_summary_is_the_same(recording: Path) -> None:
    light = Tables(find_segments(recording), report=pytest.fail, payloads=False)

    assert light.stats() == tables(recording).stats()
