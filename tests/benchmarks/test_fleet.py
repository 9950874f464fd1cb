"""SCALE.md is what the simulation says, and the simulation loses nothing that it should not."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from recorder.analytics.lake.layout import WRITTEN, Partition, object_name
from recorder.analytics.lake.rewrite import TARGET_BYTES, _groups
from recorder.analytics.lake.state import Holder, State
from recorder.log.sink import ROTATE_BYTES

ROOT = Path(__file__).parents[2]
MODULES = ("fleet", "simulation", "generate")


@pytest.fixture(scope="module")
def fleet() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("fleet")
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def simulation(fleet: ModuleType) -> ModuleType:
    return sys.modules["simulation"]


def test_what_is_not_simulated_is_as_in_the_program(simulation: ModuleType) -> None:
    assert simulation.TARGET_BYTES == TARGET_BYTES
    assert simulation.Fleet(1).rotate_bytes == ROTATE_BYTES


@pytest.mark.slow
def test_the_tables_of_scale_md_are_the_output(fleet: ModuleType) -> None:
    text = fleet.SCALE.read_text("utf-8")
    found = dict(re.findall(r"<!-- (\w+) -->\n(.*?)<!-- end -->", text, re.DOTALL))
    assert found == fleet.tables()


@pytest.mark.parametrize("minutes", [0, 60, 12 * 60])
def test_an_outage_loses_nothing_and_is_caught_up_with(simulation: ModuleType, minutes: int) -> None:
    small = simulation.Fleet(300_000, rotate_minutes=60)
    one = simulation.simulate(replace(small, outage=(600, minutes)), seed=1)

    assert (one.lost, one.waiting) == (0, 0)
    assert one.shipped == one.streams == sum(one.delays.values())
    assert 250_000 < one.streams / one.hosts * small.hosts < 350_000
    assert minutes <= max(one.delays) <= minutes + 75
    assert (one.backlog > 0) == (minutes > 0)


def test_a_full_disk_loses_what_it_has_no_room_for_and_no_more(simulation: ModuleType) -> None:
    one = simulation.simulate(simulation.Fleet(300_000, disk=500_000_000), seed=1)

    assert 0 < one.lost < one.streams
    assert one.shipped + one.lost == one.streams
    assert one.disk <= 500_000_000


def test_what_is_pruned_before_it_was_shipped_is_lost(simulation: ModuleType) -> None:
    away = simulation.Fleet(300_000, rotate_minutes=60, outage=(120, 2 * 24 * 60))
    one, other = (
        simulation.simulate(replace(away, keep_minutes=24 * 60 * days), seed=1, days=3) for days in (1, 4)
    )

    assert (one.shipped + one.lost, other.shipped) == (one.streams, other.streams)
    assert (one.lost > one.streams / 10, other.lost) == (True, 0)


def test_an_uplink_that_is_too_thin_is_seen(simulation: ModuleType) -> None:
    one = simulation.simulate(
        simulation.Fleet(3_000_000, rotate_minutes=60, uplink=10_000, keep_minutes=10**6), seed=1
    )

    assert (one.lost, one.waiting > 0) == (0, True)
    assert one.shipped + one.waiting == one.streams


def test_the_same_seed_says_the_same(simulation: ModuleType) -> None:
    small = simulation.Fleet(100_000)
    one, again, other = (simulation.simulate(small, seed=seed) for seed in (1, 1, 2))

    assert one == again != other


@pytest.mark.parametrize("seed", range(20))
def test_objects_are_merged_as_compact_does(simulation: ModuleType, seed: int) -> None:
    dice = Random(seed)
    sizes = [dice.randrange(1, dice.choice([20, 60, 300]) << 20) for _ in range(dice.randrange(40))]
    partition = Partition("2026-11-21", "h")
    holders = [Holder(name=f"{n:03}", segments=(f"{n:03}",)) for n in range(len(sizes))]
    there = {
        object_name(table, partition, one.name): size if table == "events" else 0
        for one, size in zip(holders, sizes, strict=True) for table in WRITTEN
    }  # fmt: skip
    state = State(
        partition=partition, generation=0, merged=[], holders=holders, unfinished=[], stray=[], sizes=there
    )
    groups = list(_groups(state, TARGET_BYTES))

    joined = sum(map(len, groups))
    moved = sum(there[object_name("events", partition, one.name)] for group in groups for one in group)
    assert simulation.merged(sizes) == (len(sizes) - joined + len(groups), joined, moved)
