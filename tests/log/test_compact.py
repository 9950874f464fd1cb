"""Segments compressed: read as before, and whole whenever it is stopped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import recorder
from recorder.core.lines import encode_line
from recorder.core.zstd import ZstdFile
from recorder.log.compact import Compaction, compact
from recorder.log.files import RecordingError, find_segments, open_segment
from recorder.log.lock import is_live
from recorder.log.reader import read_records
from recorder.log.verify import verify
from tests.cli import recordings
from tests.log.test_damage import ONE, TWO
from tests.log.test_reader import HEADER, lines, stream
from tests.tap.test_faults import read

ROOT = Path(__file__).parents[2]
NAMES = ["a.jsonl.zst"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_bytes(TWO)
    path.chmod(0o640)
    os.utime(path, ns=(10**18, 10**18))
    return path


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def plain(path: Path) -> bytes:
    with open_segment(path) as file:
        return file.read()


def test_the_content_the_time_and_the_mode_stay(path: Path) -> None:
    done = compact(path)

    [packed] = find_segments(path.parent)
    there = packed.stat()
    assert done == Compaction(path=path, bytes=len(TWO), compressed_bytes=there.st_size)
    assert names(path.parent) == NAMES
    assert plain(packed) == TWO
    assert (there.st_mtime_ns, there.st_mode & 0o777) == (10**18, 0o640)


def test_a_dry_run_changes_nothing(path: Path) -> None:
    assert compact(path, dry_run=True) == Compaction(path=path, bytes=len(TWO))
    assert (names(path.parent), path.read_bytes()) == (["a.jsonl"], TWO)


@pytest.mark.parametrize("torn", [b"", b'{"kind":"event","str'])
def test_every_reader_reads_it_as_before(tmp_path: Path, torn: bytes) -> None:
    plain_one = recordings.write(tmp_path / "plain" / "a.jsonl", *recordings.every_kind())
    with plain_one.open("ab") as file:
        file.write(torn)
    packed = Path(shutil.copytree(tmp_path / "plain", tmp_path / "packed"))
    compact(packed / "a.jsonl")

    one, other = recorder.open(tmp_path / "plain"), recorder.open(packed)

    assert [stream.records for stream in one.streams()] == [stream.records for stream in other.streams()]
    assert [(one.line, one.reason) for one in one.problems] == [(one.line, one.reason) for one in other.problems]
    query = "FROM streams ORDER BY stream"
    assert one.sql(query).fetchall() == other.sql(query).fetchall()
    assert [found.events for found in verify(one.segments)] == [found.events for found in verify(other.segments)]
    stream = next(stream for stream in one.streams() if stream.end and stream.end.complete)
    replayed = [
        client.post(stream.url, body=stream.request.body, cast_to=str)
        for client in (recorder.replay(path).client() for path in (tmp_path / "plain", packed))
    ]
    assert replayed[0] == replayed[1]


def test_a_file_of_several_frames_is_one_file(tmp_path: Path) -> None:
    first, second = lines(HEADER, *stream("a")), lines(HEADER, *stream("b"))
    with (tmp_path / "a.jsonl.zst").open("wb") as file:
        for part in (first, second):
            with ZstdFile(file, "wb") as frame:
                frame.write(part)

    assert [stream.id for stream in recorder.open(tmp_path).streams()] == ["a", "b"]
    assert recorder.open(tmp_path).sql("SELECT count(*) FROM streams").fetchall() == [(2,)]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl.zst"
    block = lines(*(record for n in range(100) for record in stream(f"s{n}", 20)))
    with ZstdFile(path, "wb") as file:
        file.write(encode_line(HEADER))
        for _ in range(150):
            file.write(block)
    program = (
        "import resource, sys\nfrom pathlib import Path\nfrom recorder.log.reader import read_records\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "records = read_records(Path(sys.argv[1]), report=print)\nnext(records)\nbefore = peak()\n"
        "print(sum(1 for _ in records), peak() - before)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, cwd=ROOT, check=True
    )

    count, grown = map(int, done.stdout.split())
    assert count == 150 * 100 * 23
    assert len(block) * 150 > 30 << 20
    assert grown < (8 << 20) // (1 if sys.platform == "darwin" else 1024)


def test_a_live_segment_is_left_alone(tmp_path: Path) -> None:
    with recorder.Tap(tmp_path) as tap:
        read(tap, 5)
        tap.flush()
        [path] = find_segments(tmp_path)
        done = compact(path)
        assert (done.live, done.compressed_bytes) == (True, None)
        assert names(tmp_path) == [path.name]

    assert not is_live(path)
    assert not compact(path).live
    assert [len(stream.events) for stream in recorder.open(tmp_path).streams()] == [5]


def test_without_locks_what_is_not_sealed_counts_as_live(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorder.log.lock.fcntl", None)
    torn = path.with_name("b.jsonl")
    for content in (lines(HEADER), ONE + b'{"kind"', ONE + lines(HEADER)):
        torn.write_bytes(content)
        assert is_live(torn)
        assert compact(torn).live

    assert not is_live(path)
    assert not compact(path).live
    assert names(path.parent) == ["a.jsonl.zst", "b.jsonl"]


def test_a_writer_that_comes_meanwhile_waits_and_then_has_its_own_file(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    with recorder.Tap(path) as tap:
        read(tap, 3)
    with recorder.Tap(path) as tap:
        compact(path)
        read(tap, 4)

    assert names(tmp_path) == ["one.jsonl", "one.jsonl.zst"]
    assert [len(stream.events) for stream in recorder.open(tmp_path).streams()] == [4, 3]
    with pytest.raises(RecordingError, match=r"one\.jsonl\.zst is there already and is not made of it; rename"):
        compact(path)
    assert names(tmp_path) == ["one.jsonl", "one.jsonl.zst"]


@pytest.mark.parametrize("content", [b"", b"hello\n", b"{}\n", bytes(range(256))])
def test_a_file_that_is_no_recording_is_not_touched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)

    with pytest.raises(RecordingError, match=r"a\.jsonl:1: not a recording"):
        compact(path)

    assert (names(tmp_path), path.read_bytes()) == (["a.jsonl"], content)


KILLED = """
import os, sys
from pathlib import Path
from recorder.core import zstd
from recorder.log.compact import compact
left = int(sys.argv[2])
def count(event, arguments):
    global left
    if event in ("open", "os.rename", "os.remove", "os.utime", "os.chmod"):
        left -= 1
        if left == 0:
            os._exit(9)
