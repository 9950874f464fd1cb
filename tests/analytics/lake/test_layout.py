"""LAKE.md is true of files that were shipped; `python -m tests.analytics.lake.test_layout` writes its tables anew."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import duckdb
import msgspec
import pytest

from recorder.analytics.dialects import DIFFERENCES
from recorder.analytics.export import TABLES, Capture
from recorder.analytics.lake import rewrite, store
from recorder.analytics.lake.layout import Claim, Generation, Shipped
from recorder.analytics.lake.rows import ORDER
from recorder.analytics.lake.store import Store
from tests.analytics.lake import ddl
from tests.analytics.lake.lakes import segment, ship
from tests.analytics.lake.test_ship import kinds

PATH = Path(store.__file__).parents[1] / "LAKE.md"
TEXT = PATH.read_text("utf-8")
TABLE = re.compile(r"(?<=<!-- tables -->\n).*?(?=<!-- end -->)", re.DOTALL)

CLUSTER = re.compile(r"(?<=<!-- clickhouse -->\n).*?(?=<!-- end clickhouse -->)", re.DOTALL)
DIFFERENT = re.compile(r"(?<=<!-- differences -->\n).*?(?=<!-- end differences -->)", re.DOTALL)


def columns(lake: Path, table: str) -> list[tuple[str, str]]:
    found = duckdb.sql(f"DESCRIBE FROM read_parquet('{lake}/{table}/**/*.parquet', hive_partitioning = false)")
    return [(name, kind) for name, kind, *_ in found.fetchall()]


def render(timing: Path, full: Path) -> str:
    parts: list[str] = []
    for table in TABLES:
        always = {name for name, _ in columns(timing, table)}
        parts.append(f"\n### {table}\n\nSorted by `{ORDER[table]}`.\n\n| column | type | |\n|---|---|---|\n")
        parts += [
            f"| `{name}` | {kind} | {'' if name in always else 'with `--capture full`'} |\n"
            for name, kind in columns(full, table)
        ]
    return "".join([*parts, "\n"])


def differences() -> str:
    lines = ["| DuckDB | where | why |\n|---|---|---|\n"]
    for one in DIFFERENCES.values():
        where = ", ".join(f"{name} (not exact)" if name in one.inexact else name for name in one.instead)
        lines.append(f"| `{one.duckdb}` | {where or 'everywhere'} | {one.reason} |\n")
    return "".join(lines)


def cluster(full: Path) -> str:
    return ddl.render({table: columns(full, table) for table in TABLES})


def shipped(directory: Path) -> str:
    path = segment(directory / "r" / "a.jsonl", "9f2c1e7a40b3d586", kinds())
    captures: tuple[Capture, ...] = ("timing", "full")
    for capture in captures:
        ship(path, directory / capture, last=True, capture=capture)
    return render(directory / "timing", directory / "full")


@pytest.fixture(scope="module")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("layout")
    assert shipped(path)
    return path


def test_the_columns_are_those_of_shipped_files(lakes: Path) -> None:
    assert TABLE.search(TEXT) is not None
    assert TABLE.findall(TEXT) == [render(lakes / "timing", lakes / "full")]


def test_the_tables_of_a_cluster_have_the_columns_of_shipped_files(lakes: Path) -> None:
    assert CLUSTER.findall(TEXT) == [cluster(lakes / "full")]


def test_the_differences_of_engines_are_those_of_the_program() -> None:
    assert DIFFERENT.findall(TEXT) == [differences()]


def test_the_names_are_those_of_shipped_objects(lakes: Path) -> None:
    list(rewrite.compact(Store(str(lakes / "timing"))))
    [listed] = re.findall(r"<!-- names -->\n```text\n(.*?)```", TEXT, re.DOTALL)
    said = {line.split()[0] for line in listed.splitlines() if "merged" not in line and "00000001" not in line}

    there = {str(one.relative_to(lakes / "timing")) for one in (lakes / "timing").rglob("*") if one.is_file()}
    assert there == said


@pytest.mark.parametrize(("kind", "suffix"), [(Claim, ".claim"), (Shipped, ".json")])
def test_the_small_objects_are_as_they_are_shown(lakes: Path, kind: type[msgspec.Struct], suffix: str) -> None:
    [file] = (lakes / "timing" / "_lake" / "day=2026-11-21").glob(f"*{suffix}")
    fields = set(kind.__struct_fields__)
    shown = [msgspec.json.decode(text) for text in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)]

    assert msgspec.json.decode(file.read_bytes()).keys() == fields
    assert [set(one) for one in shown].count(fields) == 1
    assert [msgspec.convert(one, Generation).number for one in shown if "merged" in one] == [1]


def test_every_number_in_the_text_is_that_of_the_program() -> None:
    assert f"{rewrite.TARGET_BYTES >> 20} MiB" in TEXT


def test_the_queries_in_the_text_run(lakes: Path) -> None:
    queries = re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL)
    assert len(queries) >= 3
    for query in queries:
        assert duckdb.sql(query.replace("s3://bucket/lake", str(lakes / "timing"))).fetchall()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        written = TABLE.sub(lambda _: shipped(Path(name)), TEXT)
        written = CLUSTER.sub(lambda _: cluster(Path(name, "full")), written)
    PATH.write_text(DIFFERENT.sub(lambda _: differences(), written), "utf-8")
    sys.stdout.write(f"{PATH}\n")
