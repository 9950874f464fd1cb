"""Merged objects hold the rows of what they were merged of; what is forgotten is in none."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from recorder.analytics.lake.rewrite import Compacted, compact, forget
from recorder.analytics.lake.store import Store
from tests.analytics.lake.lakes import Rows, actions, in_lake, in_recording, segment, ship
from tests.analytics.lake.test_ship import ROOT, kinds
from tests.cli import recordings
from tests.cli.command import contents, rows
from tests.cli.command import recorder as command


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shipped")
    for n in range(3):
        segment(path / "r" / f"{n}.jsonl", f"s{n}", kinds(100 * n))
    segment(path / "r" / "3.jsonl", "s3", recordings.text("0da1"), day=1)
    ship(path / "r", path / "lake", last=True)
    return path


@pytest.fixture
def lake(tmp_path: Path, shipped: Path) -> Path:
    """Three segments of one day on one host, one of another day; what they were made of is in `r` beside it."""
    shutil.copytree(shipped, tmp_path, dirs_exist_ok=True)
    return tmp_path / "lake"


def objects(lake: Path) -> list[Path]:
    return sorted(lake.rglob("*.parquet"))


def test_small_objects_become_one_and_the_rows_are_the_same(tmp_path: Path, lake: Path) -> None:
    before = in_lake(lake)

    [first, second] = compact(Store(str(lake)))
    again = list(compact(Store(str(lake))))

    assert (first.objects, first.objects_after, second.objects, second.objects_after) == (15, 5, 5, 5)
    assert first.bytes_after < first.bytes
    assert [(one.objects, one.objects_after) for one in again] == [(5, 5), (5, 5)]
    assert len(objects(lake)) == 10
    assert in_lake(lake) == before == in_recording(tmp_path / "r")
    assert set(actions(ship(tmp_path / "r", lake, last=True)).values()) == {"there"}
    for table, order in (("streams", "wall_ns, stream"), ("events", "stream, seq")):
        [file] = lake.glob(f"{table}/day=2026-11-21/*/*.parquet")
        as_stored = duckdb.sql(f"SELECT {order} FROM '{file}'").fetchall()
        assert as_stored == sorted(as_stored)


@pytest.mark.slow
def test_what_came_since_is_merged_with_it(tmp_path: Path, lake: Path) -> None:
    list(compact(Store(str(lake))))
    segment(tmp_path / "r" / "9.jsonl", "s9", kinds(900))
    ship(tmp_path / "r", lake, last=True)

    [first, _] = compact(Store(str(lake)))

    assert (first.objects, first.objects_after) == (10, 5)
    assert in_lake(lake) == in_recording(tmp_path / "r")


@pytest.mark.slow
def test_large_objects_are_left_alone(lake: Path) -> None:
    before = contents(lake)
    size = max(sum(file.stat().st_size for file in lake.rglob(f"s{n}.parquet")) for n in range(3))

    list(compact(Store(str(lake)), target_bytes=size))

    assert contents(lake) == before


@pytest.mark.slow
def test_a_call_that_was_retried_in_another_segment_has_one_row_then(tmp_path: Path) -> None:
    segment(tmp_path / "r" / "a.jsonl", "a", recordings.overloaded("30", call="retried"))
    ship(tmp_path / "r", tmp_path / "lake", last=True)
    again = recordings.text("31", call="retried", attempt=1, sent=900)
    segment(tmp_path / "r" / "b.jsonl", "b", again, previous="a")
    ship(tmp_path / "r", tmp_path / "lake", last=True)
    query = f"SELECT attempts FROM '{tmp_path}/lake/calls/**/*.parquet' WHERE call = 'retried' ORDER BY 1"
    assert duckdb.sql(query).fetchall() == [(1,), (2,)]

    list(compact(Store(str(tmp_path / "lake"))))

    assert duckdb.sql(query).fetchall() == [(2,)]


def test_objects_of_another_version_are_merged_by_the_names_of_their_columns(tmp_path: Path, lake: Path) -> None:
    """An older one knew fewer columns, and one that this version does not know."""
    [file] = lake.glob("streams/day=2026-11-21/*/s1.parquet")
    duckdb.sql(f"COPY (SELECT * EXCLUDE (tools), 7 AS bygone FROM '{file}') TO '{tmp_path}/old.parquet'")
    (tmp_path / "old.parquet").replace(file)

    list(compact(Store(str(lake))))

    [merged] = lake.glob("streams/day=2026-11-21/*/*.parquet")
    found = duckdb.sql(
        f"SELECT segment, count(*), count(bygone), bool_or(tools IS NULL) FROM '{merged}' GROUP BY ALL ORDER BY ALL"
    )
    assert found.fetchall() == [("s0", 11, 0, True), ("s1", 11, 11, True), ("s2", 11, 0, True)]


def interrupted(monkeypatch: pytest.MonkeyPatch, method: str, other: Callable[[], Any]) -> None:
    """Do something else, once, behind the first put or before the first create."""
    real, begun = getattr(Store, method), list[bool]()

    def called(self: Store, name: str, content: bytes | Path) -> Any:
        done = real(self, name, content) if method == "put" else None
        if not begun:
            begun.append(True)
            other()
        return real(self, name, content) if method == "create" else done

    monkeypatch.setattr(Store, method, called)


@pytest.mark.parametrize("method", ["create", pytest.param("put", marks=pytest.mark.slow)])
def test_of_two_that_compact_at_once_one_takes_back_what_it_wrote(
    lake: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    before, others = in_lake(lake), list[Compacted]()
    interrupted(monkeypatch, method, lambda: others.extend(compact(Store(str(lake)))))

    [first, _] = compact(Store(str(lake)))

    assert (first.conflict, [one.conflict for one in others]) == (True, [False, False])
    assert len(objects(lake)) == 10
    assert in_lake(lake) == before


def test_what_another_has_put_and_may_yet_count_is_not_taken_for_left_behind(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = in_lake(lake)
    interrupted(monkeypatch, "create", lambda: list(compact(Store(str(lake)), target_bytes=1)))

    [first, _] = compact(Store(str(lake)))

    assert not first.conflict
    assert in_lake(lake) == before


KILLED_AT = """
import os, signal, sys
from recorder.analytics.lake.rewrite import compact, forget
from recorder.analytics.lake.store import Store

