"""Shipping over a real S3 API, through a network that breaks."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recorder.analytics.lake.ship import MOST_S, Shipper
from recorder.analytics.lake.store import Store, StoreError
from tests.analytics.lake.lakes import actions, in_lake, in_recording, segment, ship
from tests.analytics.lake.s3 import Fault, Relay, environment
from tests.analytics.lake.test_ship import KILLED_AT, ROOT, Over, kinds
from tests.cli.command import contents
from tests.cli.command import recorder as command


def use(monkeypatch: pytest.MonkeyPatch, relay: Relay) -> None:
    for name, value in relay.settings.items():
        monkeypatch.setenv(name, value)


def recorded(path: Path, segments: int = 2) -> Path:
    for n in range(segments):
        segment(path / f"{n}.jsonl", f"s{n}", kinds(100 * n))
    return path


def downloaded(url: str, target: Path) -> Path:
    """The objects of a lake, as files."""
    store = Store(url)
    for one in store.list(""):
        (target / one.name).parent.mkdir(parents=True, exist_ok=True)
        store.fetch(one.name, target / one.name)
    return target


@pytest.mark.parametrize("prefix", ["/deep/in it", pytest.param("", marks=pytest.mark.slow)])
def test_a_lake_in_s3_is_the_lake_on_a_disk(
    tmp_path: Path, s3_port: int, bucket: str, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    path = recorded(tmp_path / "r", 1)
    with Relay(s3_port, lambda _: "pass") as relay:
        use(monkeypatch, relay)
        url = f"s3://{bucket}{prefix}"
        assert actions(ship(path, Store(url), last=True)) == {"s0": "shipped"}
        assert actions(ship(path, Store(url), last=True)) == {"s0": "there"}
        found = downloaded(url, tmp_path / "copy")
    ship(path, tmp_path / "disk", last=True)

    assert {file.relative_to(found): data for file, data in contents(found).items()} == {
        file.relative_to(tmp_path / "disk"): data for file, data in contents(tmp_path / "disk").items()
    }


@pytest.mark.parametrize("fault", ["cut", pytest.param("refuse", marks=pytest.mark.slow)])
def test_broken_connections_cost_nothing(
    tmp_path: Path, s3_port: int, bucket: str, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """Every other connection is closed: before a byte, or when the server has done it and nobody heard."""
    path = recorded(tmp_path / "r")
    with Relay(s3_port, lambda n: fault if n % 2 == 0 else "pass") as relay:
        use(monkeypatch, relay)
        done: dict[str, str] = {}
        for _ in range(20):
            try:
                done = actions(ship(path, Store(f"s3://{bucket}", retries=2), last=True))
                break
            except StoreError:
                continue
        relay.fault = lambda _: "pass"
        found = downloaded(f"s3://{bucket}", tmp_path / "copy")

    assert set(done) == {"s0", "s1"}
    assert relay.connections > 1
    assert in_lake(found) == in_recording(path)


def test_an_object_is_sent_again_when_obstore_does_not_try_any_more(
    s3_port: int, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    with Relay(s3_port, lambda n: "refuse" if n < 3 else "pass") as relay:
        use(monkeypatch, relay)
        store = Store(f"s3://{bucket}", retries=1, wait=waits.append)
        store.put("it", b"is there")
        assert store.get("it") == b"is there"
    assert waits == [0.1]


def test_an_outage_of_an_hour_loses_nothing(
    tmp_path: Path, s3_port: int, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the waits asked for. Nothing is deleted on this side; what comes meanwhile is shipped as well."""
    path, notes, waits = recorded(tmp_path / "r", 1), list[str](), list[float]()

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if relay.fault(0) == "pass":
            raise Over
        if len(waits) == 2:
            recorded(path, 2)
        if sum(waits) > 3600:
            relay.fault = lambda _: "pass"

    with Relay(s3_port, lambda _: "refuse") as relay:
        use(monkeypatch, relay)
        shipper = Shipper(
            [path], Store(f"s3://{bucket}", retries=0), host="h", report=pytest.fail, is_last=lambda *_: True
        )
        before = contents(path)
        shipped: list[str] = []
        with pytest.raises(Over):
            for outcome in shipper.follow(notes.append, wait):
                shipped.append(outcome.segment)
        found = downloaded(f"s3://{bucket}", tmp_path / "copy")

    assert shipped == ["s0", "s1"]
    assert waits[:6] == [4, 8, 16, 32, 60, 60]
    assert max(waits) == MOST_S
    assert [note.partition(": ")[0] for note in notes] == [f"s3://{bucket}"] * 2
    assert notes[1].endswith("works again")
    assert contents(path).items() >= before.items()
    assert in_lake(found) == in_recording(path)


@pytest.mark.slow
def test_two_that_ship_at_once_and_one_that_is_killed(tmp_path: Path, s3_port: int, bucket: str) -> None:
    path = recorded(tmp_path / "r", 3)
    with Relay(s3_port, lambda n: "refuse" if n % 5 == 4 else "pass") as relay:
        settings = environment(relay.settings)

        def start(left: int) -> subprocess.Popen[bytes]:
            program = KILLED_AT.replace('"h"', "str(os.getpid())")
            return subprocess.Popen(
                [sys.executable, "-c", program, path, f"s3://{bucket}", str(left)], cwd=ROOT, env=settings
            )

        both = [start(-1), start(11)]
        assert [one.wait() for one in both] == [0, -signal.SIGKILL]
        again = start(-1)
        assert again.wait() == 0
    with pytest.MonkeyPatch.context() as patched, Relay(s3_port, lambda _: "pass") as relay:
        use(patched, relay)
        found = downloaded(f"s3://{bucket}", tmp_path / "copy")

    assert in_lake(found) == in_recording(path)
    assert len({file.parent for file in found.rglob("*.parquet")}) <= 2 * 5


def test_a_store_that_refuses_is_one_line_and_what_was_done_is_told(
    tmp_path: Path, s3_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recorded(tmp_path / "r", 1)
    with Relay(s3_port, lambda _: "pass") as relay:
        use(monkeypatch, relay)
        begun = time.monotonic()
        result = command("ship", path, "--to", "s3://nowhere-to-be-found/lake")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: s3://nowhere-to-be-found/lake: ")
    assert (result.stderr.count("\n"), time.monotonic() - begun < 30) == (1, True)
