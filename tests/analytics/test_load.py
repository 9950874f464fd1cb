"""Tables that are kept: whatever happens between loads, they hold what loading everything at once would give."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recorder.analytics import load as loading
from recorder.analytics import pieces
from recorder.analytics.database import Database
from recorder.log.compact import compact
from recorder.log.reader import CorruptError, Problem
from tests.analytics.kept import at_once, check, content, kinds, lines, tables, write
from tests.cli import recordings


def test_loading_again_loads_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", "a", kinds())
    loaded: list[int] = []
    for _ in range(3):
        tables(tmp_path, advance=lambda progress: loaded.append(progress.events))
    assert loaded[-1] == sum(b'"kind":"event"' in line for line in kinds()) > 50
    assert len(loaded) == 2, "the second load had nothing to do"
    assert len(check(tmp_path)["streams"]) == len(recordings.KINDS)


@pytest.mark.slow
@pytest.mark.parametrize("step", [5, 23])
def test_a_file_that_grows_gives_each_record_once(tmp_path: Path, step: int) -> None:
    these = kinds()
    path = write(tmp_path / "a.jsonl", "a", [])
    for begin in range(0, len(these), step):
        with path.open("ab") as file:
            file.write(b"".join(these[begin : begin + step]))
        tables(tmp_path)
    found = check(tmp_path)
    assert [row[0] for row in found["streams"]] == [f"{n:016x}" for n in range(len(recordings.KINDS))]


def test_a_stream_goes_on_in_the_next_segment(tmp_path: Path) -> None:
    these = lines(recordings.tool("0000000000000001"))
    for n, line in enumerate(these):
        write(tmp_path / f"{n}.jsonl", f"s{n}", [line])
        tables(tmp_path) if n != 3 else None
    [row] = tables(tmp_path).query("SELECT outcome, tool_args_s, events FROM streams").rows
    assert row == ("complete", pytest.approx(0.3), 8)
    check(tmp_path)


def test_a_torn_tail_waits_for_the_next_load(tmp_path: Path) -> None:
    these = lines(recordings.text("0000000000000001"))
    path = write(tmp_path / "a.jsonl", "a", these[:-1])
    whole = path.stat().st_size
    told: list[Problem] = []
    for cut in (1, len(these[-1]) // 2, len(these[-1]) - 1):
        path.write_bytes(path.read_bytes()[:whole] + these[-1][:cut])
        [(outcome,)] = tables(tmp_path, report=told.append).query("SELECT outcome FROM streams").rows
        assert outcome == "lost"
        assert (told[-1].line, told[-1].kind) == (len(these) + 1, "torn")
    path.write_bytes(path.read_bytes()[:whole] + these[-1])
    assert [row[-1] for row in check(tmp_path)["load_errors"]] == []
    assert list(tables(tmp_path).query("SELECT outcome FROM streams").rows) == [("complete",)]


def test_a_corrupt_line_is_told_each_time_and_what_comes_later_is_loaded(tmp_path: Path) -> None:
    these = lines(recordings.text("0000000000000001"))
    path = write(tmp_path / "a.jsonl", "a", [*these[:3], b'{"kind":"event",!\n', *these[3:-2]])
    with pytest.raises(CorruptError, match=r"a\.jsonl:5: not JSON"):
        tables(tmp_path)
    with path.open("ab") as file:
        file.write(b"".join([*these[-2:], b"[1]\n"]))
    told: list[Problem] = []
    found = tables(tmp_path, salvage=True, report=told.append)
    assert [(problem.path, problem.line, problem.kind) for problem in told] == [
        (path, 5, "corrupt"),
        (path, len(these) + 3, "corrupt"),
    ]
    assert list(found.query("SELECT outcome, events FROM streams").rows) == [("complete", 14)]
    errors = list(found.query("SELECT file, line, reason FROM load_errors ORDER BY line").rows)
    assert [(name, line) for name, line, _ in errors] == [("a.jsonl", 5), ("a.jsonl", len(these) + 3)]
    assert "not JSON" in errors[0][2]


def test_what_is_compressed_since_is_not_loaded_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", "a", kinds())
    before = check(tmp_path)
    compact(path)
    events: list[int] = []
    assert content(tables(tmp_path, advance=lambda progress: events.append(progress.events))) == before
    assert set(events) == {0}
    write(tmp_path / "b.jsonl", "b", kinds(50))
    assert len(check(tmp_path)["streams"]) == 2 * len(recordings.KINDS)


def test_what_was_compressed_before_it_was_loaded_whole_is_loaded_whole(tmp_path: Path) -> None:
    these = kinds()
    path = write(tmp_path / "a.jsonl", "a", these[:50])
    tables(tmp_path)
    with path.open("ab") as file:
        file.write(b"".join(these[50:]))
    compact(path)
    assert len(check(tmp_path)["streams"]) == len(recordings.KINDS)


def test_rows_go_with_their_file(tmp_path: Path) -> None:
    these = lines(recordings.text("0000000000000001"))
    write(tmp_path / "a.jsonl", "a", kinds(50) + these[:9])
    write(tmp_path / "b.jsonl", "b", these[9:] + kinds(100))
    assert len(check(tmp_path)["streams"]) == 2 * len(recordings.KINDS) + 1
    (tmp_path / "a.jsonl").unlink()
    told: list[Problem] = []
    found = content(tables(tmp_path, report=told.append))
    assert found == at_once(tmp_path)
    assert len(found["streams"]) == len(recordings.KINDS), "the stream whose request is gone is left out"
    assert [(problem.line, problem.kind) for problem in told] == [(2, "missing")]


def test_rows_of_deleted_files_can_be_kept(tmp_path: Path) -> None:
    write(tmp_path / "r" / "a.jsonl", "a", kinds())
    write(tmp_path / "r" / "b.jsonl", "b", kinds(50))
    database = Database(tmp_path / "all.duckdb", keep=True)
    before = content(tables(tmp_path / "r", database=database))
    (tmp_path / "r" / "a.jsonl").unlink()
    assert content(tables(tmp_path / "r", database=database)) == before


def test_a_moved_directory_and_a_moved_file_are_known(tmp_path: Path) -> None:
    write(tmp_path / "r" / "a.jsonl", "a", kinds())
    write(tmp_path / "r" / "b.jsonl", "b", kinds(50))
    before = content(tables(tmp_path / "r"))
    (tmp_path / "r").rename(tmp_path / "s")
    (tmp_path / "s" / "old").mkdir()
    (tmp_path / "s" / "a.jsonl").rename(tmp_path / "s" / "old" / "a.jsonl")
    events: list[int] = []
    assert content(tables(tmp_path / "s", advance=lambda progress: events.append(progress.events))) == before
    assert set(events) == {0}


def test_a_copy_of_a_file_adds_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", "a", kinds())
    before = content(tables(tmp_path))
    (tmp_path / "copy.jsonl").write_bytes(path.read_bytes())
    assert content(tables(tmp_path)) == before == at_once(tmp_path)
    [(texts, events)] = tables(tmp_path).query("SELECT count(data), count(*) FROM events").rows
    assert texts == events == len(before["events"])


@pytest.mark.parametrize("longer", [False, True])
def test_another_recording_under_the_same_name_takes_its_place(tmp_path: Path, longer: bool) -> None:
    write(tmp_path / "a.jsonl", "a", kinds())
    tables(tmp_path)
    write(tmp_path / "a.jsonl", "b", kinds(50) + (kinds(100) if longer else []))
    found = check(tmp_path)
    assert found["streams"][0][0] == f"{50:016x}"


def test_a_file_that_was_cut_is_read_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", "a", kinds())
    tables(tmp_path)
    these = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(these[:40]))
    check(tmp_path)
    path.write_bytes(b"".join([these[0], *these[60:]]))
    told: list[Problem] = []
    assert content(tables(tmp_path, report=told.append)) == at_once(tmp_path)


@pytest.mark.slow
def test_a_large_file_is_loaded_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pieces, loading):
        monkeypatch.setattr(module, "PIECE", 5000)
    write(tmp_path / "a.jsonl", "a", kinds())
    for n in range(5):
        write(tmp_path / f"b{n}.jsonl", f"b{n}", kinds(20 * (n + 1)))
    compact(tmp_path / "b3.jsonl")
    steps: list[int] = []
    found = content(tables(tmp_path, advance=lambda progress: steps.append(progress.bytes)))
    monkeypatch.undo()
    assert found == at_once(tmp_path)
    assert len(steps) > 20
    assert steps == sorted(steps)


KILLED = """
import os, signal, sys
from pathlib import Path
from recorder.analytics import load, pieces
from recorder.analytics.database import beside
from recorder.analytics.report import QueryError, Tables
from recorder.log.files import find_segments

