"""What a recording weighs in each form, and how fast it becomes a lake: `python benchmarks/ship.py DIRECTORY`, as
generate.py wrote it.

The plain thing is DuckDB's own COPY of the fields of the same lines to Parquet (zstd), nothing computed, in turns
with ours; the ratio is the median of the pairs. Rates are per core: of the CPU time of all threads. The lake is on
this disk. Then typical questions to it, once for each row of `QUESTIONS`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from recorder.analytics.export import TABLES, Capture
from recorder.analytics.lake.rewrite import compact as compact_lake
from recorder.analytics.lake.ship import Outcome, Shipper
from recorder.analytics.lake.store import Store
from recorder.log.compact import compact
from recorder.log.files import find_segments

FIELDS = {
    "kind": "VARCHAR", "stream": "VARCHAR", "seq": "BIGINT", "at": "BIGINT", "wait": "BIGINT", "chunk": "BIGINT",
    "event": "VARCHAR", "block": "BIGINT", "delta": "VARCHAR", "chars": "BIGINT", "wall": "BIGINT",
    "call": "VARCHAR", "attempt": "BIGINT", "status": "BIGINT", "end": "VARCHAR", "complete": "BOOLEAN",
    "summary": "JSON",
}  # fmt: skip
"""What a lake without text is made of."""
QUESTIONS = {
    "time to first token, by model": (
        "streams", ("model", "ttft_s", "wall"),
        "SELECT model, count(*), quantile_cont(ttft_s, [0.5, 0.95, 0.99]) FROM {} GROUP BY model",
    ),
    "tokens and failures, by model and hour": (
        "streams", ("model", "wall", "outcome", "input_tokens", "output_tokens"),
        """SELECT model, date_trunc('hour', wall), count(*), count(*) FILTER (outcome <> 'complete'),
        sum(input_tokens), sum(output_tokens) FROM {} GROUP BY ALL""",
    ),
    "gaps, pooled, exact": ("events", ("gap_s",), "SELECT quantile_cont(gap_s, [0.5, 0.95, 0.99]) FROM {}"),
    "one stream's events": (
        "events", ("stream", "seq", "at_s", "event", "chars"),
        "SELECT seq, at_s, event, chars FROM {} WHERE stream = (SELECT max(stream) FROM {}) ORDER BY seq",
    ),
}  # fmt: skip
"""A table, the columns that are read of it, and the query."""
TIMES = 3
HOSTS = 20
SIZES = (10, 100, 1_000)
"""Streams in the small segments whose fixed cost is measured."""


@contextmanager
def cpu(taken: list[float]) -> Iterator[None]:
    before = time.process_time()
    yield
    taken.append(time.process_time() - before)


def ship(path: Path, lake: Path, capture: Capture = "timing") -> list[Outcome]:
    shipper = Shipper(
        [path], Store(str(lake)), host="web-1", capture=capture, report=print, is_last=lambda *_: True
    )
    done = list(shipper.once())
    assert {one.action for one in done} == {"shipped"}, done
    return done


def copy(files: list[Path], target: Path) -> None:
    """The plain thing, a file for each segment."""
    with duckdb.connect() as connection:
        for n, file in enumerate(files):
            read = f"read_json('{file}', format = 'newline_delimited', columns = {FIELDS})"
            connection.execute(f"COPY (FROM {read}) TO '{target}/{n}.parquet' (FORMAT parquet, COMPRESSION zstd)")


def size_of(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def forms(directory: Path, work: Path) -> dict[str, int]:
    """Bytes of each."""
    sizes = {"JSON Lines": size_of(find_segments(directory))}
    command = "from recorder_cli.main import run; run()"
    redact = [sys.executable, "-c", command, "redact", directory, work / "timing", "--capture", "timing"]
    subprocess.run(redact, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    sizes["JSON Lines, without text"] = size_of(find_segments(work / "timing"))
    (work / "full").mkdir()
    for file in find_segments(directory):
        (work / "full" / file.name).write_bytes(file.read_bytes())
    for name, label in (("full", "JSON Lines, zstd"), ("timing", "JSON Lines, without text, zstd")):
        for file in find_segments(work / name):
            compact(file)
        sizes[label] = size_of(find_segments(work / name))
    for capture, label in (("full", "Parquet, with text"), ("timing", "Parquet, without text")):
        ship(directory, work / f"lake-{capture}", capture)
        sizes[label] = size_of([*(work / f"lake-{capture}").rglob("*.parquet")])
    return sizes


def cut(file: Path, streams: int, target: Path) -> Path:
    """The first streams of a segment, as one."""
    wanted: set[str] = set()
    with file.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8") as out:
        out.write(next(lines))
        for line in lines:
            stream = line.partition('"stream":"')[2].partition('"')[0]
            if len(wanted) < streams:
                wanted.add(stream)
            if stream in wanted:
                out.write(line)
    return target


def small(file: Path, work: Path) -> None:
    print("\n| streams in a segment | CPU s to ship it | bytes of its objects |\n|---|---|---|")
    for streams in SIZES:
        taken: list[float] = []
        (work / f"{streams}").mkdir()
        cut(file, streams, work / f"{streams}" / "0.jsonl")
        for n in range(TIMES):
            with cpu(taken):
                [one] = ship(work / f"{streams}", work / f"lake-{streams}-{n}")
        print(f"| {streams:,} | {median(taken):.2f} | {one.bytes:,} |")


def merge(lake: Path) -> None:
    """Of the objects of all segments one each."""
    taken: list[float] = []
    with cpu(taken):
        [one] = compact_lake(Store(str(lake)))
    if one.objects_after < one.objects:
        said = f"{one.bytes / taken[0] / 1e6:.0f} MB/s of {one.objects} objects into {one.objects_after}"
        print(f"compact, a core: {said}")


def fastest(work: Callable[[], Any]) -> tuple[float, float]:
    """(wall, CPU) in s."""
    runs: list[tuple[float, float]] = []
    for _ in range(TIMES):
        wall, used = time.perf_counter(), time.process_time()
        work()
        runs.append((time.perf_counter() - wall, time.process_time() - used))
    return min(runs)


def many(lake: Path, hosts: int) -> Path:
    """The same objects as those of many hosts."""
    for path in lake.rglob("host=web-1"):
        for n in range(2, hosts + 1):
            (path.parent / f"host=web-{n}").mkdir()
            for file in path.iterdir():
                (path.parent / f"host=web-{n}" / file.name).hardlink_to(file)
    return lake


def ask(lake: Path) -> None:
    print(f"\nAsked of the lake, {HOSTS} times over, in {os.cpu_count()} threads:\n")
    print("| question | rows | bytes read a row | CPU µs a row | wall ms |\n|---|---|---|---|---|")
    for question, (table, columns, query) in QUESTIONS.items():
        names = f"{lake}/{table}/**/*.parquet"
        rows = f"read_parquet('{names}', hive_partitioning = true)"
        with duckdb.connect() as connection:
            [(count,)] = connection.execute(f"SELECT count(*) FROM {rows}").fetchall()
            read = "SELECT sum(total_compressed_size) FROM parquet_metadata(?) WHERE path_in_schema IN ?"
            [(size,)] = connection.execute(read, [names, list(columns)]).fetchall()
            text = query.format(rows, rows)
            wall, used = fastest(lambda: connection.execute(text).fetchall())  # noqa: B023
        print(f"| {question} | {count:,} | {size / count:.2f} | {used / count * 1e6:.4f} | {wall * 1000:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    asked = parser.parse_args()
    files = find_segments(asked.directory)
    size = size_of(files)
    with TemporaryDirectory(prefix="ship-") as name:
        work = Path(name)
        sizes = forms(asked.directory, work)
        ours: list[float] = []
        plain: list[float] = []
        for n in range(TIMES):
            with cpu(ours):
                done = ship(asked.directory, work / f"lake-{n}")
            (work / f"plain-{n}").mkdir()
            with cpu(plain):
                copy(files, work / f"plain-{n}")
        streams, events = sum(one.streams or 0 for one in done), sum(one.events or 0 for one in done)
        print(f"{size / 1e6:.0f} MB, {streams:,} streams, {events:,} events in {len(files)} segments\n")
        print("| form | bytes an event | bytes a stream | of the JSON Lines |\n|---|---|---|---|")
        for form, held in sizes.items():
            print(f"| {form} | {held / events:.1f} | {held / streams:,.0f} | 1/{size / held:.1f} |")
        for table in TABLES:
            held = size_of([*(work / "lake-0" / table).rglob("*.parquet")])
            print(f"| Parquet, without text: {table} | {held / events:.2f} | {held / streams:,.0f} | |")
        rate = median(ours)
        ratio = median(one / other for one, other in zip(ours, plain, strict=True))
        print(f"\nship, a core: {size / rate / 1e6:.1f} MB/s, {events / rate:,.0f} events/s,", end=" ")
        print(f"{streams / rate:,.0f} streams/s")
        print(
            f"DuckDB's COPY, a core: {size / median(plain) / 1e6:.1f} MB/s; ours takes {ratio:.1f} times its CPU"
        )
        merge(work / "lake-1")
        small(files[0], work)
        ask(many(work / "lake-0", HOSTS))
    print(f"\n(load averages {os.getloadavg()})")


if __name__ == "__main__":
    main()
