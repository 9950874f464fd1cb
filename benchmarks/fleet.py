"""What a fleet's recordings cost in hosts, network, storage and time: `python benchmarks/fleet.py`.

By simulation.py. Prints the tables of SCALE.md; `--write` puts them there. The same seed prints the same bytes.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from simulation import FIGURES, MEAN_S, MINUTES, PEAK, Fleet, Told, merged, simulate

SCALE = Path(__file__).parents[1] / "recorder" / "analytics" / "SCALE.md"
SEED = 20_261_121
FLEETS = {"1 million": Fleet(1_000_000), "1 billion": Fleet(1_000_000_000)}
NOON = 3 * MINUTES + 12 * 60
"""Of the fourth day."""
HOUR = 60
OUTAGES = [(hours, 200, kept) for hours in (0, 1, 12, 72) for kept in (2, 7)] + [(0, 50, 7)]
"""(hours, GB of a host's disk, days after which `recorder prune` deletes)."""
KEPT_DAYS = 90
"""How long the lake keeps a day."""
TABLES = 5
PUTS = TABLES + 2
"""Of a segment: its objects, claim, marker."""
ROUND_TRIP_S, AT_ONCE, LINK_BITS, CORES = 0.02, 64, 10e9, 32
"""Of a machine that asks: a request to the store, how many at once, its network, its cores."""
SPARK = 17
"""Spark's CPU over DuckDB's for the same rows, by spark.py: for gaps of 9.5 million events. Of more it is less."""
QUESTIONS = {
    "time to first token, by model": (False, 10.71, 0.159, True),
    "tokens and failures, by model and hour": (False, 7.77, 0.138, True),
    "gaps, pooled, exact": (True, 1.62, 0.026, True),
    "one stream's events, its segment not known": (True, 6.59, 0.0042, True),
    "one stream's events, its segment known": (True, 6.59, 0.0042, False),
}
"""Whether of events; bytes read a row and CPU µs a row, by ship.py; whether all objects of the day are read."""


def number(value: float, unit: str = "") -> str:
    """Two digits of it, and a size in words."""
    for size, word in ((1e15, " P"), (1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{_short(value / size)}{word}{unit}"
    return f"{_short(value)}{' ' if unit else ''}{unit}"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 99.5 else f"{value:.2g}" if value < 10 else f"{value:.0f}"


def span(seconds: float) -> str:
    for size, word in ((86_400, "days"), (3_600, "h"), (60, "min"), (1, "s")):
        if seconds >= 2 * size or size == 1:
            return f"{_short(seconds / size)} {word}"
    raise AssertionError


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines) + "\n"


def hosts(told: dict[str, Told]) -> str:
    rows: dict[str, list[str]] = {}
    for name, one in told.items():
        fleet, all_of = FLEETS[name], FLEETS[name].hosts / one.hosts
        peak = fleet.streams / 86_400 * PEAK
        lake = sum(map(sum, one.segments))
        written = peak / fleet.hosts * one.events / one.streams * FIGURES.timing
        cells = {
            "streams a second, mean; busiest minute": f"{number(fleet.streams / 86_400)}; {number(peak)}",
            "streams at once, busiest minute": number(peak * MEAN_S),
            "events a day": number(one.events * all_of),
            "hosts": f"{fleet.hosts:,}",
            "a host writes, busiest minute": number(written, "B/s"),
            "a host's shipper, of a core, mean": f"{one.busy_s / one.hosts / 86_400:.1%}",
            "the same, all hosts, cores": number(one.busy_s * all_of / 86_400),
            "to the store, all hosts, mean": number(lake * all_of * 8 / 86_400, "bit/s"),
            "a host to the store, busiest minute": number(one.peak_bits, "bit/s"),
            "disk of a host, two days kept": number(simulate(fleet, seed=SEED, days=4).disk, "B"),
        }
        for row, cell in cells.items():
            rows.setdefault(row, []).append(cell)
    return table(["streams a day", *told], [[row, *cells] for row, cells in rows.items()])


def storage(told: dict[str, Told]) -> str:
    forms = {
        "JSON Lines": FIGURES.full,
        "JSON Lines, without text": FIGURES.timing,
        "JSON Lines, without text, zstd": FIGURES.timing_zstd,
        "Parquet, without text": FIGURES.parquet,
    }
    rows: list[list[str]] = []
    for form, weight in forms.items():
        row = [form]
        for name, one in told.items():
            day = one.events / one.hosts * FLEETS[name].hosts * weight
            row += [number(day, "B"), number(day * 30, "B")]
        rows.append(row)
    return table(["streams a day", *(f"{name}, {span}" for name in told for span in ("a day", "30 days"))], rows)


def objects() -> str:
    rows: list[list[str]] = []
    for name, fleet in FLEETS.items():
        for said, minutes in (
            ("256 MiB or a day", MINUTES),
            ("256 MiB or an hour", 60),
            ("256 MiB or 5 minutes", 5),
        ):
            one = simulate(replace(fleet, rotate_minutes=minutes), seed=SEED)
            all_of = fleet.hosts / one.hosts
            segments = sum(map(len, one.segments)) * all_of
            groups = [merged(sizes) for sizes in one.segments]
            after = sum(group[0] for group in groups) * all_of
            moved = sum(group[2] for group in groups) * all_of
            markers = segments * KEPT_DAYS
            row = (segments, segments * PUTS, after * TABLES, markers * (TABLES + 2) / 1000, markers)
            delay = f"{span(one.delay(0.5) * 60)}; {span(one.delay(0.99) * 60)}"
            cells = [*map(number, row), span(markers * ROUND_TRIP_S), number(moved, "B"), delay]
            rows.append([f"{name}; {said}", *cells])
    head = [
        "streams a day; a segment is over after",
        "segments",
        "PUTs",
        "objects, merged",
        "LISTs of a `compact`",
    ]
    head += ["GETs of it", "these, one by one", "bytes it reads, and puts", "until in the lake, p50; p99"]
    return table(head, rows)


def outages() -> str:
    rows: list[list[str]] = []
    for hours, disk, kept in OUTAGES:
        fleet = replace(FLEETS["1 billion"], rotate_minutes=HOUR, disk=disk * 10**9)
        fleet = replace(fleet, outage=(NOON, hours * HOUR), keep_minutes=kept * MINUTES)
        one = simulate(fleet, seed=SEED, days=8)
        assert one.streams == one.shipped + one.lost
        lost = f"{one.lost / one.streams:.1%}" if one.lost else "none"
        delay = f"{span(one.delay(0.5) * 60)}; {span(max(one.delays) * 60)}"
        size = (number(one.disk, "B"), number(one.backlog, "B"))
        rows.append([f"{hours} h" if hours else "never", f"{disk} GB", f"{kept} days", *size, delay, lost])
    head = ["the store does not answer", "disk of a host", "kept", "used at most", "waiting at most"]
    return table([*head, "until in the lake, p50; most", "lost of 8 days"], rows)


def questions(told: dict[str, Told]) -> str:
    rows: list[list[str]] = []
    for question, (of_events, weight, micros, every) in QUESTIONS.items():
        row = [question]
        for name, one in told.items():
            all_of = FLEETS[name].hosts / one.hosts
            count = (one.events if of_events else one.streams) * all_of
            there = sum(map(len, one.segments)) * all_of
            if not every:
                count, there = count / there, 1
            size, work, opened = count * weight, count * micros / 1e6, there * 2 * ROUND_TRIP_S
            alone = max(size * 8 / LINK_BITS, work / CORES) + opened / min(AT_ONCE, there)
            row += [number(size, "B"), span(work), span(alone), f"{max(1, math.ceil(work * SPARK / 60)):,}"]
        rows.append(row)
    asked = ("read", "CPU", "one machine", "Spark's cores, in a minute")
    head = ["of one day", *(f"{name}: {what}" for name in told for what in asked)]
    return table(head, rows)


def tables() -> dict[str, str]:
    told = {name: simulate(fleet, seed=SEED) for name, fleet in FLEETS.items()}
    return {
        "hosts": hosts(told),
        "storage": storage(told),
        "objects": objects(),
        "outages": outages(),
        "questions": questions(told),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into SCALE.md")
    asked = parser.parse_args()
    for name, text in tables().items():
        print(f"{name}\n\n{text}")
        if asked.write:
            old = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
            SCALE.write_text(old.sub(rf"\g<1>{text}\g<2>", SCALE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
