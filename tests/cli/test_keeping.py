"""`recorder compact` and `recorder prune`: what they say, and the exit code."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest

from recorder.log.files import find_segments
from recorder.recording import Recording
from recorder.tap.middleware import Tap
from tests.cli import recordings
from tests.cli.command import COMMANDS, contents, recorder
from tests.tap.test_faults import read

DAY_S = 86_400


def aged(path: Path, age_s: float) -> Path:
    recordings.write(path, recordings.text(path.stem))
    path.write_bytes(path.read_bytes().replace(b'"wall":%d' % recordings.WALL, b'"wall":1'))
    then = time.time_ns() - int(age_s * 1e9)
    os.utime(path, ns=(then, then))
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A segment of 40 days, one of an hour, and one that is written."""
    for name, age_s in (("a.jsonl", 40 * DAY_S), ("b.jsonl", 3600)):
        aged(tmp_path / name, age_s)
    return tmp_path


def actions(result: str) -> dict[str, str]:
    return {Path(row["file"]).name: row["action"] for row in json.loads(result)}


def test_compact_says_what_it_did(directory: Path) -> None:
    listed = recorder("ls", directory).stdout
    size = sum(path.stat().st_size for path in find_segments(directory))
    with Tap(directory / "live.jsonl") as tap:
        read(tap, 1)
        tap.flush()
        before = contents(directory)
        dry = recorder("compact", directory, "--dry-run", "--format", "json")
        assert contents(directory) == before
        done = recorder("compact", directory, "--format", "json")

    assert (dry.exit_code, done.exit_code) == (0, 0)
    assert actions(dry.stdout) == {
        "a.jsonl": "would be compressed",
        "b.jsonl": "would be compressed",
        "live.jsonl": "live, left alone",
    }
    assert actions(done.stdout) == {
        "a.jsonl": "compressed",
        "b.jsonl": "compressed",
        "live.jsonl": "live, left alone",
    }
    assert dry.stderr == f"2 files, {size:,} bytes, would be compressed; 1 left alone.\n"
    assert re.fullmatch(rf"2 files, {size:,} bytes, compressed to [\d,]+; 1 left alone\.\n", done.stderr)
    (directory / "live.jsonl").unlink()
    assert [path.name for path in find_segments(directory)] == ["a.jsonl.zst", "b.jsonl.zst"]
    assert recorder("ls", directory).stdout == listed
    assert recorder("compact", directory).stderr == "0 files, 0 bytes, compressed to 0; 0 left alone.\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_reads_what_is_compressed(tmp_path: Path, command: str) -> None:
    path = recordings.write(tmp_path / "a.jsonl", recordings.text())
    expected = recorder(*COMMANDS[command], path)
    recorder("compact", path)

    result = recorder(*COMMANDS[command], tmp_path / "a.jsonl.zst")

    assert (result.exit_code, result.stderr) == (0, expected.stderr)
    assert re.sub("  +", "  ", result.stdout.replace(".jsonl.zst", ".jsonl")) == re.sub(
        "  +", "  ", expected.stdout
    )


def test_prune_says_what_it_did(directory: Path) -> None:
    with Tap(directory / "live.jsonl", wall_clock=lambda: 1) as tap:
        read(tap, 1)
        tap.flush()
        os.utime(directory / "live.jsonl", ns=(1, 1))
        before = contents(directory)
        dry = recorder("prune", directory, "--older-than", "30d", "--dry-run", "--format", "json")
        assert contents(directory) == before
        size = (directory / "a.jsonl").stat().st_size
        done = recorder("prune", directory, "--older-than", "30d", "--format", "json")

    assert (dry.exit_code, done.exit_code) == (0, 0)
    assert actions(dry.stdout) == {
        "a.jsonl": "would be deleted",
        "b.jsonl": "kept",
        "live.jsonl": "live, left alone",
    }
    assert actions(done.stdout) == {"a.jsonl": "deleted", "b.jsonl": "kept", "live.jsonl": "live, left alone"}
    assert dry.stderr == f"1 file, {size:,} bytes, would be deleted; 2 kept.\n"
    assert done.stderr == f"1 file, {size:,} bytes, deleted; 2 kept.\n"
    assert [path.name for path in find_segments(directory)] == ["b.jsonl", "live.jsonl"]


@pytest.mark.parametrize(
    ("age", "left"), [("2d", 1), ("36h", 1), ("30h", 0), ("1d", 0), ("2000m", 1), ("1800m", 0), ("99999s", 0)]
)
def test_an_age_has_a_unit(tmp_path: Path, age: str, left: int) -> None:
    aged(tmp_path / "a.jsonl", 32 * 3600)

    assert recorder("prune", tmp_path, "--older-than", age).exit_code == 0

    assert len(contents(tmp_path)) == left


@pytest.mark.parametrize("age", ["30", "d", "", "1w", "-1d", "1.5d", "1d2h", "30 d", "٣d", "9" * 30 + "d"])
def test_what_is_no_age_is_refused(directory: Path, age: str) -> None:
    before = contents(directory)

    result = recorder("prune", directory, f"--older-than={age}")

    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "is no duration; 30d, 12h, 90m and 45s are" in result.stderr
    assert contents(directory) == before


def test_an_age_older_than_time_keeps_everything(directory: Path) -> None:
    assert recorder("prune", directory, "--older-than", "999999999d").exit_code == 0
    assert len(contents(directory)) == 2


@pytest.mark.parametrize("command", [["compact"], ["prune", "--older-than", "30d"]])
def test_what_is_no_recording_is_told_and_the_others_are_done(directory: Path, command: list[str]) -> None:
    notes = directory / "0.jsonl"
    notes.write_bytes(b"notes\n")
    (directory / "1.jsonl").touch()
    for path in (notes, directory / "1.jsonl"):
        os.utime(path, ns=(1, 1))

    result = recorder(*command, directory)

    assert result.exit_code == 3
    assert f"error: {notes}:1: not a recording" in result.stderr
    assert f"warning: {directory / '1.jsonl'}: empty file" in result.stderr
    assert notes.read_bytes() == b"notes\n"
    assert not (directory / "a.jsonl").exists()


@pytest.mark.parametrize("command", [["compact"], ["prune", "--older-than", "30d"]])
def test_nothing_there_is_an_error(tmp_path: Path, command: list[str]) -> None:
    result = recorder(*command, tmp_path)

    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith(f"error: {tmp_path}: no recordings in this directory")


def test_verify_says_who_is_sealed(tmp_path: Path) -> None:
    recordings.write(tmp_path / "dead.jsonl", recordings.text())
    with Tap(tmp_path / "sealed.jsonl") as tap:
        read(tap, 1)
    with Tap(tmp_path / "live.jsonl") as tap:
        read(tap, 1)
        tap.flush()
        result = recorder("verify", tmp_path, "--format", "json")

    assert result.exit_code == 0
    assert {Path(row["file"]).stem: row["sealed"] for row in json.loads(result.stdout)} == {
        "dead": "no",
        "live": "live",
        "sealed": "yes",
    }


def test_verify_finds_a_changed_word_in_a_sealed_recording(tmp_path: Path) -> None:
    with Tap(tmp_path / "a.jsonl", tags={"team": "blue"}) as tap:
        read(tap, 1)
    path = tmp_path / "a.jsonl"
    path.write_bytes(path.read_bytes().replace(b"blue", b"pink"))

    result = recorder("verify", path)

    assert result.exit_code == 1
    assert re.match(rf"problem: {re.escape(str(path))}:6: footer says sha256 \w+, it is \w+\n", result.stderr)
    assert len(list(Recording(path).streams())) == 1
