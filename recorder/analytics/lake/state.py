"""What is in a lake: which objects hold the rows of which segments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from recorder.analytics.export import TABLES

from .layout import (
    ROOT,
    Generation,
    Merged,
    Partition,
    Shipped,
    object_name,
)
from .store import Object, Store

MERGED = "merged-"
"""What the names of merged objects begin with. No segment of ours is called so."""


class Holder(Struct, frozen=True, kw_only=True):
    """Objects of one name, one a table, that hold the rows of `segments`."""

    name: str
    segments: tuple[str, ...]


class State(Struct, kw_only=True):
    """A partition. `generation`: how often it was rewritten; `holders`: what counts; `unfinished`: objects of
    segments that were not shipped whole; `stray`: objects that do not count and never will."""

    partition: Partition
    generation: int
    merged: list[Merged]
    holders: list[Holder]
    unfinished: list[Object]
    stray: list[Object]
    sizes: dict[str, int]
    """Of the objects there, by name."""


def latest(store: Store, partition: Partition) -> Generation | None:
    """The partition as it was rewritten last; None where it never was. Raises StoreError."""
    names = [one.name for one in store.list(f"_lake/{partition.path}")]
    for name in reversed(names):
        if (content := store.get(name)) is not None:
            return msgspec.json.decode(content, type=Generation)
    return None


def markers(store: Store) -> list[Shipped]:
    """Of every segment in the lake, by day. Raises StoreError."""
    found: list[Shipped] = []
    for one in store.list(ROOT):
        if one.name.endswith(".json") and one.name.count("/") == 2:
            content = store.get(one.name)
            if content is not None:
                found.append(msgspec.json.decode(content, type=Shipped))
    return found


def states(store: Store) -> Iterator[State]:
    """Every partition that has objects. Raises StoreError."""
    shipped: dict[Partition, set[str]] = {}
    for marker in markers(store):
        shipped.setdefault(Partition(marker.day, marker.host), set()).add(marker.segment)
    there: dict[Partition, list[Object]] = {}
    for table in TABLES:
        for one in store.list(table):
            there.setdefault(_partition_of(one.name), []).append(one)
    for partition in sorted(there.keys() | shipped.keys()):
        yield _state(store, partition, shipped.get(partition, set()), there.get(partition, []))


def _state(store: Store, partition: Partition, shipped: set[str], there: Iterable[Object]) -> State:
    generation = latest(store, partition) or Generation(number=0, merged=[])
    inside = {segment for merged in generation.merged for segment in merged.segments}
    holders = [Holder(name=one.name, segments=tuple(one.segments)) for one in generation.merged]
    holders += [Holder(name=segment, segments=(segment,)) for segment in sorted(shipped - inside)]
    counting = {holder.name for holder in holders}
    state = State(
        partition=partition, generation=generation.number, merged=generation.merged, holders=holders,
        unfinished=[], stray=[], sizes={},
    )  # fmt: skip
    for one in there:
        state.sizes[one.name] = one.size
        name = one.name.rpartition("/")[2].removesuffix(".parquet")
        if name in counting:
            continue
        if name in inside or (name.startswith(MERGED) and _number(name) <= generation.number):
            state.stray.append(one)
        elif not name.startswith(MERGED):
            state.unfinished.append(one)
    return state


def _number(name: str) -> int:
    """The generation that a merged object was made for. One of a later generation may come to count yet."""
    return int(name.removeprefix(MERGED).partition("-")[0])


def _partition_of(name: str) -> Partition:
    _, day, host, _ = name.split("/")
    return Partition(day.removeprefix("day="), host.removeprefix("host="))


def objects(state: State, table: str) -> list[str]:
    """The names of the objects that hold a table."""
    return [object_name(table, state.partition, holder.name) for holder in state.holders]
