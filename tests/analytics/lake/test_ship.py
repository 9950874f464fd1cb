"""A lake holds what the recordings do: each segment once, whatever came between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from recorder.analytics.lake.ship import MOST_S, POLL_S, Shipper
from recorder.analytics.lake.store import NoStore, Store
from recorder.log.compact import compact
from recorder.optional import MissingPackage
from tests.analytics.lake.lakes import actions, in_lake, in_recording, segment, ship
from tests.cli import recordings
from tests.cli.command import contents
from tests.cli.command import recorder as command

ROOT = Path(__file__).parents[3]


def kinds(first: int = 0) -> list[Any]:
    return [
        record for n, kind in enumerate(recordings.KINDS) for record in kind(f"{first + n:016x}", sent=1000 * (first + n))
    ]  # fmt: skip


@pytest.mark.parametrize("full", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_lake_holds_the_rows_of_the_recording(tmp_path: Path, full: bool) -> None:
    segment(tmp_path / "r" / "a.jsonl", "a", kinds())
    segment(tmp_path / "r" / "b.jsonl", "b", kinds(100), day=1)

    ship(tmp_path / "r", tmp_path / "lake", last=True, capture="full" if full else "timing")

    assert in_lake(tmp_path / "lake", full=full) == in_recording(tmp_path / "r", full=full)
    names = sorted(
        str(path.relative_to(tmp_path / "lake")) for path in (tmp_path / "lake" / "calls").rglob("*.parquet")
    )
    assert names == [
        "calls/day=2026-11-21/host=web-1/a.parquet",
        "calls/day=2026-11-22/host=web-1/b.parquet",
    ]


def test_no_text_unless_it_was_asked_for(tmp_path: Path) -> None:
    path = segment(tmp_path / "a.jsonl", "a", kinds())

    def said(capture: str) -> str:
        ship(path, tmp_path / capture, last=True, capture=capture)
        files = [str(file) for file in (tmp_path / capture).rglob("*.parquet")]
        return str([duckdb.sql(f"FROM '{file}'").fetchall() for file in files])

    timing, full = said("timing"), said("full")
    written = ("What is a stream?", "Be brief.", " sequence", "Let me", "peer closed", "Overloaded")
    assert [text for text in written if text in timing] == []
    assert [text for text in written if text not in full] == []


def test_shipping_again_changes_nothing(tmp_path: Path) -> None:
    segment(tmp_path / "r" / "a.jsonl", "a", kinds())
    assert actions(ship(tmp_path / "r", tmp_path / "lake", last=True)) == {"a": "shipped"}
    before, recording = contents(tmp_path / "lake"), contents(tmp_path / "r")

    assert actions(ship(tmp_path / "r", tmp_path / "lake", last=True)) == {"a": "there"}
    compact(tmp_path / "r" / "a.jsonl")
    assert actions(ship(tmp_path / "r", tmp_path / "lake", host="web-2", last=True)) == {"a": "there"}

    assert contents(tmp_path / "lake") == before
    assert [*recording] == [tmp_path / "r" / "a.jsonl"]


@pytest.mark.slow
def test_a_copy_of_a_segment_is_the_segment(tmp_path: Path) -> None:
    one = segment(tmp_path / "r" / "a.jsonl", "a", kinds())
    two = segment(tmp_path / "r" / "b.jsonl", "b", kinds(100))
    (tmp_path / "r" / "both.jsonl").write_bytes(one.read_bytes() + two.read_bytes())

    assert actions(ship(tmp_path / "r", tmp_path / "lake", last=True)) == {"a": "shipped", "b": "shipped"}

    assert in_lake(tmp_path / "lake") == in_recording([one, two])


@pytest.mark.slow
def test_two_hosts_that_ship_one_recording_write_the_same_objects(tmp_path: Path) -> None:
    """The first was killed before its last object; the second has another name."""
    segment(tmp_path / "r" / "a.jsonl", "a", kinds())
    ship(tmp_path / "r", tmp_path / "lake", host="web-1", last=True)
    (tmp_path / "lake" / "_lake" / "day=2026-11-21" / "a.json").unlink()

    assert actions(ship(tmp_path / "r", tmp_path / "lake", host="web-2", last=True)) == {"a": "shipped"}

    assert in_lake(tmp_path / "lake") == in_recording(tmp_path / "r")
    assert not list((tmp_path / "lake").rglob("host=web-2"))


@pytest.mark.slow
def test_a_segment_that_was_begun_with_text_is_not_finished_without(tmp_path: Path) -> None:
    segment(tmp_path / "a.jsonl", "a", kinds())
    ship(tmp_path / "a.jsonl", tmp_path / "lake", last=True, capture="full")
    (tmp_path / "lake" / "_lake" / "day=2026-11-21" / "a.json").unlink()

    [outcome] = ship(tmp_path / "a.jsonl", tmp_path / "lake", last=True)

    assert (outcome.action, outcome.reason) == (
        "failed",
        f"{tmp_path}/a.jsonl: begun to ship with --capture full; go on with the same",
    )


# -- killed


KILLED_AT = """
import os, signal, sys
from pathlib import Path
from recorder.analytics.lake.ship import Shipper
from recorder.analytics.lake.store import Store

left = int(sys.argv[3])

def dying(method):
    def called(self, name, content):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        done = method(self, name, content)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    return called

Store.put, Store.create = dying(Store.put), dying(Store.create)
for _ in Shipper([Path(sys.argv[1])], Store(sys.argv[2]), host="h", report=print, is_last=lambda *_: True).once():
    pass
