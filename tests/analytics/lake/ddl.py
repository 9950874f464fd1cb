"""ClickHouse's tables for a lake, on a cluster, made from the columns of shipped objects; and a process that runs
ClickHouse's statements.

`test_layout` writes them into LAKE.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recorder.analytics.dialects import CALLS
from recorder.analytics.export import TABLES
from recorder.analytics.lake.rows import ORDER

TYPES = {
    "VARCHAR": "String", "JSON": "String", "BIGINT": "Int64", "DOUBLE": "Float64", "BOOLEAN": "Bool",
    "TIMESTAMP": "DateTime64(6, 'UTC')",
}  # fmt: skip
NESTED = {"VARCHAR[]": "Array(String)", "MAP(VARCHAR, VARCHAR)": "Map(LowCardinality(String), Nullable(String))"}
"""These are never NULL, but empty."""
FEW = {
    *("segment", "method", "path", "model", "request_model", "stop_reason", "sdk", "anthropic_version", "outcome"),
    *("ended", "error_type", "event", "delta", "type", "kind"),
}
"""Columns of few values."""
SHARD = {"calls": "call"}
"""Which column says the shard; of the other tables it is the stream."""
DAYS = 90
_KEPT = "\x00"
"""A space at which no line is broken."""
Columns = Sequence[tuple[str, str]]


def _column(table: str, name: str, kind: str) -> str:
    if kind in NESTED:
        return f"{name} {NESTED[kind]}"
    key = {"segment", "stream", *ORDER[table].split(", "), *(("attempts",) if table == "calls" else ())}
    found = TYPES[kind] if name in key else f"Nullable({TYPES[kind]})"
    return f"{name} LowCardinality({found})" if name in FEW else f"{name} {found}"


def _table(name: str, columns: Sequence[str], tail: str, shard: str) -> str:
    whole = ", ".join(column.replace(" ", _KEPT) for column in columns)
    listed = textwrap.fill(whole, 113, initial_indent="  ", subsequent_indent="  ").replace(_KEPT, " ")
    given = "lake.shipped_calls" if name == "calls" else f"lake.{name}"
    version = ", attempts" if name == "calls" else ""
    return (
        f"CREATE TABLE lake.{name}_local ON CLUSTER '{{cluster}}' (\n{listed}\n)\n"
        f"ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{{shard}}/lake/{name}', '{{replica}}'{version})\n"
        f"{tail};\n"
        f"CREATE TABLE {given} ON CLUSTER '{{cluster}}' AS lake.{name}_local\n"
        f"ENGINE = Distributed('{{cluster}}', lake, {name}_local, cityHash64({shard}));\n"
    )


def render(columns: Mapping[str, Columns]) -> str:
    """`columns`: (name, DuckDB's type) of each table, those of text, too."""
    parts = ["CREATE DATABASE lake ON CLUSTER '{cluster}';\n"]
    for table in TABLES:
        own = [
            *(_column(table, *one) for one in columns[table]),
            "host LowCardinality(String)",
            "segment_day Date",
        ]
        tail = f"PARTITION BY segment_day ORDER BY ({ORDER[table]})"
        tail += f"\nTTL segment_day + INTERVAL {DAYS} DAY SETTINGS ttl_only_drop_parts = 1"
        parts.append(_table(table, own, tail, SHARD.get(table, "stream")))
    parts.append(_table("loaded", ["segment String"], "ORDER BY segment", "segment"))
    parts.append(
        f"CREATE VIEW lake.calls ON CLUSTER '{{cluster}}' AS {CALLS.replace('shipped', 'lake.shipped')};\n"
    )
    return "\n```sql clickhouse\n" + "\n".join(parts) + "```\n\n"


def statements(text: str) -> list[str]:
    return [one.strip() for one in text.split(";\n") if one.strip()]


CONFIG = """
<clickhouse>
  <macros><cluster>ours</cluster><shard>1</shard><replica>a</replica></macros>
  <tcp_port>9000</tcp_port>
  <remote_servers><ours><shard><replica><host>localhost</host><port>9000</port></replica></shard></ours></remote_servers>
  <zookeeper><implementation>testkeeper</implementation></zookeeper>
</clickhouse>
"""
"""A cluster of one shard, which is the process itself, and a keeper in it. No socket is opened."""
_PROGRAM = """
import json, os, sys
from chdb.session import Session
path, config = sys.argv[1:]
session = Session(f"{path}?config-file={config}")
answers = []
for statement in json.load(sys.stdin):
    try:
        text = str(session.query(statement, "JSONCompact")).strip()
        answer = json.loads(text) if text.startswith("{") else None
        answers.append(answer and [[one["name"] for one in answer["meta"]], answer["data"]])
    except RuntimeError as error:
        answers.append(str(error))
print(json.dumps(answers), flush=True)
os._exit(0)  # replicated tables wait for their server when they are closed
"""


def run(directory: Path, queries: Sequence[str], *, settings: Mapping[str, str]) -> list[Any]:
    """What ClickHouse answers, in a process of its own: names and rows, None, or the text of an error. Its tables
    stay in `directory` for the next."""
    config = directory / "config.xml"
    config.write_text(CONFIG, "utf-8")
    sets = [f"SET {name} = '{value}'" for name, value in settings.items()]
    program = [sys.executable, "-c", _PROGRAM, directory / "clickhouse", config]
    given = json.dumps([*sets, *queries])
    answers = json.loads(
        subprocess.run(program, input=given, stdout=subprocess.PIPE, text=True, check=True).stdout
    )
    assert answers[: len(sets)] == [None] * len(sets)
    return answers[len(sets) :]
