"""A fleet that records and ships, on paper; fleet.py asks it.

A day is told minute by minute for some hosts, which stand for all: streams begin by a daily profile with bursts,
their lengths are those of generate.py, segments are over by size and age, a shipper takes them one after the
other, the store does not answer for some hours, `recorder prune` deletes by age. What a stream weighs and costs is
in `FIGURES`, measured by ship.py. All of it is drawn from a seed.

Simpler than it is: a stream's lines are written in the minute in which it begins, and a minute's streams are a run
of a pool of 100,000.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from typing import NamedTuple

from generate import DELTA_TOKENS, MODELS

MIB, MINUTES = 1 << 20, 24 * 60
TARGET_BYTES = 256 * MIB
"""`recorder lake compact`'s own."""
SAMPLE = 3
"""Hosts that are told; the others are like them."""
POOL = 100_000


class Figures(NamedTuple):
    """What was measured. Bytes an event hold the share of a stream's other lines."""

    full: float = 293.0
    full_zstd: float = 18.6
    timing: float = 188.4
    timing_zstd: float = 17.1
    parquet_full: float = 23.9
    parquet: float = 22.8
    parquet_segment: int = 23_000
    ship_event_us: float = 4.45
    ship_segment_s: float = 0.36


FIGURES = Figures()


@dataclass(frozen=True)
class Fleet:
    """`at_once`: streams that a host carries in the busiest minutes. `writers`: processes that record, a host.
    `outage`: (minute, minutes) in which the store does not answer. `disk`: bytes for recordings, a host. `uplink`:
    bits a second that a host's shipper may use."""

    streams: int
    at_once: int = 200
    writers: int = 4
    rotate_bytes: int = 256 * MIB
    rotate_minutes: int = MINUTES
    outage: tuple[int, int] = (0, 0)
    keep_minutes: int = 2 * MINUTES
    disk: int = 200_000_000_000
    uplink: float = 1e9
    capture: str = "timing"

    @property
    def hosts(self) -> int:
        return max(2, math.ceil(self.streams / 86_400 * PEAK * MEAN_S / self.at_once))


PROFILE = [1 + 0.8 * math.sin((minute / MINUTES - 0.375) * 2 * math.pi) for minute in range(MINUTES)]
"""Of a minute, times the mean: a trough at 3, a peak at 15 o'clock."""
BURST, BURST_SHARE, BURST_MINUTES = 1.5, 0.03, 15
PEAK = max(PROFILE) * BURST


@dataclass
class Segment:
    begun: int
    events: int = 0
    streams: list[tuple[int, int]] = field(default_factory=list)
    """(minute, how many)."""
    size: int = 0
    shipped: bool = False

    @property
    def lake_bytes(self) -> int:
        return FIGURES.parquet_segment + int(FIGURES.parquet * self.events)


@dataclass
class Told:
    """What happened on the hosts that were told. Bytes of Parquet without text; delays in minutes, by streams."""

    hosts: int
    streams: int = 0
    events: int = 0
    lost: int = 0
    shipped: int = 0
    waiting: int = 0
    segments: list[list[int]] = field(default_factory=list)
    delays: Counter[int] = field(default_factory=Counter)
    busy_s: float = 0
    disk: int = 0
    backlog: int = 0
    peak_bits: float = 0

    def delay(self, share: float) -> int:
        """Within which this share of the streams is in the lake, minutes."""
        left = share * sum(self.delays.values())
        for minutes, count in sorted(self.delays.items()):
            left -= count
            if left <= 0:
                return minutes
        return 0


def _drawn() -> list[tuple[int, float]]:
    """(events, seconds) of streams."""
    dice = Random("streams")
    mean = sum(DELTA_TOKENS) / len(DELTA_TOKENS)
    made: list[tuple[int, float]] = []
    for model in dice.choices(MODELS, [model.share for model in MODELS], k=POOL):
        tokens = max(2, min(int(model.tokens * math.exp(model.tokens_sigma * dice.gauss(0, 1))), 60_000))
        seconds = math.exp(model.mu + model.sigma * dice.gauss(0, 1)) + tokens / model.rate
        made.append((8 + int(tokens / mean), seconds))
    return made


_POOL = _drawn()
_EVENTS = [0, *accumulate(events for events, _ in _POOL)]
MEAN_S = math.fsum(seconds for _, seconds in _POOL) / POOL
"""How long a stream takes."""


def _events(dice: Random, streams: int) -> int:
    whole, rest = divmod(streams, POOL)
    first = dice.randrange(POOL - rest)
    return whole * _EVENTS[-1] + _EVENTS[first + rest] - _EVENTS[first]


