"""Memory stays flat, whatever goes through: cases of benchmarks/memory.py, each in a process of its own."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest

import recorder
from recorder.core.attempt import Attempt
from recorder.tap.watch import Watch

from .test_faults import read

ROOT = Path(__file__).parents[2]
QUEUE_MIB = 16


def alive() -> int:
    gc.collect()
    return sum(type(one) in (Attempt, Watch) for one in gc.get_objects())


def test_nothing_of_a_stream_is_kept_when_it_is_over(tmp_path: Path) -> None:
    with recorder.Tap(tmp_path) as tap:
        before = alive()
        for _ in range(20):
            read(tap, 3)
        assert tap.flush()
        assert alive() <= before + 2, "more than the writer's last item"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc on this platform")
@pytest.mark.parametrize(
    ("case", "size", "limit_mib"),
    [
        ("events", "--events=200000", 12),
        ("streams", "--streams=5000", 8),
        # The queue fills, for nothing slows these down; beside it a batch, its records and its lines.
        ("body", "--mib=200", 5 * QUEUE_MIB),
        ("line", "--mib=200", 5 * QUEUE_MIB),
        ("blocked", "--events=1000000", 5 * QUEUE_MIB),
        ("blocked-large", "--mib=200", 5 * QUEUE_MIB),
    ],
)
def test_memory_does_not_grow_with_what_goes_through(case: str, size: str, limit_mib: int) -> None:
    command = [sys.executable, ROOT / "benchmarks" / "memory.py", "--json", size, case]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)

    assert row["most_mib"] - row["first_mib"] < limit_mib, row
