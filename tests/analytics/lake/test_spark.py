"""Spark over a lake: a standalone cluster of real processes, and `spark://local`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from recorder.analytics.lake import spark as module
from recorder.analytics.lake.rewrite import compact
from recorder.analytics.lake.spark import LOCAL, NoEngine, Spark
from recorder.analytics.lake.store import Store
from recorder.analytics.report import QueryError, Tables
from recorder.log.files import find_segments
from tests.analytics.lake import s3
from tests.analytics.lake.answers import all_differences, made, tables_of, traps
from tests.analytics.lake.lakes import segment, ship
from tests.analytics.lake.standalone import Cluster, Process, cluster
from tests.analytics.lake.test_layout import PATH as LAKE
from tests.cli import recordings
from tests.cli.command import recorder as command

SETTINGS = {"spark.sql.shuffle.partitions": "2", "spark.ui.enabled": "true", "spark.ui.port": "0"}
"""Few partitions, for the lake is small; and the API that tells where tasks run."""
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""For Java processes that live for seconds."""
LONG = """
SELECT a.event AS event, count(*) AS n, sum(a.chars * b.chars + run) AS sum_of_products
FROM events AS a, events AS b, range(6) AS t (run)
WHERE a.seq < b.seq
GROUP BY a.event
ORDER BY event
"""
"""Some seconds of work for each of two workers, and whole numbers for an answer."""
GAPS = "SELECT gap_s + run / 1000 AS gap_s FROM events, range(100) AS t (run) WHERE gap_s IS NOT NULL"
"""More numbers than Spark keeps before it begins to summarise."""
SNIPPET = re.findall(r"(?<=```python\n).*?(?=```)", LAKE.read_text(encoding="utf-8"), re.DOTALL)
ASK = "from recorder_cli.main import run; run()"


@pytest.fixture(scope="module", autouse=True)
def _pyspark() -> Iterator[None]:
    """The JVM that Spark keeps in a process is not for the tests of other modules."""
    pyspark = pytest.importorskip("pyspark", reason="needs pyspark: pip install 'sse-recorder[spark]'")
    yield
    if module._gateway.cache_info().currsize:
        gateway = module._gateway()
        module._gateway.cache_clear()
        pyspark.SparkContext._gateway = pyspark.SparkContext._jvm = None
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait()


@pytest.fixture
def java(monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("needs Java: apt-get install openjdk-17-jre-headless")
    monkeypatch.setenv("JDK_JAVA_OPTIONS", QUICK)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("spark"))


@pytest.fixture(scope="module")
def tables(path: Path) -> Tables:
    return tables_of(path)


@pytest.fixture
def two_workers(java: None) -> Iterator[Cluster]:
    with cluster(workers=2) as made:
        yield made


def api(spark: Spark, what: str) -> list[dict[str, Any]]:
    context = spark.session.sparkContext
    with urlopen(f"{context.uiWebUrl}/api/v1/applications/{context.applicationId}/{what}") as answer:
        return json.load(answer)


def executors(spark: Spark, worker: Process) -> list[dict[str, Any]]:
    """Those that a worker has or had."""
    port = worker.ui.rpartition(":")[2]
    return [
        one
        for one in api(spark, "allexecutors")
        if any(f":{port}/" in log for log in one["executorLogs"].values())
    ]


def kill_while_it_works(spark: Spark, worker: Process, query: str) -> list[tuple[Any, ...]]:
    """The answer, though the worker is lost while all workers have tasks of the query."""
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(lambda: list(spark.query(query).rows))
        while not any(one["numActiveTasks"] == 2 for one in api(spark, "stages?status=active")):
            assert not asked.done(), asked.result()
            time.sleep(0.01)
        worker.kill()
        return asked.result(timeout=120)


