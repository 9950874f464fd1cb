"""Following files that grow, appear, are renamed, cut, removed: every record once, in order."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from recorder.core.lines import encode_line
from recorder.core.records import Header, Record
from recorder.log import follow
from recorder.log.follow import Follower
from recorder.log.reader import Problem
from tests.cli import recordings
from tests.cli.command import permissions_apply


class Watching:
    """A follower, a clock that stands still, and what was reported."""

    def __init__(self, *paths: Path, back: int | None = 0, **options) -> None:
        self.now = 0.0
        self.problems: list[Problem] = []
        self.follower = Follower(paths, back=back, report=self.problems.append, clock=lambda: self.now, **options)

    def poll(self) -> list[Record]:
        """What is new, without headers."""
        self.now += 1
        return [record for _, record in self.follower.poll() if not isinstance(record, Header)]

    def reasons(self) -> list[str]:
        return [problem.reason for problem in self.problems]


@pytest.fixture
def watching() -> Iterator[type[Watching]]:
    made: list[Watching] = []

    class Made(Watching):
        def __init__(self, *paths: Path, **options) -> None:
            super().__init__(*paths, **options)
            made.append(self)

    yield Made
    for one in made:
        one.follower.close()


def append(path: Path, *records: Record, torn: bytes = b"") -> None:
    with path.open("ab") as file:
        file.write(b"".join(map(encode_line, records)) + torn)


ONE, TWO, THREE = recordings.text("01"), recordings.tool("02"), recordings.thinking("03")


def test_from_the_end_only_what_comes_is_given(tmp_path: Path, watching) -> None:
    path = recordings.write(tmp_path / "a.jsonl", ONE)
    one = watching(path)
    assert one.poll() == []
    append(path, *TWO[:3])
    assert one.poll() == TWO[:3]
    assert one.poll() == []
    append(path, *TWO[3:])
    assert one.poll() == TWO[3:]
    assert one.problems == []


def test_from_the_start_everything_is(tmp_path: Path, watching) -> None:
    path = recordings.write(tmp_path / "a.jsonl", ONE)
    one = watching(path, back=None)
    assert one.poll() == ONE
    append(path, *TWO)
    assert one.poll() == TWO


def test_the_header_comes_first_also_where_a_file_is_not_read_from_its_start(tmp_path: Path) -> None:
    path = recordings.write(tmp_path / "a.jsonl", ONE)
    follower = Follower([path], report=print)
    assert list(follower.poll()) == []
    append(path, TWO[0])
    assert [record for _, record in follower.poll()] == [recordings.header(), TWO[0]]
    follower.close()


@pytest.mark.parametrize("back", [0, 1, 100, 1000, 5000, 1 << 30])
def test_going_back_begins_with_a_whole_line(tmp_path: Path, watching, back: int) -> None:
    path = recordings.write(tmp_path / "a.jsonl", ONE)
    size = path.stat().st_size
    one = watching(path, back=back)
    seen = one.poll()
    assert seen == ONE[len(ONE) - len(seen) :]
    given = sum(len(encode_line(record)) for record in seen)
    longest = max(len(encode_line(record)) for record in ONE)
    assert min(back, size - 200) <= given < back + longest or given == sum(len(encode_line(r)) for r in ONE)
    assert one.problems == []


def test_only_the_files_that_changed_last_are_gone_back_in(tmp_path: Path, watching) -> None:
    for n, stream in enumerate([ONE, TWO, THREE]):
        os.utime(recordings.write(tmp_path / f"{n}.jsonl", stream), (n, n))
    assert watching(tmp_path, back=1 << 20, back_files=2).poll() == [*TWO, *THREE]


def test_a_torn_tail_that_is_completed_later(tmp_path: Path, watching) -> None:
    path = recordings.write(tmp_path / "a.jsonl", ONE)
    line = encode_line(TWO[0])
    append(path, torn=line[:9])
    old, new = watching(path), watching(path, back=None)
    assert (old.poll(), new.poll()) == ([], ONE)
    append(path, torn=line[9:40])
    assert (old.poll(), new.poll()) == ([], [])
    append(path, torn=line[40:] + encode_line(TWO[1])[:5])
    assert (old.poll(), new.poll()) == ([TWO[0]], [TWO[0]])
    append(path, torn=encode_line(TWO[1])[5:])
    assert (old.poll(), new.poll()) == ([TWO[1]], [TWO[1]])
    assert (old.problems, new.problems) == ([], [])


def test_however_a_file_is_written_its_records_come_once_and_in_order(
    tmp_path: Path, watching, monkeypatch
) -> None:
    monkeypatch.setattr(follow, "_BLOCK", 97)
    data = recordings.lines(ONE, TWO, THREE)
    for seed in range(30):
        random, path = Random(seed), tmp_path / f"{seed}.jsonl"
        one, seen = watching(path), []
        one.poll()
        cuts = sorted(random.sample(range(len(data)), 20))
        for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True):
            append(path, torn=data[start:stop])
            seen += one.poll()
        assert seen == [*ONE, *TWO, *THREE]
        assert one.problems == []


def test_a_torn_tail_that_is_never_completed_is_told_and_left_out(tmp_path: Path, watching) -> None:
    path = recordings.write(tmp_path / "a.jsonl", ONE)
    one = watching(path)
    one.poll()
    append(path, torn=b'{"kind":"event","str')
    append(path, torn=b"\n" + encode_line(recordings.header()))
    append(path, *TWO)
    assert one.poll() == TWO
    assert one.reasons() == ["a line that is no record left out (more of them are not told)"]


def test_a_directory_and_files_that_appear_later(tmp_path: Path, watching) -> None:
    directory = tmp_path / "not" / "yet"
    one = watching(directory)
    assert one.poll() == []
    directory.mkdir(parents=True)
    assert one.poll() == []
    recordings.write(directory / "a.jsonl", ONE)
    recordings.write(directory / "deeper" / "b.jsonl", TWO)
    (directory / "notes.txt").write_text("none of ours")
    assert sorted(one.poll(), key=lambda record: record.stream) == [*ONE, *TWO]
    append(directory / "a.jsonl", *THREE)
    assert one.poll() == THREE
    assert one.problems == []


def test_a_glob(tmp_path: Path, watching) -> None:
    one = watching(tmp_path / "a*.jsonl")
    recordings.write(tmp_path / "b.jsonl", ONE)
    assert one.poll() == []
    recordings.write(tmp_path / "a1.jsonl", TWO)
    assert one.poll() == TWO


def test_new_files_are_looked_for_now_and_then_old_ones_always(tmp_path: Path, watching) -> None:
    path = recordings.write(tmp_path / "a.jsonl", ONE)
    one = watching(tmp_path)
    one.poll()
    recordings.write(tmp_path / "b.jsonl", TWO)
    append(path, *THREE)
    one.now -= 1  # so that no time passes
    assert one.poll() == THREE
    assert one.poll() == TWO


def test_what_moved_on_to_another_segment_comes_after_what_went_before(tmp_path: Path, watching) -> None:
    one = watching(tmp_path)
    one.poll()
    recordings.write(tmp_path / "z.jsonl", ONE[:4])
    recordings.write(tmp_path / "a.jsonl", ONE[4:])
    os.utime(tmp_path / "z.jsonl", (1, 1))
    assert one.poll() == ONE


def test_a_renamed_file_is_not_read_again(tmp_path: Path, watching) -> None:
    path = recordings.write(tmp_path / "a.jsonl", ONE)
    one = watching(tmp_path, back=None)
    assert one.poll() == ONE
    append(path, *TWO)
    path.rename(tmp_path / "b.jsonl")
    assert one.poll() == TWO
    append(tmp_path / "b.jsonl", *THREE)
    assert one.poll() == THREE
    assert one.follower.files == 1


def test_a_quiet_file_that_is_renamed_is_not_read_either(tmp_path: Path, watching) -> None:
    path = recordings.write(tmp_path / "a.jsonl", ONE)
    one = watching(tmp_path)
    one.poll()
    path.rename(tmp_path / "b.jsonl")
    assert one.poll() == []


def test_a_removed_file_is_read_to_its_end(tmp_path: Path, watching) -> None:
    path = recordings.write(tmp_path / "a.jsonl", ONE)
    one = watching(tmp_path, back=None)
    one.poll()
    append(path, *TWO)
    path.unlink()
    assert one.poll() == TWO
    assert one.follower.files == 0
    recordings.write(path, THREE)
    assert one.poll() == THREE
    assert one.problems == []


def test_a_file_that_another_takes_the_place_of(tmp_path: Path, watching) -> None:
    path = recordings.write(tmp_path / "a.jsonl", ONE)
    one = watching(path, back=None)
    one.poll()
    append(path, *TWO)
    recordings.write(tmp_path / "new", THREE).replace(path)
    assert one.poll() == [*TWO, *THREE]


def test_a_file_that_got_shorter_is_read_again(tmp_path: Path, watching) -> None:
    path = recordings.write(tmp_path / "a.jsonl", ONE, TWO)
    one = watching(path)
    one.poll()
    recordings.write(path, THREE)
    assert one.poll() == THREE
    os.truncate(path, 0)
    assert one.poll() == []
    append(path, *ONE)  # by a writer that still has it open: no header
    assert one.poll() == ONE


def test_a_segment_that_was_compressed_is_not_read_again(tmp_path: Path, watching) -> None:
    path = recordings.write(tmp_path / "a.jsonl", ONE)
    compressed = tmp_path / "a.jsonl.zst"
    one = watching(tmp_path / "*", back=None)
    assert one.poll() == ONE
    append(path, *TWO)
    compressed.write_bytes(b"(\xb5/\xfd the same, compressed")
    path.unlink()
    assert one.poll() == TWO
    assert one.poll() == []
    assert one.problems == []


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="this system has other permissions")
def test_what_may_not_be_read_is_told_once_and_read_as_soon_as_it_may(watching) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        path = recordings.write(directory / "a.jsonl", ONE)
        path.chmod(0)
        one = watching(directory, back=None)
        recordings.write(directory / "b.jsonl", TWO).chmod(0o644)
        with permissions_apply():
            assert [*one.poll(), *one.poll()] == TWO
        assert one.reasons() == ["permission denied"]
        path.chmod(0o600)
        assert one.poll() == ONE


def test_what_is_no_recording_is_told_once(tmp_path: Path, watching) -> None:
    one = watching(tmp_path, back=None)
    (tmp_path / "a.jsonl").write_bytes(b'{"some":"thing"}\n' * 3)
    recordings.write(tmp_path / "b.jsonl", ONE)
    newer = replace(recordings.header(), v=99)
    append(tmp_path / "c.jsonl", newer, *TWO)
    assert one.poll() == ONE
    append(tmp_path / "a.jsonl", *TWO)
    append(tmp_path / "c.jsonl", *TWO)
    assert one.poll() == []
    assert sorted(one.reasons()) == [
        "not a recording (its first line is no header); left out",
        "written by a newer sse-recorder (format 99); left out",
    ]


def test_unknown_kinds_and_lines_that_are_no_records_are_skipped(tmp_path: Path, watching) -> None:
    path = recordings.write(tmp_path / "a.jsonl", ONE)
    one = watching(path)
    one.poll()
    append(path, torn=b'{"kind":"novel","stream":"01"}\n')
    append(path, torn=b'{"kind":"footer","segment":"9f2c","lines":1,"bytes":2,"stats":{},"sha256":"9f"}\n')
    append(path, *TWO)
    assert one.poll() == TWO
    assert one.problems == []
    append(path, torn=b"{}\nnull\n\n\xff\n[[[\n")
    append(path, *THREE)
    assert one.poll() == THREE
    assert len(one.problems) == 1


def test_a_line_that_no_memory_holds_is_skipped(tmp_path: Path, watching, monkeypatch) -> None:
    monkeypatch.setattr(follow, "MAX_LINE", 1 << 20)
    path = recordings.write(tmp_path / "a.jsonl", ONE)
    one = watching(path)
    one.poll()
    for _ in range(10):
        append(path, torn=b" " * (1 << 19))
        assert one.poll() == []
    append(path, torn=b"\n")
    append(path, *TWO)
    assert one.poll() == TWO


def open_in(directory: Path) -> int:
    """Files below it that this process has open."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists them
            found += directory in descriptor.readlink().parents
    return found


def test_more_files_than_are_held_open(tmp_path: Path, watching) -> None:
    one = watching(tmp_path)
    one.poll()
    paths = [recordings.write(tmp_path / f"{n:03}.jsonl", ONE[:2]) for n in range(150)]
    assert len(one.poll()) == 300
    assert 0 < open_in(tmp_path) < 150 if Path("/proc/self/fd").exists() else True
    for path in paths:
        append(path, ONE[2])
    assert len(one.poll()) == 150
