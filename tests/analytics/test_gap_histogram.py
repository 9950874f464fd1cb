"""`gap_quantiles`, from gaps that were counted: within 1 % of the exact ones, by model and together."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from recorder.analytics.database import connect
from recorder.core.records import StreamRecord
from recorder.log.files import find_segments
from tests.analytics.kept import lines, tables, write
from tests.cli import recordings

QUANTILES = [0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 1.0]
EXACT = """
SELECT model, grouping(model) = 1 AS pooled, count(gap_s), quantile_disc(gap_s, {})
FROM events
INNER JOIN streams USING (stream)
WHERE gap_s IS NOT NULL
GROUP BY GROUPING SETS ((), (model))
HAVING pooled OR model IS NOT NULL
"""


def stream(number: int, dice: Random) -> list[StreamRecord]:
    """50 gaps from 100 ns to minutes, of one of three models."""
    model = f"model-{number % 3}"
    words = [recordings.delta(0, "text_delta", text="word") for _ in range(51)]
    chunks = [(n, 1, recordings.sse(word)) for n, word in enumerate([recordings.message_start(model), *words])]
    records = recordings.stream(f"{number:016x}", chunks, sent=number * 1000)
    at = records[1].at
    for n, record in enumerate(records[2:], 2):
        at += int(10 ** dice.uniform(2, 11))
        records[n] = replace(record, at=at)
    return records


def streams(seed: int) -> list[list[StreamRecord]]:
    dice = Random(seed)
    return [stream(number, dice) for number in range(30)]


def check(found: Any) -> None:
    exact = {
        (None if pooled else model, quantile): (n, gap)
        for quantile in QUANTILES
        for model, pooled, n, gap in found(EXACT.format(quantile))
    }
    counted = {(model, float(q)): (n, gap) for model, q, n, gap in found(f"FROM gap_quantiles({QUANTILES})")}
    assert exact.keys() == counted.keys()
    for key, (n, gap) in exact.items():
        assert counted[key] == (n, pytest.approx(gap, rel=0.01, abs=1e-6)), key
    assert len(exact) == 4 * len(QUANTILES)


def test_counted_quantiles_are_within_one_percent(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", "a", lines(*streams(1)))
    check(lambda query: connect(find_segments(tmp_path)).execute(query).fetchall())


def test_they_are_so_of_what_goes_on_later_and_of_what_is_left(tmp_path: Path) -> None:
    these = lines(*streams(2))
    parts = [these[:700], these[700:1200], these[1200:]]
    for n, part in enumerate(parts):
        write(tmp_path / f"{n}.jsonl", f"s{n}", part)
        tables(tmp_path, report=lambda _: None)
    check(lambda query: list(tables(tmp_path, report=lambda _: None).query(query).rows))
    (tmp_path / "1.jsonl").unlink()
    assert len(list(tables(tmp_path, report=lambda _: None).query("FROM gap_histogram").rows)) > 100
    left = tables(tmp_path, report=lambda _: None)
    for quantile in QUANTILES:  # of some streams the request is gone: they stand in `events`, and not in `streams`
        [(n, gap)] = left.query(f"SELECT count(gap_s), quantile_disc(gap_s, {quantile}) FROM events").rows
        [(counted, near)] = left.query(
            f"SELECT n, gap_s FROM gap_quantiles([{quantile}]) WHERE model IS NULL"
        ).rows
        assert (counted, near) == (n, pytest.approx(gap, rel=0.01, abs=1e-6)), quantile