"""
OPERATIONS = 7
"""On the store, for each segment: the claim, five tables, the marker."""


@pytest.mark.parametrize(
    "moment",
    [pytest.param(n, marks=() if n == 6 else pytest.mark.slow) for n in range(1, 2 * OPERATIONS + 1)],
)
def test_killed_at_any_moment_and_shipped_again(tmp_path: Path, moment: int) -> None:
    """Before and after each operation on the store."""
    path, lake = tmp_path / "r", tmp_path / "lake"
    segment(path / "a.jsonl", "a", kinds())

    died = subprocess.run([sys.executable, "-c", KILLED_AT, path, lake, str(moment)], cwd=ROOT)
    seen = in_tables(lake)
    ship(path, lake, last=True)

    assert died.returncode == -signal.SIGKILL
    assert seen["calls"] <= seen["streams"] <= seen["blocks"] <= seen["events"], (
        "who sees a stream sees its events"
    )
    assert in_lake(lake) == in_recording(path)


def in_tables(lake: Path) -> dict[str, set[str]]:
    """The segments that each table has an object of."""
    return {
        table: {path.name for path in lake.joinpath(table).rglob("*.parquet")}
        for table in ("calls", "streams", "blocks", "events")
    }


@pytest.mark.slow
def test_two_processes_at_once(tmp_path: Path) -> None:
    path, lake = tmp_path / "r", tmp_path / "lake"
    for n in range(4):
        segment(path / f"{n}.jsonl", f"s{n}", kinds(100 * n))
    program = KILLED_AT.replace('"h"', "str(os.getpid())")

    both = [subprocess.Popen([sys.executable, "-c", program, path, lake, "-1"], cwd=ROOT) for _ in range(2)]

    assert [one.wait() for one in both] == [0, 0]
    assert in_lake(lake) == in_recording(path)
    assert set(actions(ship(path, lake)).values()) == {"there"}


# -- follow


class Over(Exception):
    """Ends what does not end."""


def test_follow_ships_what_comes(tmp_path: Path) -> None:
    path, lake = tmp_path / "r", tmp_path / "lake"
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) > 2:
            raise Over
        segment(path / f"{len(waits)}.jsonl", f"s{len(waits)}", kinds(100 * len(waits)))

    shipper = Shipper([path], Store(str(lake)), host="h", report=pytest.fail, is_last=lambda *_: True)
    shipped: list[str] = []
    with pytest.raises(Over):
        for outcome in shipper.follow(pytest.fail, wait):
            shipped.append(outcome.segment)

    assert shipped == ["s1", "s2"]
    assert waits == [POLL_S] * 3
    assert in_lake(lake) == in_recording(path)


def test_follow_says_once_what_cannot_be_shipped(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "bad.jsonl").write_text("no recording\n")
    turns: list[float] = []

    def wait(seconds: float) -> None:
        turns.append(seconds)
        if len(turns) == 3:
            raise Over

    shipper = Shipper([tmp_path / "r"], Store(str(tmp_path / "lake")), host="h", report=pytest.fail)
    told: list[str | None] = []
    with pytest.raises(Over):
        for outcome in shipper.follow(pytest.fail, wait):
            told.append(outcome.reason)

    assert told == [f"{tmp_path}/r/bad.jsonl:1: not a recording (its first line is no header)"]
    assert MOST_S > POLL_S


# -- the command


def test_the_command(tmp_path: Path) -> None:
    path = segment(tmp_path / "r" / "a.jsonl", "a", kinds())
    os.utime(path, (0, 0))

    first = command("ship", tmp_path / "r", "--to", tmp_path / "lake", "--host", "web/1")
    second = command("ship", tmp_path / "r", "--to", (tmp_path / "lake").as_uri())

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout.split()[:8] == ["segment", "action", "streams", "events", "bytes", "file", "a", "shipped"]
    assert "1 segment shipped" in first.stderr
    assert second.stderr == "0 segments shipped, 0 bytes; 1 there already, 0 not over yet.\n"
    assert [one.name for one in (tmp_path / "lake" / "calls" / "day=2026-11-21").iterdir()] == ["host=web_1"]
    assert (tmp_path / "lake").stat().st_mode & 0o777 == 0o700


def test_what_goes_wrong_is_one_line(tmp_path: Path) -> None:
    path = segment(tmp_path / "r" / "a.jsonl", "a", kinds())

    bad = command("ship", path, "--to", "foo://lake")
    none = command("ship", tmp_path / "none", "--to", tmp_path / "lake")
    odd = segment(tmp_path / "odd" / "a.jsonl", "../../a", kinds())
    refused = command("ship", odd, "--to", tmp_path / "lake")

    assert (bad.exit_code, bad.stderr) == (
        2,
        'error: foo://lake: Generic URL error: Unable to recognise URL "foo://lake"\n',
    )
    assert (none.exit_code, none.stderr.count("\n")) == (3, 1)
    assert refused.exit_code == 3
    assert refused.stderr.startswith(f"error: {odd}: '../../a' is no id of a segment\n")
    with pytest.raises(NoStore):
        Store("s3://")


def test_without_the_package_one_line_says_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    path = segment(tmp_path / "r" / "a.jsonl", "a", kinds())

    result = command("ship", path, "--to", tmp_path / "lake")

    assert (result.exit_code, result.stderr) == (
        2,
        "error: obstore is not installed: pip install 'sse-recorder[lake]'\n",
    )
    with pytest.raises(MissingPackage):
        Store(str(tmp_path / "lake"))