left = int(sys.argv[2])

def dying(method):
    def called(self, *arguments):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(self, *arguments)
    return called

Store.put, Store.create, Store.delete = dying(Store.put), dying(Store.create), dying(Store.delete)
list(compact(Store(sys.argv[1]))) if sys.argv[3] == "compact" else forget(Store(sys.argv[1]), "user", "alice")
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(1, 8))
def test_killed_at_any_moment_nothing_is_missing_and_the_next_run_ends_it(lake: Path, moment: int) -> None:
    """Before each put, the create that makes it count, and each delete."""
    before = in_lake(lake)

    died = subprocess.run([sys.executable, "-c", KILLED_AT, lake, str(moment), "compact"], cwd=ROOT)
    assert died.returncode == -signal.SIGKILL
    assert {table: set(map(repr, rows)) for table, rows in in_lake(lake).items()} == {
        table: set(map(repr, rows)) for table, rows in before.items()
    }
    for _ in range(2):
        list(compact(Store(str(lake))))

    assert len(objects(lake)) == 10
    assert in_lake(lake) == before


# -- forget


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("users") / "r"
    alice, bob = {"user": "alice@example.com"}, {"user": "bob"}
    long = recordings.text("a110", tags=alice)
    segment(
        path / "0.jsonl",
        "s0",
        [*recordings.text("a111", tags=alice), *recordings.tool("b001", tags=bob), *long[:5]],
    )
    refused = recordings.overloaded("a112", call="ca11", tags=alice)
    again = recordings.thinking("a113", call="ca11", attempt=1, sent=900, tags=alice)
    segment(
        path / "1.jsonl", "s1", [*long[5:], *refused, *again, *recordings.text("b002", tags=bob)], previous="s0"
    )
    segment(path / "2.jsonl", "s2", recordings.text("b003", tags=bob), day=1)
    lake = path.parent / "lake"
    ship(path, lake, last=True, capture="full")
    return path.parent


@pytest.fixture
def tagged(tmp_path: Path, users: Path) -> Path:
    """A lake with the streams of two users, some in segments of their own, one over two, a call of two attempts; what
    it was made of is in `r` beside it."""
    shutil.copytree(users, tmp_path, dirs_exist_ok=True)
    return tmp_path / "lake"


def everything(lake: Path) -> bytes:
    """All bytes there are, as they are and, of Parquet, as what they say."""
    found = [*contents(lake).values()]
    found += [repr(path).encode() for path in lake.rglob("*")]
    found += [str(duckdb.sql(f"FROM '{file}'").fetchall()).encode() for file in objects(lake)]
    found += [str(duckdb.sql(f"FROM parquet_metadata('{file}')").fetchall()).encode() for file in objects(lake)]
    return b"".join(found)


def without(rows: Rows, streams: set[str]) -> Rows:
    return {
        table: [row for row in found if not streams & {str(cell) for cell in row}] for table, found in rows.items()
    }