sys.addaudithook(count)
compact(Path(sys.argv[1]))
os._exit(0)
"""


@pytest.mark.slow
def test_killed_at_any_step_it_loses_nothing_and_leaves_nothing_twice(tmp_path: Path) -> None:
    codes: set[int] = set()
    seen: set[tuple[str, ...]] = set()
    step = 0
    while 0 not in codes:
        step += 1
        directory = tmp_path / str(step)
        directory.mkdir()
        (directory / "a.jsonl").write_bytes(TWO)
        run = [sys.executable, "-c", KILLED, directory / "a.jsonl", str(step)]
        codes.add(subprocess.run(run, cwd=ROOT, check=False).returncode)
        seen.add(tuple(names(directory)))

        [segment] = find_segments(directory)
        assert plain(segment) == TWO
        if segment.suffix == ".jsonl":
            compact(segment)
        assert names(directory) == NAMES
        assert plain(directory / "a.jsonl.zst") == TWO

    assert codes == {0, 9}
    assert {("a.jsonl",), ("a.jsonl", "a.jsonl.tmp.zst"), ("a.jsonl", "a.jsonl.zst"), ("a.jsonl.zst",)} <= seen


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on this platform")
def test_a_full_disk_leaves_it_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(HEADER) + os.urandom(1 << 20).hex().encode())
    program = (
        "import resource, signal, sys\nfrom pathlib import Path\nfrom recorder.log.compact import compact\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "try:\n    compact(Path(sys.argv[1]))\nexcept OSError as error:\n    print(error.strerror)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, cwd=ROOT, check=True
    )

    assert (done.stdout, done.stderr) == ("File too large\n", "")
    assert names(tmp_path) == ["a.jsonl"]


def test_of_plain_and_compressed_the_plain_one_counts_and_only_if_it_is_the_same(path: Path) -> None:
    whole = path.read_bytes()
    compact(path)
    path.write_bytes(whole + lines(HEADER))  # a process went on with it before the compressed one was looked at
    assert find_segments(path.parent) == [path]

    other = HEADER.__class__(
        **{**{name: getattr(HEADER, name) for name in HEADER.__struct_fields__}, "segment": "x"}
    )
    path.write_bytes(lines(other))
    assert find_segments(path.parent) == [path, path.with_name("a.jsonl.zst")]

    path.write_bytes(ONE)
    path.with_name("a.jsonl.zst").write_bytes(b"no zstd")
    assert find_segments(path.parent) == [path, path.with_name("a.jsonl.zst")]
    with pytest.raises(RecordingError, match="damaged from here on"):
        list(read_records(path.with_name("a.jsonl.zst"), report=print))
