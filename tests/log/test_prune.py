"""Old segments deleted: by the age of their last record, never a live one, never what is no recording."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

import recorder
from recorder.log.compact import compact
from recorder.log.files import RecordingError, find_segments
from recorder.log.prune import prune
from tests.log.test_compact import names
from tests.log.test_damage import ONE
from tests.log.test_reader import HEADER, lines
from tests.tap.test_faults import read

AT = 10**18


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_bytes(ONE)
    os.utime(path, ns=(AT, AT))
    return path


@pytest.mark.parametrize(("before", "left"), [(AT, ["a.jsonl"]), (AT + 1, [])])
def test_what_is_older_goes(path: Path, before: int, left: list[str]) -> None:
    done = prune(path, before=before)

    assert (done.deleted, done.live, done.last, done.bytes) == (not left, False, AT, len(ONE))
    assert names(path.parent) == left


def test_a_dry_run_changes_nothing(path: Path) -> None:
    assert prune(path, before=AT + 1, dry_run=True).deleted
    assert names(path.parent) == ["a.jsonl"]


def test_a_compressed_one_is_as_old_as_it_was(path: Path) -> None:
    compact(path)
    packed = path.with_name("a.jsonl.zst")

    assert not prune(packed, before=AT).deleted
    assert prune(packed, before=AT + 1).deleted
    assert names(path.parent) == []


def test_what_a_compaction_left_goes_with_it(path: Path) -> None:
    compact(path)
    path.write_bytes(ONE)
    os.utime(path, ns=(AT, AT))

    assert prune(path, before=AT + 1).deleted

    assert names(path.parent) == []


def test_a_file_is_not_older_than_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(msgspec.structs.replace(HEADER, wall=AT)))
    os.utime(path, ns=(0, 0))

    assert prune(path, before=AT).last == AT
    assert path.exists()


@pytest.mark.parametrize("name", ["recordings", "one.jsonl"])
def test_a_live_one_stays_however_old(tmp_path: Path, name: str) -> None:
    with recorder.Tap(tmp_path / name, wall_clock=lambda: 1) as tap:
        read(tap, 5)
        tap.flush()
        [path] = find_segments(tmp_path)
        os.utime(path, ns=(1, 1))
        done = prune(path, before=AT)
        assert (done.deleted, done.live, path.exists()) == (False, True, True)

    os.utime(path, ns=(1, 1))
    assert prune(path, before=AT).deleted


@pytest.mark.parametrize("content", [b"", b"hello\n", b"{}\n", bytes(range(256))])
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.zst"])
def test_a_file_that_is_no_recording_stays(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))

    with pytest.raises(RecordingError, match="not a recording"):
        prune(path, before=AT)

    assert path.read_bytes() == content
