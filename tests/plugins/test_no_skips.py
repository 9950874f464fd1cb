"""The guard of CI: where nothing may be missing, a skip for want of something is a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CASES = """
import pytest

@pytest.mark.skipif(True, reason="needs a corpus")
def test_marked(): pass

@pytest.fixture
def corpus(): pytest.skip("needs a corpus")

def test_by_fixture(corpus): pass

def test_inside(): pytest.skip("needs a corpus")

@pytest.mark.parametrize("file", [])
def test_of_no_files(file): pass

@pytest.mark.skip(reason="only on another platform")
def test_elsewhere(): pass

@pytest.mark.xfail(reason="needs work", raises=ValueError)
def test_expected_to_fail(): raise ValueError
"""


def run(directory: Path, *options: str) -> list[str]:
    """The one-letter outcomes and names that pytest's summary prints, sorted."""
    (directory / "test_cases.py").write_text(CASES)
    (directory / "test_module.py").write_text("import pytest\npytest.skip('needs it', allow_module_level=True)\n")
    command = [sys.executable, "-m", "pytest", "-rA", "--no-fold-skipped", "--continue-on-collection-errors"]
    ran = subprocess.run(
        [*command, *options, str(directory)],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (line.split(" - ")[0].split() for line in ran.stdout.splitlines())
    return sorted(
        f"{line[0]} {line[1].rpartition('::')[2].rpartition('/')[2].partition('[')[0]}"
        for line in lines
        if len(line) > 1 and line[0] in ("PASSED", "SKIPPED", "FAILED", "ERROR", "XFAIL")
    )


def test_a_skip_for_want_of_something_fails_and_any_other_stays_a_skip(tmp_path: Path) -> None:
    expected = [
        "ERROR test_by_fixture",
        "ERROR test_marked",
        "ERROR test_module.py",
        "ERROR test_of_no_files",
        "FAILED test_inside",
        "SKIPPED test_elsewhere",
        "XFAIL test_expected_to_fail",
    ]
    assert expected == run(tmp_path, "-p", "no_skips")