class Host:
    """One host: its writers, its disk, its shipper."""

    def __init__(self, fleet: Fleet, told: Told, dice: Random) -> None:
        self.fleet, self.told, self.dice = fleet, told, dice
        self.open: list[Segment | None] = [None] * fleet.writers
        self.queue: deque[Segment] = deque()
        self.kept: deque[Segment] = deque()
        self.disk = 0
        self.done_s = 0.0
        """What the shipper has put into the first of the queue."""
        self.line = FIGURES.timing if fleet.capture == "timing" else FIGURES.full

    def record(self, minute: int, streams: int) -> None:
        each, more = divmod(streams, self.fleet.writers)
        for n in range(self.fleet.writers):
            count = each + (n < more)
            events = _events(self.dice, count) if count else 0
            self.told.streams += count
            self.told.events += events
            size = int(events * self.line)
            if self.disk + size > self.fleet.disk:
                self.told.lost += count
            elif count:
                self._write(n, minute, count, events, size)
            self._rotate(n, minute)

    def _write(self, n: int, minute: int, count: int, events: int, size: int) -> None:
        segment = self.open[n] = self.open[n] or Segment(
            minute - self.dice.randrange(self.fleet.rotate_minutes) * (minute == 0)
        )
        segment.events += events
        segment.streams.append((minute, count))
        segment.size += size
        self.disk += size

    def _rotate(self, n: int, minute: int) -> None:
        """Over by size, or by age."""
        segment = self.open[n]
        age = segment and minute - segment.begun >= self.fleet.rotate_minutes
        if segment and (age or segment.size >= self.fleet.rotate_bytes):
            self.queue.append(segment)
            self.kept.append(segment)
            self.open[n] = None

    def close(self) -> None:
        """The processes end."""
        for n, segment in enumerate(self.open):
            if segment:
                self.queue.append(segment)
                self.kept.append(segment)
                self.open[n] = None

    def ship(self, minute: int, *, answers: bool) -> None:
        left, bits = 60.0 * answers, 0.0
        while self.queue and left > 0:
            segment = self.queue[0]
            work = FIGURES.ship_segment_s + segment.events * FIGURES.ship_event_us / 1e6
            needs = work + segment.lake_bytes * 8 / self.fleet.uplink
            if needs - self.done_s > left:
                self.done_s += left
                break
            left -= needs - self.done_s
            self.done_s = 0
            self._shipped(self.queue.popleft(), minute, work)
            bits += segment.lake_bytes * 8
        self.told.peak_bits = max(self.told.peak_bits, bits / 60)
        self.told.backlog = max(self.told.backlog, sum(one.size for one in self.queue))

    def _shipped(self, segment: Segment, minute: int, work: float) -> None:
        segment.shipped = True
        self.told.busy_s += work
        self.told.segments[-1].append(segment.lake_bytes)
        for ended, count in segment.streams:
            self.told.shipped += count
            self.told.delays[minute - ended] += count

    def prune(self, minute: int) -> None:
        """By age alone, as `recorder prune` does."""
        self.told.disk = max(self.told.disk, self.disk)
        while self.kept and minute - self.kept[0].streams[-1][0] > self.fleet.keep_minutes:
            segment = self.kept.popleft()
            self.disk -= segment.size
            if not segment.shipped:
                self.queue.remove(segment)
                self.done_s = 0
                self.told.lost += sum(count for _, count in segment.streams)


def simulate(fleet: Fleet, *, seed: int, days: int = 1) -> Told:
    """Some days, and as long as it takes until nothing waits any more, a week at most."""
    dice = Random(f"{seed}/{fleet.streams}")
    hosts = min(SAMPLE, fleet.hosts)
    told = Told(hosts)
    bursts, each = _bursts(dice, days), fleet.streams / fleet.hosts / MINUTES
    for n in range(hosts):
        told.segments.append([])
        host = Host(fleet, told, Random(f"{seed}/{n}"))
        for minute in range((days + 7) * MINUTES):
            if minute < days * MINUTES:
                mean = each * PROFILE[minute % MINUTES] * bursts[minute]
                host.record(minute, max(0, round(host.dice.gauss(mean, math.sqrt(mean)))))
            elif minute == days * MINUTES:
                host.close()
            first, length = fleet.outage
            host.ship(minute, answers=not first <= minute < first + length)
            host.prune(minute)
            if minute > days * MINUTES and not host.queue:
                break
        told.waiting += sum(count for one in host.queue for _, count in one.streams)
    return told


def _bursts(dice: Random, days: int) -> list[float]:
    """For all hosts alike, with a mean of 1."""
    factor = [1.0] * (days * MINUTES)
    for minute in range(len(factor)):
        if dice.random() < BURST_SHARE / BURST_MINUTES:
            factor[minute : minute + BURST_MINUTES] = [BURST] * len(factor[minute : minute + BURST_MINUTES])
    mean = sum(factor) / len(factor)
    return [one / mean for one in factor]


def merged(sizes: list[int]) -> tuple[int, int, int]:
    """Of a host's day: objects (of a table) after merging, as `recorder lake compact` groups them, those that are
    read, and their bytes."""
    after, read, moved = 0, 0, 0
    group: list[float] = []
    for size in [*(one for one in sizes if one < TARGET_BYTES / 2), math.inf]:
        if sum(group) + size > TARGET_BYTES:
            if len(group) > 1:
                read += len(group)
                moved += int(sum(group))
            after += min(1, len(group)) if len(group) > 1 else len(group)
            group = []
        group.append(size)
    return after + sum(one >= TARGET_BYTES / 2 for one in sizes), read, moved
