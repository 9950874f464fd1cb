"""`pytest --record-used` and the commands that go with it, in real runs of pytest against a real upstream."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recorder.hygiene.status import status
from recorder.hygiene.used import Used
from recorder.testing import Reply, Upstream, make_recording, message_events
from tests.cli.command import recorder
from tests.test_pytest_plugin import HEAD, Run, outcome
from tests.test_pytest_plugin import run as run  # a fixture

pytestmark = pytest.mark.slow

TESTS = (
    HEAD
    + """
import recorder

two = pytest.mark.recording("recordings/two.jsonl")

@two
def test_first():
    assert ask("first") == "Hello first"

@pytest.mark.recording("recordings/two.jsonl")
def test_fails():
    assert ask("first") == os.environ.get("EXPECTED", "Hello first")

def test_its_own_replay():
    with recorder.replay("recordings/direct.jsonl"):
        assert ask("direct", anthropic.Anthropic(api_key="none")) == "Hello direct"

def test_opens_it():
    assert len(list(recorder.open("recordings/opened.jsonl").streams())) == 1

@pytest.mark.skip
@pytest.mark.recording("recordings/skipped.jsonl")
def test_skipped():
    ask("skipped")
"""
)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A test file and its recordings: of two.jsonl the second stream is not used, and nobody wants unused.jsonl."""
    (tmp_path / "test_it.py").write_text(TESTS)
    directory = tmp_path / "recordings"
    for name, words in {
        "two": ("first", "second"), "direct": ("direct", "other"), "opened": ("opened",), "skipped": ("skipped",),
        "unused": ("unused",),
    }.items():  # fmt: skip
        script: list[dict[str, Any]] = []
        for word in words:
            script += [{"prompt": word, "model": "claude-test", "max_tokens": 9}, {"text": f"Hello {word}"}]
        make_recording(directory / f"{name}.jsonl", script=script, seed=1)
    return directory


def unused(directory: Path, listed: Path) -> dict[str, int]:
    return {one.path.stem: len(one.unused or []) for one in status(directory, used=Used([listed]))}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_the_tests_used_is_written_however_they_replay(suite: Path, run: Run, workers: str) -> None:
    listed = suite.parent / "used.json"
    done = run("--record-used=used.json", "-n", workers, "-p", "xdist")

    assert outcome(done) == "4 passed, 1 skipped", done.stdout
    assert json.loads(listed.read_text())["whole"] is True
    assert unused(suite, listed) == {"direct": 1, "opened": 0, "skipped": 0, "two": 1, "unused": 1}
    trimmed = recorder("fixtures", "trim", suite, "--used-by", listed)
    assert trimmed.stderr == "3 streams removed.\n"
    assert outcome(run()) == "4 passed, 1 skipped", "what is left is what the tests use"
    assert not (suite / "unused.jsonl").exists()


def test_a_run_of_some_tests_or_with_failures_tells_nothing(suite: Path, run: Run) -> None:
    listed = suite.parent / "deeper" / "used.json"
    for arguments, environment in (
        (["-k", "first"], {}),
        (["test_it.py"], {}),
        (["test_it.py::test_first"], {}),
        ([], {"EXPECTED": "something else"}),
    ):
        run(*arguments, "--record-used=deeper/used.json", **environment)
        assert json.loads(listed.read_text())["whole"] is False, arguments
        assert recorder("fixtures", "trim", suite, "--used-by", listed).exit_code == 3


def test_what_was_recorded_in_the_run_counts_as_used(suite: Path, run: Run) -> None:
    with Upstream(lambda _: Reply.sse(message_events("Hello ", "first"))) as upstream:
        done = run("--record-used=used.json", "--record-mode=rewrite", upstream=upstream)
    assert outcome(done) == "4 passed, 1 skipped", done.stdout

    assert unused(suite, suite.parent / "used.json") == {"direct": 1, "opened": 0, "skipped": 0, "two": 0, "unused": 1}  # fmt: skip


def test_nothing_is_written_unless_asked_for(suite: Path, run: Run) -> None:
    before = set(suite.parent.iterdir())
    run()
    assert {one for one in suite.parent.iterdir() if one.name != "__pycache__"} == before


def update(
    directory: Path, upstream: Upstream, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    bare = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CI", "RECORDER_"))
    }
    tests = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        "-k",
        "first or fails",
    ]
    program = [sys.executable, "-c", "from recorder_cli.main import run; run()", "fixtures", "update"]
    return subprocess.run(
        [*program, *arguments, str(directory), "--", *tests],
        cwd=directory.parent,
        env={**bare, "UPSTREAM": upstream.url, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_update_records_again_and_says_what_changed(suite: Path) -> None:
    with Upstream(lambda _: Reply.sse(message_events("Goodbye ", "first"), first=5_000_000)) as upstream:
        done = update(suite, upstream, EXPECTED="Goodbye first")
        brief = update(suite, upstream, "--brief", EXPECTED="Goodbye first")

    assert done.returncode == 1, "test_first wants Hello"
    assert "1 failed, 1 passed" in done.stdout
    changed = [line for line in done.stdout.splitlines() if line.startswith("two.jsonl")]
    assert len(changed) == 1
    assert changed[0].startswith("two.jsonl  changed: ")
    assert "1 stream removed" in changed[0]
    assert "[-Hello-] {+Goodbye+} first" in done.stdout
    assert "two.jsonl.failed: of a test that failed" in done.stderr
    assert done.stderr.endswith("1 recording: 1 changed.\n")
    assert "{+" not in brief.stdout
    assert "two.jsonl  changed: timing: " in brief.stdout or brief.stderr.endswith("No recording changed.\n")


def test_update_of_what_stays_the_same_says_so_and_exits_as_the_tests_do(suite: Path) -> None:
    [second] = [one.streams[1] for one in status(suite) if one.path.stem == "two"]
    recorder("edit", suite / "two.jsonl", suite / "one.jsonl", "--drop", second)
    (suite / "one.jsonl").replace(suite / "two.jsonl")
    with Upstream(lambda _: Reply.sse(message_events("Hello ", "first"))) as upstream:
        done = update(suite, upstream, "--json")

    assert done.returncode == 0, done.stdout
    [change] = json.loads(done.stdout[done.stdout.index("\n[") :])
    [pair] = change["diff"]["changed"]
    assert (change["name"], change["kind"]) == ("two.jsonl", "changed")
    assert not any(one["name"] == "block 0, text" for one in pair["differences"])
