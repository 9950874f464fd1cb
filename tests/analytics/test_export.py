"""Files that other programs read: the same rows, and no text unless it was asked for."""

from __future__ import annotations

import csv
import json
import stat
import sys
from pathlib import Path

import duckdb
import polars
import pyarrow.ipc
import pytest

from recorder.analytics.export import TABLES, FileFormat, export
from recorder.analytics.report import QueryError, Tables
from recorder.analytics.selection import Selection
from recorder.log.reader import find_segments
from recorder.optional import MissingPackage
from recorder.recording import Recording
from tests.cli import recordings

WRITTEN = ("What is a stream?", "Be brief.", " sequence", "Par", "Let me", "peer closed", "Overloaded")
"""Text of people, models and servers in the recordings; `Par` is of tool arguments."""
DAY_MS = 24 * 3_600_000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One stream of every kind, and one a day later."""
    streams = [*recordings.every_kind(), recordings.text("0da1", sent=DAY_MS, tags={"who": 'it\'s, "me"'})]
    return recordings.write(tmp_path_factory.mktemp("export") / "a.jsonl", *streams)


def tables(path: Path, *, payloads: bool = True) -> Tables:
    return Tables(find_segments(path), report=pytest.fail, payloads=payloads)


def content(directory: Path) -> str:
    """All that is in the files, decompressed, as one text."""
    parts: list[str] = []
    for file in directory.rglob("*.*"):
        if file.suffix == ".parquet":
            parts.append(str(duckdb.execute("FROM read_parquet(?)", [str(file)]).fetchall()))
        elif file.suffix == ".arrow":
            parts.append(str(pyarrow.ipc.open_file(file).read_all().to_pylist()))
        elif file.is_file():
            parts.append(file.read_text("utf-8"))
    assert parts
    return "".join(parts)


@pytest.mark.parametrize("to", ["parquet", "csv", "arrow"])
def test_no_text_unless_it_was_asked_for(tmp_path: Path, path: Path, to: FileFormat) -> None:
    export(tables(path), tmp_path / "timing", to)
    export(tables(path), tmp_path / "full", to, capture="full")

    timing, full = content(tmp_path / "timing"), content(tmp_path / "full")
    assert [text for text in WRITTEN if text in timing] == []
    assert [text for text in WRITTEN if text not in full] == []
    assert "claude-opus-4-5" in timing
    assert "overloaded_error" in timing


def test_a_column_of_text_that_nobody_vouched_for_stays_in(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recorder.analytics.export._NAMES", frozenset({"stream", "call"}))

    export(tables(path), tmp_path / "out", "csv")

    header = (tmp_path / "out" / "streams.csv").read_text("utf-8").partition("\n")[0].split(",")
    assert {"stream", "call", "attempt", "wall", "ttft_s", "complete"} <= {*header}
    assert {"model", "url", "tags", "outcome", "request"}.isdisjoint(header)
    assert "claude" not in content(tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_every_format_has_the_rows_of_the_table(tmp_path: Path, path: Path, table: str) -> None:
    recording = Recording(path)
    maps = "REPLACE (map_entries(tags) AS tags)" if table in ("calls", "streams") else ""
    expected = rows_of(recording.sql(f"SELECT * {maps} FROM {table}"))
    found: dict[str, int] = {}
    for to in ("parquet", "csv", "arrow"):
        [done] = [one for one in export(tables(path), tmp_path / to, to, capture="full") if one.table == table]
        found[to] = done.rows
        assert done.bytes == sum(file.stat().st_size for file in files_of(tmp_path / to, table))
        assert done.files == len(files_of(tmp_path / to, table))

    assert set(found.values()) == {len(expected)}
    parquet = duckdb.sql(f"SELECT * EXCLUDE (day) FROM '{tmp_path}/parquet/{table}/**/*.parquet'")
    assert rows_of(parquet) == expected
    with pyarrow.ipc.open_file(tmp_path / "arrow" / f"{table}.arrow") as file:
        arrow = file.read_all()
    assert rows_of(duckdb.from_arrow(arrow)) == expected
    with (tmp_path / "csv" / f"{table}.csv").open(newline="", encoding="utf-8") as text:
        assert len(list(csv.DictReader(text))) == len(expected)


def rows_of(relation: duckdb.DuckDBPyRelation) -> list[str]:
    return sorted(str(dict(zip(relation.columns, row, strict=True))) for row in relation.fetchall())


def files_of(directory: Path, table: str) -> list[Path]:
    return [file for file in directory.rglob("*") if file.is_file() and f"/{table}" in str(file)]


def test_parquet_is_partitioned_by_the_day_of_the_send(tmp_path: Path, path: Path) -> None:
    export(tables(path), tmp_path / "out", "parquet")

    for table in ("streams", "events", "calls"):
        days = sorted(file.name for file in (tmp_path / "out" / table).iterdir())
        assert days == ["day=2026-11-21", "day=2026-11-22"]
    late = polars.read_parquet(tmp_path / "out" / "streams" / "day=2026-11-22" / "*.parquet")
    assert late["stream"].to_list() == ["0da1"]


def test_lists_and_maps_are_json_in_csv(tmp_path: Path, path: Path) -> None:
    export(tables(path), tmp_path / "out", "csv")

    with (tmp_path / "out" / "calls.csv").open(newline="", encoding="utf-8") as text:
        rows = {row["stream"]: row for row in csv.DictReader(text)}
    assert json.loads(rows["0da1"]["tags"]) == {"who": 'it\'s, "me"'}
    assert json.loads(rows["0da1"]["streams"]) == ["0da1"]


@pytest.mark.parametrize("to", ["parquet", "csv", "arrow"])
def test_a_table_without_rows_has_its_columns(tmp_path: Path, to: FileFormat) -> None:
    alone = recordings.write(tmp_path / "a.jsonl", recordings.connect_failed())

    done = export(tables(alone), tmp_path / "out", to)

    assert [(one.rows, one.files) for one in done if one.table == "stalls"] == [(0, 1)]
    if to == "parquet":
        assert "kind" in polars.read_parquet(tmp_path / "out" / "stalls" / "*.parquet").columns


def test_streams_are_chosen_in_every_table(tmp_path: Path, path: Path) -> None:
    done = export(tables(path), tmp_path / "out", "csv", selection=Selection(where="outcome = 'failed'"))

    assert [(one.table, one.rows) for one in done] == [
        ("calls", 1), ("streams", 1), ("blocks", 1), ("events", 6), ("stalls", 0)
    ]  # fmt: skip


def test_what_is_there_is_never_touched(tmp_path: Path, path: Path) -> None:
    (tmp_path / "out").mkdir()
    export(tables(path), tmp_path / "out", "csv")  # an empty one will do
    before = {file: file.read_bytes() for file in (tmp_path / "out").iterdir()}

    for target in (tmp_path / "out", next(iter(before))):
        with pytest.raises(FileExistsError):
            export(tables(path), target, "csv")

    assert {file: file.read_bytes() for file in (tmp_path / "out").iterdir()} == before


def test_an_export_that_fails_leaves_nothing(tmp_path: Path, path: Path) -> None:
    with pytest.raises(QueryError, match="nope"):
        export(tables(path), tmp_path / "new" / "out", "parquet", selection=Selection(where="nope"))

    assert list((tmp_path / "new").iterdir()) == []


def test_only_the_owner_can_read_it(tmp_path: Path, path: Path) -> None:
    export(tables(path), tmp_path / "it's out", "parquet")

    assert stat.S_IMODE((tmp_path / "it's out").stat().st_mode) == 0o700


def test_a_missing_package_is_named_with_what_installs_it(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pyarrow", "pyarrow.ipc"):
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(MissingPackage) as caught:
        export(tables(path), tmp_path / "out", "arrow")

    assert str(caught.value) == "pyarrow is not installed: pip install 'sse-recorder[arrow]'"
    assert not (tmp_path / "out").exists()