path, left = Path(sys.argv[1]), int(sys.argv[2])
load.PIECE = pieces.PIECE = 4000
run = load.run

def counted(connection, name):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    run(connection, name)

load.run = counted
Tables(find_segments(path), report=print, database=beside(path))
"""


@pytest.mark.slow
@pytest.mark.parametrize("steps", [25, 40, 61, 87, 105])
def test_a_load_that_is_killed_goes_on(tmp_path: Path, steps: int) -> None:
    write(tmp_path / "a.jsonl", "a", kinds())
    write(tmp_path / "b.jsonl", "b", kinds(50))
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(steps)], check=False)
    assert done.returncode == -signal.SIGKILL, "it was over before"
    check(tmp_path)


@pytest.mark.slow
def test_a_load_that_is_killed_at_any_time_goes_on(tmp_path: Path) -> None:
    for n in range(4):
        write(tmp_path / f"{n}.jsonl", f"{n}", kinds(20 * n))
    dice, killed = random.Random(9), 0
    for _ in range(20):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), "100000"])
        try:
            process.wait(dice.uniform(0.15, 1.2))
        except subprocess.TimeoutExpired:
            process.kill()
            killed += 1
        process.wait()
        if dice.random() < 0.3:
            with (tmp_path / "0.jsonl").open("ab") as file:
                file.write(lines(recordings.text(f"{1000 + killed:016x}"))[0])
    assert killed
    check(tmp_path)


WRITER = """
import sys, time
from pathlib import Path
lines = Path(sys.argv[1]).read_bytes().splitlines(keepends=True)
with open(sys.argv[2], "ab", buffering=0) as file:
    for line in lines:
        file.write(line[:20])
        file.write(line[20:])
        time.sleep(0.002)
"""


def test_loading_while_a_writer_appends(tmp_path: Path) -> None:
    source = write(tmp_path / "source", "a", kinds() + kinds(50) + kinds(100))
    path = tmp_path / "r" / "a.jsonl"
    path.parent.mkdir()
    seen = 0
    with subprocess.Popen([sys.executable, "-c", WRITER, str(source), str(path)]) as writer:
        while writer.poll() is None:
            if path.exists() and b"\n" in path.read_bytes():
                found = tables(tmp_path / "r", report=[].append)
                [(events, highest)] = found.query(
                    "SELECT count(*), count(DISTINCT (stream, seq)) FROM events"
                ).rows
                assert events == highest >= seen
                seen = events
                del found  # it has the file open
    assert writer.returncode == 0
    assert seen > 0
    check(tmp_path / "r")
