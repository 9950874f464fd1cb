"""What the pytest plugin costs a run that does not use it, against the same run without it, in turns.

python benchmarks/plugin.py [--pairs 15] [--tests 2000]

CPU time, which a busy machine changes less than time. The start is a run of one test; the cost of a test is that
of a run of many empty ones, divided by their number.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median, quantiles

PLUGIN = ("-p", "recorder.pytest_plugin")


def seconds(directory: str, tests: int, plugin: tuple[str, ...]) -> float:
    """CPU time of one run of pytest with no plugin but this, in a process of its own."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, f"test_{tests}.py"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=directory, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def pairs(directory: str, tests: int, number: int) -> list[tuple[float, float]]:
    """(without, with) the plugin, in seconds; either is first in its turn."""
    timed: list[tuple[float, float]] = []
    for n in range(number + 1):
        if n % 2:
            alone = seconds(directory, tests, ())
            timed.append((alone, seconds(directory, tests, PLUGIN)))
        else:
            ours = seconds(directory, tests, PLUGIN)
            timed.append((seconds(directory, tests, ()), ours))
    return timed[1:]  # the first one warms up


def tell(what: str, timed: list[tuple[float, float]], per: float, unit: str) -> None:
    low, middle, high = (cut * per for cut in quantiles([ours - alone for alone, ours in timed], n=4))
    ratio = median(ours / alone for alone, ours in timed)
    plain = median(alone for alone, _ in timed) * per
    print(
        f"{what:9} without {plain:7.1f} {unit}; with it {middle:+.1f} {unit} "
        f"(quartiles {low:+.1f} to {high:+.1f}), ratio {ratio:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--tests", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        for tests in (1, options.tests):
            code = "".join(f"def test_{n}(): pass\n" for n in range(tests))
            Path(directory, f"test_{tests}.py").write_text(code)
        start = pairs(directory, 1, options.pairs)
        many = pairs(directory, options.tests, options.pairs)
    tell("start", start, 1e3, "ms")
    tell("a test", many, 1e6 / options.tests, "µs")


if __name__ == "__main__":
    main()
