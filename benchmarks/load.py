"""Recordings to tables, and questions to these: `python benchmarks/load.py DIRECTORY`, as generate.py wrote it.

Times are given beside DuckDB's own bare `read_json` scan of the header columns of the same files, in the same
run: the ratio is what counts. CPU is that of the process, wall what a watch would show. With `--others`, pandas
and Polars (if they are installed) answer the same two questions from the same files.

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
GAPS = "SELECT quantile_cont(gap_s, [0.5, 0.95, 0.99]) FROM events"
STORED = "FROM gap_percentiles()"


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


def others(files: list[Path]) -> None:
    names = [str(file) for file in files]
    if importlib.util.find_spec("polars"):
        import polars as pl

        def with_polars() -> None:
            lines = pl.scan_ndjson(
                names, schema={name: pl.String if kind == "VARCHAR" else pl.Int64 for name, kind in HEADER.items()}
            )
            output = lines.filter((pl.col("event") == "content_block_delta") & (pl.col("chars") > 0))
            output.group_by("stream").agg(pl.col("at").min()).select(pl.col("at").quantile(0.95)).collect()
            ordered = output.sort("stream", "seq").with_columns(gap=pl.col("at").diff().over("stream", "block"))
            ordered.filter(pl.col("chunk").diff().over("stream") > 0).select(
                pl.col("gap").quantile(0.95)
            ).collect()

        print(f"Polars, both questions from the files: {fastest(with_polars, 1) / 1000:.2f} s")
    if importlib.util.find_spec("pandas"):
        import pandas as pd

        def with_pandas() -> None:
            parts = [
                part[list(HEADER)] for name in names for part in pd.read_json(name, lines=True, chunksize=200_000)
            ]
            lines = pd.concat(parts)
            output = lines[(lines["event"] == "content_block_delta") & (lines["chars"] > 0)].sort_values(
                ["stream", "seq"]
            )
            output.groupby("stream")["at"].min().quantile(0.95)
            gaps = output.groupby(["stream", "block"])["at"].diff()
            gaps[output.groupby("stream")["chunk"].diff() > 0].quantile(0.95)

        print(f"pandas, both questions from the files: {fastest(with_pandas, 1) / 1000:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--others", action="store_true")
    asked = parser.parse_args()
    files = find_segments(asked.directory)
    size = sum(file.stat().st_size for file in files)
    database = asked.directory / "benchmark.duckdb"
    database.unlink(missing_ok=True)
    rest = cut(files[-1], size // 100)
    try:
        scans = [bare_scan(files) for _ in range(3)]
        wall, cpu, peak = load(asked.directory, database)
        scans += [bare_scan(files) for _ in range(2)]
    finally:
        with files[-1].open("ab") as file:
            file.write(rest)
    scan_wall, scan_cpu = min(one for one, _ in scans), min(one for _, one in scans)
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
    print(f"gaps, pooled, from the histogram: {fastest(lambda: list(tables.query(STORED).rows)):.1f} ms")
    run = "from recorder_cli.main import run; run()"
    command = [sys.executable, "-c", run, "stats", str(asked.directory), "--db", str(database)]
    stats = fastest(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), 3)
    print(f"recorder stats, from the shell: {stats / 1000:.2f} s")
    if asked.others:
        others(files)
    print(f"(load averages {os.getloadavg()})")


if __name__ == "__main__":
    main()
