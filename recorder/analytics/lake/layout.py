"""What the objects of a lake are called, and what is in those that are no tables.

    TABLE/day=2026-11-21/host=web-1/NAME.parquet     rows; NAME is a segment's id, or what several were merged into
    _lake/day=2026-11-21/SEGMENT.claim               where a segment goes: whoever comes first says it
    _lake/day=2026-11-21/SEGMENT.json                the segment is there, whole: written last
    _lake/day=2026-11-21/host=web-1/00000001.json    the partition was rewritten: what stands for which segments

Names that begin with an underscore are passed over by Hive, Spark, Trino and the like.
"""

from __future__ import annotations

import re
import time

from msgspec import Struct

from recorder.analytics.export import TABLES, Capture

ROOT = "_lake"
WRITTEN = ("events", "blocks", "stalls", "streams", "calls")
"""The order in which a segment's objects are written: who sees a stream sees its events."""
assert set(WRITTEN) == set(TABLES)
_SAFE = re.compile(r"[A-Za-z0-9._-]{1,128}")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


class Partition(Struct, frozen=True, order=True):
    """`day`: 2026-11-21, UTC. `host`: as it stands in names, with nothing in it that a path could take amiss."""

    day: str
    host: str

    @property
    def path(self) -> str:
        return f"day={self.day}/host={self.host}"


class Written(Struct, frozen=True):
    """An object with rows: how many, and its size in bytes."""

    rows: int
    bytes: int


class Claim(Struct, frozen=True, kw_only=True):
    """Where a segment goes, and with what: equal for all who ship it."""

    segment: str
    host: str
    capture: Capture


class Shipped(Struct, kw_only=True):
    """A segment that is in the lake. `open`: streams that had not ended with it, and the segment in which each
    began: they are with the segment that they ended in. `size`: bytes of the segment, plain."""

    segment: str
    day: str
    host: str
    capture: Capture
    recorder: str
    size: int
    sealed: bool
    tables: dict[str, Written]
    open: dict[str, str] = {}


class Merged(Struct, kw_only=True):
    """Objects `NAME.parquet` that hold the rows of some segments."""

    name: str
    segments: list[str]
    tables: dict[str, Written]


class Generation(Struct, kw_only=True):
    """A partition as it was rewritten: what holds which segments. A segment in none of them has its own
    objects."""

    number: int
    merged: list[Merged]


def day_of(wall_ns: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(wall_ns // 1_000_000_000))


def host_of(name: str) -> str:
    """A host's name as it stands in the names of objects."""
    return _UNSAFE.sub("_", name)[:128].lstrip("._") or "unknown"


def checked(segment: str) -> str:
    """The id of a segment, which comes from a file, as a part of a name. Raises ValueError."""
    if not _SAFE.fullmatch(segment) or segment.startswith("."):
        raise ValueError(f"{segment!r} is no id of a segment")
    return segment


def claim_name(day: str, segment: str) -> str:
    return f"{ROOT}/day={day}/{segment}.claim"


def marker_name(day: str, segment: str) -> str:
    return f"{ROOT}/day={day}/{segment}.json"


def generation_name(partition: Partition, number: int) -> str:
    return f"{ROOT}/{partition.path}/{number:08}.json"


def object_name(table: str, partition: Partition, name: str) -> str:
    return f"{table}/{partition.path}/{name}.parquet"