@pytest.mark.slow
def test_a_cluster_answers_as_duckdb_does_also_when_a_worker_is_killed_in_mid_query(
    path: Path, tables: Tables, two_workers: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All in one, for the sake of the cluster, whose processes take seconds to start."""
    lost, left = two_workers.workers
    with Spark(Store(str(path / "lake")), two_workers.url, settings=SETTINGS) as spark:
        assert all_differences(tables, spark) == {}
        assert traps(spark) == traps(tables)
        check_estimates(spark, tables)
        assert [[one["completedTasks"] > 10 for one in executors(spark, worker)] for worker in (lost, left)] == [
            [True]
        ] * 2

        assert kill_while_it_works(spark, lost, LONG) == list(tables.query(LONG).rows)
        assert lost.process.returncode == -9
        assert [one["isActive"] for one in executors(spark, lost)] == [False]
        assert sum(stage["numFailedTasks"] for stage in api(spark, "stages")) > 0

    left.kill()
    monkeypatch.setattr(module, "WORKERS_S", 1.0)
    with pytest.raises(
        NoEngine, match=r"no worker took work within 1 s: it needs one with a free core, 1g of memory"
    ):
        Spark(Store(str(path / "lake")), two_workers.url).__enter__()


def check_estimates(spark: Spark, tables: Tables) -> None:
    """What LAKE.md says of those."""
    for q in (0.5, 0.95, 0.999):
        [(estimate, n)] = spark.query(f"SELECT approx_quantile(gap_s, {q}), count(*) FROM ({GAPS})").rows
        [(below, up_to)] = tables.query(
            f"SELECT count(*) FILTER (gap_s < {estimate!r}), count(*) FILTER (gap_s <= {estimate!r}) FROM ({GAPS})"
        ).rows
        assert n > 100_000
        assert below - n / 10_000 <= q * n <= up_to + n / 10_000
        assert below < up_to, "one of the values"
    count = f"SELECT count(DISTINCT gap_s), approx_count_distinct(gap_s) FROM ({GAPS})"
    [(exact, about)] = spark.query(count).rows
    assert exact == next(tables.query(count).rows)[0]
    assert about != exact
    assert abs(about - exact) < 0.15 * exact


@pytest.mark.slow
def test_on_this_machine_what_counts_is_read_and_errors_are_one_line(
    path: Path, tmp_path: Path, java: None, capfd: pytest.CaptureFixture[str]
) -> None:
    """The lake's path is none of Spark's patterns; rows that were merged are in their old objects, too, and what was
    shipped with its text lies beside what was not."""
    lake = tmp_path / "a lake [1]{x} %20*"
    shutil.copytree(path / "lake", lake)
    assert [(one.objects, one.objects_after) for one in compact(Store(str(lake)))] == [(15, 5)]
    shutil.copytree(path / "lake" / "events", lake / "events", dirs_exist_ok=True)
    ship(segment(tmp_path / "0.jsonl", "s9", recordings.text("0da1")), lake, last=True, capture="full")
    tables = Tables([*find_segments(path / "r"), tmp_path / "0.jsonl"], report=pytest.fail, salvage=True)
    count = "SELECT count(*) AS n, count(chars) AS chars FROM events"
    text = (
        "SELECT stream, event, data, text FROM events WHERE stream LIKE '0da1%' OR chars > 20 ORDER BY stream, seq"
    )

    with Spark(Store(str(lake)), LOCAL, settings=SETTINGS) as spark:
        assert list(spark.query(count).rows) == list(tables.query(count).rows)
        assert None in {words for *_, words in spark.query(text).rows}
        assert [row for row in spark.query(text).rows if row[2]] == [
            row for row in tables.query(text).rows if row[0].startswith("0da1")
        ]
        named = spark.query(
            "SELECT {'a': [wall], 'timestamp': 1} AS s, 1 AS x, 2.5::DOUBLE AS x, tags FROM streams LIMIT 1"
        )
        [(struct, *numbers, tags)] = named.rows
        assert [name for name, _ in named.columns] == ["s", "x", "x", "tags"]
        assert [kind for _, kind in named.columns[1:3]] == ["INTEGER", "DOUBLE"]
        assert ([*struct], numbers, type(tags)) == (["a", "timestamp"], [1, 2.5], dict)
        for query, said in {
            "SELECT nope FROM streams": "`nope` cannot be resolved",
            "SELEC": "Syntax error at or near",
            "SELECT 1 // (count(*) - count(*)) FROM streams": "Division by zero",
            "SELECT sum(wall_ns) FROM events JOIN streams USING (stream)": "overflow",
        }.items():
            with pytest.raises(QueryError, match=said) as caught:
                spark.query(query)
            assert "\n" not in str(caught.value)
        assert list(spark.query("SELECT 1 / (count(*) - count(*)) AS x FROM streams").rows) == [(None,)]
        exec(SNIPPET[0].replace("/mnt/lake", str(path / "lake")), {"spark": spark.session})
        [(rows, days)] = spark.session.sql("SELECT count(*), count(DISTINCT day, host) FROM streams").collect()
        assert (rows, days) == (next(tables_of(path).query("SELECT count(*) FROM streams").rows)[0], 1)
        with pytest.raises(NoEngine, match="Cannot run multiple SparkContexts"):
            Spark(Store(str(lake)), LOCAL).__enter__()
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_the_command_on_a_machine_elsewhere(path: Path, java: None) -> None:
    """Times are UTC there, too, and nothing of what Java says is on the terminal."""
    query = (
        "SELECT request_model, date_trunc('hour', min(wall)) AS hour, max(wall) AS last, count(*) AS n,"
        " median(ttft_s) AS p50_s FROM streams GROUP BY ALL ORDER BY 1"
    )
    arguments = ["sql", query, (path / "lake").as_uri(), "--engine", LOCAL, "--format", "csv"]
    environment = {**os.environ, "TZ": "America/New_York"}
    there = subprocess.run(
        [sys.executable, "-c", ASK, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    here = command("sql", query, path / "r", "--db", ":memory:", "--salvage", "--format", "csv")

    assert here.stdout.count("\n") > 2
    assert (there.returncode, there.stdout, there.stderr) == (0, here.stdout, "")


@pytest.mark.slow
def test_an_object_store_is_fetched_for_this_machine(
    path: Path, s3_port: int, bucket: str, java: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**s3.SETTINGS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3_port}"}.items():
        monkeypatch.setenv(name, value)
    ship(path / "r", Store(f"s3://{bucket}/lake"), last=True)
    query = "SELECT outcome, count(*) AS n FROM streams GROUP BY outcome ORDER BY outcome"

    there = command("sql", query, f"s3://{bucket}/lake", "--engine", LOCAL, "--format", "csv")
    here = command("sql", query, path / "r", "--db", ":memory:", "--salvage", "--format", "csv")
    assert (there.exit_code, there.stdout) == (0, here.stdout)


def test_what_cannot_be_asked_is_one_line(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(lake: object, engine: str) -> str:
        asked = command("sql", "FROM streams", str(lake), "--engine", engine)
        assert (asked.exit_code, asked.stderr.count("\n")) == (2, 1)
        return asked.stderr

    assert "it is spark://HOST:PORT, or spark://local" in refused(path / "lake", "spark://x")
    assert "no jars for object stores" in refused("s3://bucket/lake", "spark://127.0.0.1:7077")
    assert "no master there: Connection refused" in refused(path / "lake", "spark://127.0.0.1:1")
    assert (
        "--engine presto://x: it is"
        in command("sql", "FROM streams", path / "lake", "--engine", "presto://x").stderr
    )
    assert command("sql", "FROM streams", tmp_path / "none", "--engine", LOCAL).exit_code == 3
    monkeypatch.setitem(sys.modules, "pyspark", None)
    assert refused(path / "lake", LOCAL) == "error: pyspark is not installed: pip install 'sse-recorder[spark]'\n"


OLD = """#!/bin/sh
echo 'Error: LinkageError occurred while loading main class org.apache.spark.launcher.Main' >&2
echo '	java.lang.UnsupportedClassVersionError: class file version 61.0 ... up to 55.0' >&2
exit 1
"""
"""What Java 11 says."""


NO_JAVA = "no Java, and Spark needs 17 or newer: apt-get install openjdk-17-jre-headless"
TOO_OLD = "Java did not start Spark, which needs 17 or newer: Error: LinkageError occurred while loading main class org.apache.spark.launcher.Main"


@pytest.mark.parametrize(("java", "said"), [(None, NO_JAVA), (OLD, TOO_OLD)])
def test_no_java_or_an_old_one_is_one_line(path: Path, tmp_path: Path, java: str | None, said: str) -> None:
    for name in ("bash", "dirname", "readlink", "ps", "grep"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    if java is not None:
        (tmp_path / "java").write_text(java)
        (tmp_path / "java").chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    asked = subprocess.run(
        [sys.executable, "-c", ASK, "sql", "FROM streams", path / "lake", "--engine", LOCAL],
        env={**environment, "PATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (asked.returncode, asked.stdout, asked.stderr) == (2, "", f"error: {said}\n")
