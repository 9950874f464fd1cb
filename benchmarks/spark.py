"""DuckDB against Spark over a lake: `python benchmarks/spark.py LAKE`, which `recorder ship` made.

The same questions of the same Parquet files, asked of DuckDB (two threads) and of two standalone clusters on the
loopback, of one worker and of two, each with one core. They are warm: each question is asked once before it
counts, then `--times` times, in turns, and the medians stand. CPU is that of all processes of an engine. "start"
is what comes before the first question: session and footers; the cluster runs already.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Generator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import duckdb
from standalone import cluster

from recorder.analytics.dialects import CALLS
from recorder.analytics.lake.engines import counting, view_of
from recorder.analytics.lake.spark import Spark
from recorder.analytics.lake.store import Store
from recorder.analytics.load import run
from recorder.analytics.questions import questions

ASKED = ("ttft", "gaps", "rates", "per_minute", "fluidity", "coalescing", "by_sdk")
"""Two of streams, five of all events: sorting, joining, windows, and groups that are as many as chunks."""
TICKS = os.sysconf("SC_CLK_TCK")


class Took(NamedTuple):
    """Seconds."""

    wall: float
    cpu: float


class Engine:
    """Somebody to ask, in a process of its own and a group that has all its processes."""

    def __init__(self, pool: ProcessPoolExecutor, groups: list[int], *how: Any) -> None:
        self._pool = pool
        self._groups = {pool.submit(os.getpid).result(), *groups}
        self.start = self.timed(pool.submit, start, *how)

    def ask(self, query: str) -> Took:
        return self.timed(self._pool.submit, ask, query)

    def timed(self, submit: Any, *work: Any) -> Took:
        wall, cpu = time.perf_counter(), cpu_s(self._groups)
        done: Future[Any] = submit(*work)
        done.result()
        return Took(time.perf_counter() - wall, cpu_s(self._groups) - cpu)


def cpu_s(groups: set[int]) -> float:
    """Of the processes in these groups, and of their children that are gone."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) in groups:
            ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS


_asked: Any = None


def start(lake: Path, url: str | None, memory: str) -> None:
    """In the engine's process."""
    global _asked
    store = Store(str(lake))
    _asked = (
        duck(store) if url is None else Spark(store, url, settings={"spark.executor.memory": memory}).__enter__()
    )


def stop() -> None:
    """In the engine's process."""
    if isinstance(_asked, Spark):
        _asked.__exit__()


def ask(query: str) -> list[tuple[Any, ...]]:
    """In the engine's process."""
    if isinstance(_asked, Spark):
        return list(_asked.query(query).rows)
    return _asked.execute(query).fetchall()


def duck(store: Store) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 2})
    for table, names in counting(store).items():
        files = [str(store.directory / name) for name in names] if store.directory else []
        connection.execute(
            f"CREATE VIEW {view_of(table)} AS FROM read_parquet({files}, union_by_name = true,"
            " hive_partitioning = false)"
        )
    connection.execute("SET enable_progress_bar = false")
    connection.execute(f"CREATE VIEW calls AS {CALLS}")
    run(connection, "macros")
    return connection


@contextmanager
def engines(lake: Path, memory: str) -> Generator[dict[str, Engine]]:
    with ExitStack() as stack:
        made: dict[str, Engine] = {}
        for name, workers in {"DuckDB": 0, "1 worker": 1, "2 workers": 2}.items():
            pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=os.setpgrp)
            stack.enter_context(pool)
            there = stack.enter_context(cluster(workers, memory)) if workers else None
            groups = [one.process.pid for one in there.workers] if there else []
            made[name] = Engine(pool, groups, lake, there.url if there else None, memory)
            stack.callback(lambda pool=pool: pool.submit(stop).result())
        yield made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lake", type=Path)
    parser.add_argument("--questions", nargs="+", default=ASKED, metavar="NAME")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--memory", default="4g", help="of a worker")
    chosen = parser.parse_args()
    asked = {one.name: one.sql for one in questions() if one.name in chosen.questions}
    with engines(chosen.lake, chosen.memory) as made:
        print("wall s (CPU s)    " + "".join(f"{name:>18}" for name in made) + "   Spark/DuckDB  1/2 workers")
        show("start", [engine.start for engine in made.values()])
        for name, query in asked.items():
            for engine in made.values():
                engine.ask(query)
            rounds = [[engine.ask(query) for engine in made.values()] for _ in range(chosen.times)]
            columns = zip(*rounds, strict=True)
            show(
                name, [Took(median(one.wall for one in each), median(one.cpu for one in each)) for each in columns]
            )
    print(f"(load averages {os.getloadavg()})")


def show(name: str, took: list[Took]) -> None:
    duckdb_s, one, two = took
    cells = "".join(f"{f'{each.wall:.2f} ({each.cpu:.2f})':>18}" for each in took)
    over = f"{two.wall / duckdb_s.wall:.1f} ({two.cpu / max(duckdb_s.cpu, 1 / TICKS):.1f})"
    print(f"{name:18}{cells}   {over:>12}  {one.wall / two.wall:.2f}", flush=True)


if __name__ == "__main__":
    main()
