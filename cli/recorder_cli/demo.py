"""`recorder demo`."""

from __future__ import annotations

import shlex
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .errors import Exit, Failure
from .output import Column, print_rows, write
from .text import count, seconds

if TYPE_CHECKING:
    from recorder.analytics.stats import Spread
    from recorder.demo import Check, Run

_OUT = "Where to record.  [default: recorder-demo/<UTC time>]"
_SHOWN = ("headers_s", "ttft_s", "ttft_text_s", "gap_s", "gap_max_s", "output_tps")
_SPREADS = (
    Column("metric"),
    Column("n", right=True),
    *(Column(name, seconds, right=True) for name in ("p50", "p95", "p99", "max")),
    Column("note"),
)


@click.command
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help=_OUT)
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), default=1.0, hidden=True)
def demo(out: Path | None, speed: float) -> Exit:
    """See it work: record, analyse and replay, offline.

    Plays packaged recordings from a server on the loopback to the real SDK: many streams at once, sync and
    async, broken ones and retries among them. Records them, prints where the time went, replays all of it
    from the new recording, and compares what the application saw. Needs no API key and no network; takes
    about ten seconds. Exits with 1 when live and replay differ.

    \b
    recorder demo
    recorder demo --out /tmp/demo
    """
    directory = _new_directory(out)
    live = _record(directory / "live", speed)
    _analyse(live)
    identical = _replay(live, directory / "replayed")
    _what_next(live, directory)
    return Exit.OK if identical else Exit.CHECK_FAILED


def _new_directory(out: Path | None) -> Path:
    """Raises Failure for one with recordings in it: the new ones would mix with them. Raises OSError."""
    from recorder.log.files import is_segment

    directory = out or Path("recorder-demo", datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"))
    if any(map(is_segment, directory.rglob("*"))):
        raise Failure(f"{directory}: has recordings in it already; name another directory", Exit.USAGE)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _record(directory: Path, speed: float) -> Run:
    write("1. Record: a server on the loopback plays packaged recordings in their own time;")
    write("   the real SDK reads them, all calls at once, with a tap on it\n")
    from recorder.demo import calls_of, fixtures, record

    from .demo_screen import screen

    with screen(calls_of(fixtures())) as progress:
        live = record(directory, speed=speed, progress=progress)
    events = sum(len(answer.events) for answer in live.answers)
    write(f"\n   {count(len(live.answers), 'call')}, {count(events, 'SDK event')}, {live.seconds:.1f} s")
    return live


def _analyse(live: Run) -> None:
    from recorder.analytics.report import Tables
    from recorder.analytics.stats import stats
    from recorder.log.reader import find_segments

    from .demo_screen import print_streams
    from .errors import warn
    from .histogram import histogram

    write("\n2. Analyse: where the time went, attempt by attempt\n")
    print_streams(live.streams())
    tables = Tables(find_segments(live.recording), report=warn)
    spreads = {spread.metric: spread for spread in stats(tables).spreads if spread.group is None}
    write("\n   All streams together\n")
    print_rows([_spread_row(spreads[metric]) for metric in _SHOWN if metric in spreads], _SPREADS)
    gaps = tables.query("SELECT 1000 * gap_s FROM events WHERE gap_s IS NOT NULL").rows
    write("\n   gap_s: from one output to the next in the same block, on a logarithmic scale\n")
    for line in histogram([gap for (gap,) in gaps], "ms"):
        write(f"   {line}")


def _spread_row(spread: Spread) -> dict[str, object]:
    return {name: getattr(spread, name) for name in ("metric", "n", "p50", "p95", "p99", "max", "note")}


def _replay(live: Run, directory: Path) -> bool:
    from recorder.demo import compare, replay

    write("\n3. Replay: the same calls, answered by what was just recorded; then compare\n")
    replayed = replay(live, directory)
    checks = compare(live, replayed)
    for check in checks:
        _print_check(check)
    write(f"\n   {live.seconds:.1f} s live, {replayed.seconds:.1f} s in replay")
    return not any(check.differences for check in checks)


def _print_check(check: Check) -> None:
    write(f"   {check.name:<28} {f'{check.same}/{check.of}':>7} identical")
    for difference in check.differences:
        write(click.style(f"     {difference}", fg="red"))


def _what_next(live: Run, directory: Path) -> None:
    spoken = next(stream for (name, _), stream in live.streams().items() if name == "text, sync stream")
    path = shlex.quote(str(live.recording))
    program = _program()
    write(f"\nThe files are in {directory}: live and replayed. Next:\n")
    write(f"  {program} ls {path}")
    write(f"  {program} play {path} {spoken.id[:8]}")
    write(f'  {program} sql "FROM stalls" {path}')


def _program() -> str:
    """How this command was called, where it is not what the name alone would run."""
    found, called = shutil.which("recorder"), Path(sys.argv[0])
    if found is None and called.name in ("recorder", "sse-recorder") and called.is_file():
        return shlex.quote(str(called))
    return "recorder"
