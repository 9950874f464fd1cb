"""Percentiles of all gaps from the stored histogram: within the error that it states, whatever the gaps are."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from recorder.analytics.database import Database
from recorder.core.lines import encode_line
from recorder.core.records import Request
from tests.analytics.kept import tables, write
from tests.analytics.test_equality import Maker

ERROR = 0.008
QUANTILES = [0.5, 0.95, 0.99]


def streams(first: int) -> list[bytes]:
    """Forty streams of two models, with gaps from none to years."""
    lines: list[bytes] = []
    for seed in range(first, first + 40):
        data = b'{"model":"a"}' if seed % 3 else b'{"model":"b"}'
        for record in Maker(f"{seed:016x}", seed, 60).records:
            lines.append(encode_line(replace(record, data=data) if isinstance(record, Request) else record))
    return lines


def test_percentiles_from_the_histogram_are_as_exact_as_it_says(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", "a", streams(0))
    write(tmp_path / "b.jsonl", "b", streams(100))
    database = Database(tmp_path / "all.duckdb", own=True)
    found = tables(tmp_path, database=database)
    exact = list(
        found.query(
            f"SELECT model, count(gap_s), quantile_disc(gap_s, {QUANTILES}) FROM events INNER JOIN streams USING (stream)"
            " WHERE gap_s IS NOT NULL GROUP BY GROUPING SETS ((), (model)) ORDER BY ALL"
        ).rows
    )
    stored = list(found.query("FROM gap_percentiles() ORDER BY ALL").rows)
    pairs = list(zip(exact, stored, strict=True))
    assert len(pairs) >= 3
    for (model, n, percentiles), (also_model, gaps, *estimates) in pairs:
        assert (also_model, gaps) == (model, n)
        assert estimates == pytest.approx(percentiles, rel=ERROR, abs=1e-9)
    assert max(max(percentiles) for _, _, percentiles in exact) > 3600
