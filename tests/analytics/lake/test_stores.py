"""A lake in Azure's store and in Google's: what it is in S3 and on a disk.

`tests/analytics/lake/emulators/install` gets what they need; .ci/run does so.
"""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import ModuleType
from typing import NamedTuple

import pytest

from recorder.analytics.lake.rewrite import compact, forget
from recorder.analytics.lake.store import Store, StoreError
from tests.analytics.lake.emulators import azure, gcs
from tests.analytics.lake.lakes import actions, in_lake, in_recording, ship
from tests.analytics.lake.made import recording
from tests.analytics.lake.s3 import Fault, Relay, environment
from tests.analytics.lake.test_s3 import downloaded, recorded
from tests.analytics.lake.test_ship import KILLED_AT, ROOT
from tests.cli.command import contents
from tests.cli.command import recorder as command

pytestmark = pytest.mark.slow  # a server of theirs takes seconds to start


class Emulator(NamedTuple):
    kind: ModuleType
    port: int

    def new_url(self) -> str:
        """Of a bucket, or container, of its own."""
        name = f"b{secrets.token_hex(4)}"
        self.kind.new_container(self.port, name)
        return f"{self.kind.SCHEME}://{name}"

    def settings(self, relay: Relay | None = None) -> dict[str, str]:
        return self.kind.settings(self.port if relay is None else relay.port)


@pytest.fixture(scope="module", params=[azure, gcs], ids=["azure", "gcs"])
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    with request.param.server() as port:
        yield Emulator(request.param, port)


def use(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


def test_of_many_that_put_where_there_is_none_one_does(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, emulator.settings())
    url, at_once = emulator.new_url(), Barrier(8)

    def put(n: int) -> list[bool]:
        store = Store(url)
        at_once.wait()
        return [store.create(f"_lake/{name}", b"%d" % n) for name in range(20)]

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(put, range(8)))

    assert [sum(mine) for mine in zip(*done, strict=True)] == [1] * 20
    assert [Store(url).get(f"_lake/{name}") for name in range(20)] == [
        b"%d" % [mine[name] for mine in done].index(True) for name in range(20)
    ]


def test_a_lake_in_a_store_is_the_lake_on_a_disk(
    tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, emulator.settings())
    path, url = recorded(tmp_path / "r", 1), f"{emulator.new_url()}/deep/in it"

    assert actions(ship(path, Store(url), last=True)) == {"s0": "shipped"}
    assert actions(ship(path, Store(url), last=True)) == {"s0": "there"}
    ship(path, tmp_path / "disk", last=True)

    found = downloaded(url, tmp_path / "copy")
    assert {file.relative_to(found): data for file, data in contents(found).items()} == {
        file.relative_to(tmp_path / "disk"): data for file, data in contents(tmp_path / "disk").items()
    }


def test_merging_and_forgetting(tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, emulator.settings())
    path, url = recording(tmp_path / "r", seed=7), emulator.new_url()
    ship(path, Store(url), last=True)
    shipped = in_lake(downloaded(url, tmp_path / "shipped"))

    [merged] = compact(Store(url))
    after = in_lake(downloaded(url, tmp_path / "merged"))
    done = forget(Store(url), "who", "me")
    left = in_lake(downloaded(url, tmp_path / "left"))

    assert (merged.objects, merged.objects_after) == (15, 5)
    assert after == shipped
    assert (len(done.streams) > 10, done.left) == (True, 0)
    assert len(left["streams"]) == len(shipped["streams"]) - len(done.streams)


@pytest.mark.parametrize("fault", ["cut", "refuse"])
def test_broken_connections_cost_nothing(
    tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    path, url, done = recorded(tmp_path / "r"), emulator.new_url(), dict[str, str]()
    with Relay(emulator.port, lambda n: fault if n % 2 == 0 else "pass") as relay:
        use(monkeypatch, emulator.settings(relay))
        for _ in range(20):
            try:
                done = actions(ship(path, Store(url, retries=2), last=True))
                break
            except StoreError:
                continue
        relay.fault = lambda _: "pass"
        found = downloaded(url, tmp_path / "copy")

    assert set(done) == {"s0", "s1"}
    assert relay.connections > 1
    assert in_lake(found) == in_recording(path)


def test_two_that_ship_at_once_and_one_that_is_killed(
    tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, url = recorded(tmp_path / "r", 3), emulator.new_url()

    def start(left: int) -> subprocess.Popen[bytes]:
        program = KILLED_AT.replace('"h"', "str(os.getpid())")
        arguments = [sys.executable, "-c", program, path, url, str(left)]
        return subprocess.Popen(arguments, cwd=ROOT, env=environment(emulator.settings()))

    both = [start(-1), start(11)]
    assert [one.wait() for one in both] == [0, -signal.SIGKILL]
    assert start(-1).wait() == 0
    use(monkeypatch, emulator.settings())
    found = downloaded(url, tmp_path / "copy")

    assert in_lake(found) == in_recording(path)


def test_a_store_that_refuses_is_one_line(
    tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, emulator.settings())
    url, begun = f"{emulator.kind.SCHEME}://nowhere-to-be-found/lake", time.monotonic()

    result = command("ship", recorded(tmp_path / "r", 1), "--to", url)

    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {url}: ")
    assert (result.stderr.count("\n"), time.monotonic() - begun < 30) == (1, True)
