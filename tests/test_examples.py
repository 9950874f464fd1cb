"""The examples of tests: each passes as it would in its user's hands, and its recording is what its script makes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import recorder
from recorder.faults import standard
from tests.plugins.runs import outcome, run_pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
RECORDINGS = sorted(EXAMPLES.glob("*/recordings/*.jsonl"))
PASSED = {"in_pytest": len(standard()) + 2, "in_fastapi": 6, "agent_loop": 6}


@pytest.mark.slow
@pytest.mark.parametrize("name", PASSED)
def test_its_tests_pass_without_a_key_or_a_network(name: str) -> None:
    done = run_pytest(EXAMPLES / name, "-W", "ignore:The model:DeprecationWarning", CI="1", ANTHROPIC_API_KEY="")

    assert outcome(done) == f"{PASSED[name]} passed", done.stdout
    assert "unused recordings" not in done.stdout


@pytest.mark.slow
def test_unittest_needs_no_pytest() -> None:
    command = [sys.executable, "-m", "unittest"]
    done = subprocess.run(command, cwd=EXAMPLES / "in_unittest", capture_output=True, text=True, check=False)

    assert done.stderr.splitlines()[-1] == "OK", done.stderr
    assert "Ran 3 tests" in done.stderr


@pytest.mark.slow
def test_the_recordings_are_what_the_script_makes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "record.py", tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    made = sorted(tmp_path.rglob("*.jsonl"))
    assert [path.relative_to(tmp_path) for path in made] == [path.relative_to(EXAMPLES) for path in RECORDINGS]
    for new, kept in zip(made, RECORDINGS, strict=True):
        assert list(told(new)) == list(told(kept))


def told(path: Path) -> Iterator[tuple[object, list[bytes]]]:
    """What was asked, and the chunks of the answer."""
    streams = sorted(recorder.open(path).streams(), key=lambda stream: stream.request.mono)
    return ((stream.request.body, [chunk.data for chunk in stream.chunks()]) for stream in streams)


def test_every_example_has_a_recording_and_says_that_it_is_synthetic() -> None:
    assert {path.parts[-3] for path in RECORDINGS} == {*PASSED, "in_unittest"}
    for path in RECORDINGS:
        assert {stream.header.source for stream in recorder.open(path).streams()} == {"synthetic"}
        assert b"sk-ant" not in path.read_bytes()
    readme = (EXAMPLES.parent / "README.md").read_text("utf-8")
    for name in {path.parts[-3] for path in RECORDINGS}:
        assert f"(examples/{name}/" in readme
