"""Recordings to tables, and questions to these: `python benchmarks/load.py DIRECTORY`, as generate.py wrote it.

Times are given beside DuckDB's own bare `read_json` scan of the header columns of the same files, in the same
run: the ratio is what counts. CPU is that of the process, wall what a watch would show; of several runs, the
fastest. With `--others`, pandas and Polars (if they are installed) answer the same two questions from the same
files (load_others.py).

The last segment is cut by a hundredth of all bytes at first, so that there is something new to load; it is whole
again at the end.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import duckdb

from recorder.analytics.database import Database
from recorder.analytics.report import Tables
from recorder.log.files import find_segments

HEADER = {
    "kind": "VARCHAR", "stream": "VARCHAR", "seq": "BIGINT", "at": "BIGINT", "wait": "BIGINT", "chunk": "BIGINT",
    "event": "VARCHAR", "block": "BIGINT", "delta": "VARCHAR", "chars": "BIGINT",
}  # fmt: skip
LOAD = """
import json, resource, sys, time
from pathlib import Path
from recorder.analytics.database import Database
from recorder.analytics.report import Tables
from recorder.log.files import find_segments
wall, cpu = time.perf_counter(), time.process_time()
Tables(find_segments(sys.argv[1]), report=print, database=Database(Path(sys.argv[2])), note=print)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu, peak / 1024]))
"""
TTFT = "SELECT model, count(ttft_s), quantile_cont(ttft_s, [0.5, 0.95, 0.99]) FROM streams GROUP BY model"
BY_MODEL = """
SELECT quantile_cont(ttft_s, [0.5, 0.95, 0.99])
FROM streams
WHERE ttft_s IS NOT NULL
GROUP BY model
ORDER BY model
"""
GAPS = "SELECT quantile_cont(gap_s, [0.5, 0.95, 0.99]) FROM events"
COUNTED = "FROM gap_quantiles([0.5, 0.95, 0.99])"


def bare_scan(files: list[Path]) -> tuple[float, float]:
    """(wall, CPU) in s."""
    sums = ", ".join(f'max("{name}")' for name in HEADER)
    query = f"SELECT count(*), {sums} FROM read_json(?, format = 'newline_delimited', columns = {HEADER})"
    with duckdb.connect() as connection:
        wall, cpu = time.perf_counter(), time.process_time()
        connection.execute(query, [[str(file) for file in files]]).fetchall()
        return time.perf_counter() - wall, time.process_time() - cpu


def load(directory: Path, database: Path) -> tuple[float, float, float]:
    """(wall s, CPU s, peak MiB), in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, directory, database], capture_output=True, text=True, check=True
    )
    wall, cpu, peak = json.loads(done.stdout.splitlines()[-1])
    return wall, cpu, peak


def fastest(work: Callable[[], object], times: int = 5) -> float:
    """ms."""
    taken: list[float] = []
    for _ in range(times):
        before = time.perf_counter()
        work()
        taken.append(time.perf_counter() - before)
    return min(taken) * 1000


def cut(file: Path, size: int) -> bytes:
    """Take about `size` bytes of whole lines off the end."""
    with file.open("r+b") as content:
        content.seek(max(0, file.stat().st_size - size))
        content.readline()
        begin = content.tell()
        rest = content.read()
        content.truncate(begin)
    return rest


def others(files: list[Path], database: Database, share: int) -> None:
    """The same two questions put to Polars, and to pandas (of the first `share` files)."""
    for name, few in (("polars", files), ("pandas", files[:share])):
        if not importlib.util.find_spec(name):
            continue
        size = sum(file.stat().st_size for file in few)
        command = [sys.executable, Path(__file__).with_name("load_others.py"), name, *few]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        told = json.loads(done.stdout.splitlines()[-1])
        ours = answers(few, database if few == files else None)
        print(
            f"{name}, both questions from {len(few)} of {len(files)} files ({size / 1e9:.2f} GB):"
            f" {told['wall']:.1f} s wall, {told['cpu']:.1f} s CPU, {told['peak']:.0f} MiB;"
            f" same answers: {close(told['answers'], ours)}"
        )


def answers(files: list[Path], database: Database | None) -> list[list[float]]:
    """p50, p95, p99 in s: of the time to first token by model, by its name; of all gaps."""
    tables = Tables(files, report=print, database=database, note=print)
    return [row[0] for query in (BY_MODEL, GAPS) for row in tables.query(query).rows]


def close(one: list[list[float]], other: list[list[float]]) -> bool:
    pairs = zip(chain.from_iterable(one), chain.from_iterable(other), strict=True)
    return len(one) == len(other) and all(abs(a - b) <= 1e-9 * max(a, 1) for a, b in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--others", action="store_true")
    parser.add_argument("--share", type=int, default=10, help="how many files pandas gets: it is slow")
    parser.add_argument("--times", type=int, default=1, help="how often to load, in turns with the scan")
    asked = parser.parse_args()
    files = find_segments(asked.directory)
    size = sum(file.stat().st_size for file in files)
    database = asked.directory / "benchmark.duckdb"
    rest = cut(files[-1], size // 100)
    try:
        scans, loads = [bare_scan(files)], []
        for _ in range(asked.times):
            database.unlink(missing_ok=True)
            loads.append(load(asked.directory, database))
            scans.append(bare_scan(files))
    finally:
        with files[-1].open("ab") as file:
            file.write(rest)
    scan_wall, scan_cpu = (min(column) for column in zip(*scans, strict=True))
    wall, cpu = (min(column) for column in list(zip(*loads, strict=True))[:2])
    peak = max(peak for _, _, peak in loads)
    news_wall, news_cpu, _ = load(asked.directory, database)
    print(f"{size / 1e9:.2f} GB; bare scan {scan_wall:.2f} s wall, {scan_cpu:.2f} s CPU")
    print(
        f"load: {wall:.2f} s wall, {cpu:.2f} s CPU: {wall / scan_wall:.1f} and {cpu / scan_cpu:.1f} times the scan"
    )
    print(f"peak memory: {peak:.0f} MiB")
    share = len(rest) / size
    ratios = f"{news_wall / wall:.1%} and {news_cpu / cpu:.1%}"
    print(f"{share:.1%} new: {news_wall:.2f} s wall, {news_cpu:.2f} s CPU: {ratios} of the load")
    print(f"database: {database.stat().st_size / 1e6:.0f} MB, 1/{size / database.stat().st_size:.1f}")
    tables = Tables(files, report=print, database=Database(database), note=print)
    print(f"ttft by model: {fastest(lambda: list(tables.query(TTFT).rows)):.1f} ms")
    print(f"gaps, pooled, exact: {fastest(lambda: list(tables.query(GAPS).rows)):.1f} ms")
    print(f"gaps, pooled, counted: {fastest(lambda: list(tables.query(COUNTED).rows)):.1f} ms")
    run = "from recorder_cli.main import run; run()"
    command = [sys.executable, "-c", run, "stats", str(asked.directory), "--db", str(database)]
    before = os.times()
    stats = fastest(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), 3)
    after = os.times()
    used = (after.children_user + after.children_system - before.children_user - before.children_system) / 3
    print(f"recorder stats, from the shell: {stats / 1000:.2f} s wall, {used:.2f} s CPU")
    if asked.others:
        others(files, Database(database), asked.share)
    print(f"(load averages {os.getloadavg()})")


if __name__ == "__main__":
    main()
