"""What compressing a recording saves, and how fast it is: `python benchmarks/compact.py RECORDING`.

Works on a copy. Median of five.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from recorder.log.compact import compact
from recorder.log.files import find_segments, is_compressed, open_segment
from recorder.log.reader import read_records

TIMES = 5


def seconds(work: Callable[[Path], object], paths: list[Path]) -> float:
    before = time.perf_counter()
    for path in paths:
        work(path)
    return time.perf_counter() - before


def read_bytes(path: Path) -> None:
    with open_segment(path) as file:
        while file.read(1 << 17):
            pass


def read_all(path: Path) -> None:
    for _ in read_records(path, salvage=True, report=print):
        pass


def main() -> None:
    segments = [path for path in find_segments(sys.argv[1]) if not is_compressed(path)]
    size = sum(path.stat().st_size for path in segments)
    runs: list[tuple[float, ...]] = []
    for _ in range(TIMES):
        with tempfile.TemporaryDirectory() as name:
            copies = [Path(shutil.copy(path, Path(name, f"{n}.jsonl"))) for n, path in enumerate(segments)]
            plain = seconds(read_all, copies)
            packing = seconds(compact, copies)
            packed = find_segments(name)
            unpacking = seconds(read_bytes, packed)
            records = seconds(read_all, packed)
            runs.append((size / sum(path.stat().st_size for path in packed), packing, unpacking, records / plain))
    ratio, packing, unpacking, slower = (median(values) for values in zip(*runs, strict=True))
    megabytes = size / 1e6
    print(f"{megabytes:.1f} MB, {ratio:.1f} times smaller")
    print(f"compress, read back, compare: {megabytes / packing:.0f} MB/s")
    print(f"decompress: {megabytes / unpacking:.0f} MB/s")
    print(f"records from compressed over plain: {slower:.2f} times the time")


if __name__ == "__main__":
    main()