@pytest.mark.parametrize(
    "first", [lambda lake: None, lambda lake: list(compact(Store(str(lake))))], ids=["", "compacted"]
)
def test_what_is_forgotten_is_in_no_byte_of_the_lake(
    tmp_path: Path, tagged: Path, first: Callable[[Path], Any]
) -> None:
    lake = tagged
    first(lake)
    expected = without(in_lake(lake, full=True), {"a110", "a111", "a112", "a113"})
    names = (b"alice@example.com", b"a110", b"a111", b"a112", b"a113", b"ca11")
    assert [name for name in names if name not in everything(lake)] == []

    done = forget(Store(str(lake)), "user", "alice@example.com")

    assert done.streams == ["a110", "a111", "a112", "a113"]
    assert (done.left, done.unfinished, done.conflicts) == (0, [], [])
    assert [name for name in names if name in everything(lake)] == []
    assert in_lake(lake, full=True) == expected
    assert {row[0] for row in duckdb.sql(f"SELECT stream FROM '{lake}/streams/**/*.parquet'").fetchall()} == {
        "b001",
        "b002",
        "b003",
    }
    assert set(actions(ship(tmp_path / "r", lake, last=True, capture="full")).values()) == {"there"}


def test_the_command_prints_what_it_removed(tagged: Path) -> None:
    lake = tagged
    before = contents(lake)

    dry = command("lake", "forget", lake, "--tag", "user=alice@example.com", "--dry-run")
    assert contents(lake) == before
    done = command("lake", "forget", lake, "--tag", "user=alice@example.com")
    again = command("lake", "forget", lake, "--tag", "user=alice@example.com")

    assert (dry.exit_code, done.exit_code, again.exit_code) == (0, 0, 0)
    assert dry.stdout == done.stdout
    found = {row["table"]: (row["rows"], row["objects"]) for row in rows(done.stdout)}
    assert found == {
        "calls": ("3", "2"),
        "streams": ("4", "2"),
        "blocks": ("4", "2"),
        "events": (str(14 + 14 + 11), "2"),
    }
    assert dry.stderr == "4 streams would be removed.\n"
    assert done.stderr == "4 streams removed. All objects read again.\n"
    assert again.stderr == "0 streams removed. All objects read again.\n"
    assert command("lake", "forget", lake, "--tag", "user").exit_code == 2


@pytest.mark.slow
def test_a_segment_that_is_not_shipped_whole_is_told(tagged: Path) -> None:
    lake = tagged
    (lake / "_lake" / "day=2026-11-22" / "s2.json").unlink()

    result = command("lake", "forget", lake, "--tag", "user=alice@example.com")

    assert result.exit_code == 1
    assert "error: day=2026-11-22/host=web-1: a segment there is not shipped whole" in result.stderr


@pytest.mark.slow
def test_what_a_killed_process_left_half_written_on_a_disk_goes_too(tagged: Path) -> None:
    [one] = tagged.glob("events/day=2026-11-22/*/*.parquet")
    old, young = one.with_name(f"{one.name}#1"), one.with_name(f"{one.name}#2")
    for half in (old, young):
        half.write_bytes(b"PAR1 alice@example.com")
    os.utime(old, (0, 0))

    result = command("lake", "forget", tagged, "--tag", "user=alice@example.com")

    assert (result.exit_code, old.exists(), young.exists()) == (1, False, True)
    assert "error: 1 file being written, or left by a process just killed; run this again\n" in result.stderr
    os.utime(young, (0, 0))
    assert command("lake", "forget", tagged, "--tag", "user=alice@example.com").exit_code == 0
    assert b"alice@example.com" not in everything(tagged)


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(1, 8))
def test_forgetting_that_was_killed_is_ended_by_the_next(tagged: Path, moment: int) -> None:
    lake = tagged
    expected = without(in_lake(lake, full=True), {"a110", "a111", "a112", "a113"})
    program = KILLED_AT.replace('"alice"', '"alice@example.com"')

    died = subprocess.run([sys.executable, "-c", program, lake, str(moment), "forget"], cwd=ROOT)
    assert died.returncode == -signal.SIGKILL
    forget(Store(str(lake)), "user", "alice@example.com")
    forget(Store(str(lake)), "user", "alice@example.com")

    assert b"alice@example.com" not in everything(lake)
    assert in_lake(lake, full=True) == expected


@pytest.mark.slow
def test_the_command_that_compacts(lake: Path) -> None:
    dry = json.loads(command("lake", "compact", lake, "--dry-run", "--format", "json").stdout)
    done = command("lake", "compact", lake)

    assert [(row["objects"], row["objects_after"]) for row in dry] == [(15, 5), (5, 5)]
    assert (done.exit_code, done.stderr) == (0, "20 objects became 10.\n")
    assert command("lake").stdout.count("recorder lake ") >= 2
