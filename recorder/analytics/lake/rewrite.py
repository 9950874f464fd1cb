"""Objects of a lake written anew: small ones merged, or without some streams.

New objects are there before they count, and count from the moment in which a generation says so, which is put
where there is none: of two that rewrite a partition at once one wins, and the other takes back what it wrote.
What no longer counts is deleted after that. So whenever it is cut short nothing is missing, and the next run
clears away what it left.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from msgspec import Struct

from recorder.analytics.attach import new_connection
from recorder.analytics.dialects import LATEST_CALL
from recorder.analytics.quoting import literal

from .layout import WRITTEN, Generation, Merged, Partition, Written, generation_name, marker_name, object_name
from .rows import ORDER
from .state import MERGED, Holder, State, markers, states
from .store import NoObject, Store

TARGET_BYTES = 256 << 20
"""Of the objects that small ones are merged to, all tables together."""


class Compacted(Struct, frozen=True, kw_only=True):
    """A partition: its objects and their bytes, before and after. `conflict`: somebody else rewrote it
    meanwhile."""

    partition: Partition
    objects: int
    bytes: int
    objects_after: int
    bytes_after: int
    conflict: bool = False


class Forgotten(Struct, frozen=True, kw_only=True):
    """Rows that were taken out of a table of a partition, and the objects that were written without them."""

    partition: Partition
    table: str
    rows: int
    objects: int


class Forgetting(Struct, kw_only=True):
    """`streams`: those with the tag. `unfinished`: partitions with segments that are not shipped whole, which may
    hold more; `conflicts`: partitions that somebody else rewrote meanwhile. `left`: rows found afterwards, when
    all was read again: None after a dry run. `writing`: files on a disk that are being written."""

    streams: list[str]
    removed: list[Forgotten]
    unfinished: list[Partition]
    conflicts: list[Partition]
    left: int | None = None
    writing: int = 0


def compact(store: Store, *, target_bytes: int = TARGET_BYTES, dry_run: bool = False) -> Iterator[Compacted]:
    """Merge small objects, partition by partition, and clear away what was left. Raises StoreError."""
    if not dry_run:
        store.sweep()
    for state in states(store):
        groups = list(_groups(state, target_bytes))
        there, size = len(state.sizes), sum(state.sizes.values())
        conflict = False
        if not dry_run:
            conflict = bool(groups) and not _rewrite(store, state, groups, _merge)
            store.delete(one.name for one in state.stray)
        joined = sum(len(group) - 1 for group in groups) * len(WRITTEN)
        after = there if conflict else there - joined - len(state.stray)
        size_after = size
        if not dry_run and not conflict and (groups or state.stray):
            size_after = sum(
                one.size for table in WRITTEN for one in store.list(f"{table}/{state.partition.path}")
            )
        yield Compacted(
            partition=state.partition, objects=there, bytes=size, objects_after=after, bytes_after=size_after,
            conflict=conflict,
        )  # fmt: skip


def forget(store: Store, tag: str, value: str, *, dry_run: bool = False) -> Forgetting:
    """Take every stream with that tag out of every object, and look again. Raises StoreError."""
    found = list(states(store))
    streams = _tagged(store, found, tag, value)
    done = Forgetting(
        streams=sorted(streams),
        removed=[],
        unfinished=[state.partition for state in found if state.unfinished],
        conflicts=[],
    )
    for state in found:
        _forget_in(store, state, streams, done, dry_run=dry_run)
    if not dry_run:
        _forget_open(store, streams)
        done.writing = store.sweep()
        after = list(states(store))
        done.left = _count(store, after, streams) + len(_tagged(store, after, tag, value))
    return done


def _forget_in(store: Store, state: State, streams: Collection[str], done: Forgetting, *, dry_run: bool) -> None:
    rows: dict[str, int] = dict.fromkeys(WRITTEN, 0)
    touched: list[list[Holder]] = []
    reader = _Reader(store)
    for holder in state.holders if streams else ():
        counts = _counts(reader, state, holder, streams)
        if any(counts.values()):
            touched.append([holder])
            rows = {table: rows[table] + counts[table] for table in WRITTEN}
    if not dry_run:
        if touched and not _rewrite(store, state, touched, lambda table: _without(table, streams)):
            done.conflicts.append(state.partition)
            return
        store.delete(one.name for one in state.stray)
    done.removed += [
        Forgotten(partition=state.partition, table=table, rows=rows[table], objects=len(touched))
        for table in reversed(WRITTEN)
        if rows[table]
    ]


def _groups(state: State, target_bytes: int) -> Iterator[list[Holder]]:
    """Holders that are merged together: small ones, up to the target."""
    group: list[Holder] = []
    size = 0
    for holder in state.holders:
        own = sum(state.sizes.get(object_name(table, state.partition, holder.name), 0) for table in WRITTEN)
        if own >= target_bytes // 2:
            continue
        if size + own > target_bytes:
            if len(group) > 1:
                yield group
            group, size = [], 0
        group.append(holder)
        size += own
    if len(group) > 1:
        yield group


_Query = Callable[[str], str]
"""What stands behind `FROM rows` for a table."""


def _merge(table: str) -> str:
    return f"QUALIFY {LATEST_CALL}" if table == "calls" else ""


def _without(table: str, streams: Collection[str]) -> str:
    return f"WHERE NOT ({_of(table, streams)})"


def _of(table: str, streams: Collection[str]) -> str:
    """Whether a row is of one of the streams."""
    listed = f"[{', '.join(map(literal, sorted(streams)))}]::VARCHAR[]"
    also = f" OR list_has_any(streams, {listed})" if table == "calls" else ""
    return f"list_contains({listed}, stream){also}"


def _rewrite(store: Store, state: State, groups: Sequence[Sequence[Holder]], query: _Query) -> bool:
    """Write the rows of each group anew and let them count; False, and nothing is changed, where somebody else
    did so in between."""
    number = state.generation + 1
    merged: list[Merged] = []
    names: list[str] = []
    replaced = {holder.name for group in groups for holder in group}
    try:
        for group in groups:
            name = f"{MERGED}{number:08}-{secrets.token_hex(4)}"
            names.append(name)
            segments = [segment for holder in group for segment in holder.segments]
            tables = _write(store, state.partition, [holder.name for holder in group], name, query)
            merged.append(Merged(name=name, segments=segments, tables=tables))
    except NoObject:  # somebody else rewrote it, and deleted what is being read
        _delete(store, state.partition, names)
        return False
    kept = [one for one in state.merged if one.name not in replaced]
    generation = Generation(number=number, merged=[*kept, *merged])
    if not store.create(generation_name(state.partition, number), msgspec.json.encode(generation)):
        content = store.get(generation_name(state.partition, number))
        if content != msgspec.json.encode(generation):  # else it is ours: an answer was lost
            _delete(store, state.partition, names)
            return False
    _delete(store, state.partition, sorted(replaced))
    return True


def _delete(store: Store, partition: Partition, names: Iterable[str]) -> None:
    for name in names:
        store.delete(object_name(table, partition, name) for table in reversed(WRITTEN))


def _write(
    store: Store, partition: Partition, names: Sequence[str], name: str, query: _Query
) -> dict[str, Written]:
    """Objects with the rows of others, table by table. Raises NoObject where one of those is gone."""
    tables: dict[str, Written] = {}
    reader = _Reader(store)
    for table in WRITTEN:
        with reader.rows(table, partition, names) as directory:
            file = directory / "new.parquet"
            copy = f"SELECT * FROM rows {query(table)} ORDER BY {ORDER[table]}"  # noqa: S608 - names of ours
            [(rows,)] = reader.connection.execute(
                f"COPY ({copy}) TO {literal(str(file))} (FORMAT parquet, COMPRESSION zstd)"
            ).fetchall()
            store.put(object_name(table, partition, name), file)
            tables[table] = Written(rows, file.stat().st_size)
    return tables


class _Reader:
    """Objects of a table, here for a while, as the view `rows`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.connection = new_connection()

    @contextmanager
    def rows(self, table: str, partition: Partition, names: Sequence[str]) -> Generator[Path]:
        """Gives a directory for what is made of them. Raises NoObject."""
        with TemporaryDirectory(prefix="recorder-") as directory:
            files = [Path(directory, f"{n}.parquet") for n in range(len(names))]
            for name, file in zip(names, files, strict=True):
                self._store.fetch(object_name(table, partition, name), file)
            self.connection.read_parquet([str(file) for file in files], union_by_name=True).create_view("rows")
            yield Path(directory)


def _tagged(store: Store, found: Iterable[State], tag: str, value: str) -> set[str]:
    """The streams with a tag."""
    streams: set[str] = set()
    reader = _Reader(store)
    for state in found:
        for table, column in (("streams", "[stream]"), ("calls", "streams")):
            for holder in state.holders:
                with reader.rows(table, state.partition, [holder.name]):
                    query = f"SELECT unnest({column}) FROM rows WHERE tags[?] = ?"  # noqa: S608 - names of ours
                    rows = reader.connection.execute(query, [tag, value]).fetchall()
                    streams.update(stream for (stream,) in rows)
    return streams


def _counts(reader: _Reader, state: State, holder: Holder, streams: Collection[str]) -> dict[str, int]:
    """How many rows of some streams each table has."""
    counts: dict[str, int] = {}
    for table in WRITTEN:
        with reader.rows(table, state.partition, [holder.name]):
            query = f"SELECT count(*) FROM rows WHERE {_of(table, streams)}"  # noqa: S608 - names of ours
            [(counts[table],)] = reader.connection.execute(query).fetchall()
    return counts


def _count(store: Store, found: Iterable[State], streams: Collection[str]) -> int:
    reader = _Reader(store)
    counts = [_counts(reader, state, holder, streams) for state in found for holder in state.holders]
    return sum(sum(one.values()) for one in counts)


def _forget_open(store: Store, streams: Collection[str]) -> None:
    """Out of the markers of segments that they went on from."""
    for marker in markers(store):
        if not marker.open.keys().isdisjoint(streams):
            marker.open = {stream: began for stream, began in marker.open.items() if stream not in streams}
            store.put(marker_name(marker.day, marker.segment), msgspec.json.encode(marker))
