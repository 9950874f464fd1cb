"""What the four commands of the server have in common: their options, and the lines that they end with."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

import click

from .errors import Exit, Failure, note
from .text import count, seconds

if TYPE_CHECKING:
    from recorder.replayer.options import ReplayOptions
    from recorder.replayer.session import Replay
    from recorder.server.journal import Journal, Streams
    from recorder.server.serving import Recording
    from recorder.tap.middleware import Tap

Command = TypeVar("Command", bound=Callable[..., Any])
_PATH = click.Path(path_type=Path)
_SHOWN = 3
PROGRAM: dict[str, Any] = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""The settings of a command that is given another one: its options are not ours."""


def program_argument(command: Command) -> Command:
    return click.argument("command", metavar="-- COMMAND...", nargs=-1, required=True)(command)


def out_option(command: Command) -> Command:
    text = "Directory, or .jsonl file, to record to."
    return click.option(
        "-o", "--out", type=_PATH, default="recordings", show_default=True, metavar="DIR", help=text
    )(command)


def upstream_option(command: Command) -> Command:
    text = "Where requests go.  [default: $ANTHROPIC_BASE_URL, or https://api.anthropic.com]"
    return click.option("--upstream", metavar="URL", help=text)(command)


def record_options(command: Command) -> Command:
    """What is recorded, and of whom."""
    capture = "timing: no prompt, no answer, no free text; every metric stays exact."
    sample = "The share of calls that is recorded, from 0 to 1; the others are passed on alike."
    otlp = "An OpenTelemetry collector that is sent metrics of the calls: http://127.0.0.1:4318."
    for option in (
        click.option("--otlp", metavar="URL", help=otlp),
        click.option("--sample", type=click.FloatRange(0, 1), default=1.0, metavar="SHARE", help=sample),
        click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="Written with every request."),
        click.option("--capture", type=click.Choice(["full", "timing"]), default="full", help=capture),
        upstream_option,
    ):
        command = option(command)
    return command


def replay_options(command: Command) -> Command:
    """How recorded streams are served."""
    for option in (
        click.option(
            "--fault", metavar="FAULT", help="What goes wrong on purpose: a name of the standard ones, or a text."
        ),
        click.option("--ignore", multiple=True, metavar="FIELD", help="A field of the body that is not compared."),
        click.option(
            "--idle-limit", type=click.FloatRange(min=0), metavar="S", help="Wait no longer than S seconds."
        ),
        click.option(
            "--speed",
            type=click.FloatRange(min=0, min_open=True),
            default=1.0,
            metavar="X",
            help="X times as fast.",
        ),
        click.option(
            "--timing",
            type=click.Choice(["instant", "ordered", "recorded"]),
            default="instant",
            show_default=True,
            help="When each chunk is sent.",
        ),
    ):
        command = option(command)
    return command


def listen_options(command: Command) -> Command:
    """Where a server listens, and for whom."""
    wanted = "What clients have to send as x-recorder-token; needed where others can reach the host."
    grace = "Seconds that what is being answered may go on when the server is stopped."
    for option in (
        click.option(
            "--grace", type=click.FloatRange(min=0), default=30.0, show_default=True, metavar="S", help=grace
        ),
        click.option("--token", envvar="RECORDER_TOKEN", show_envvar=True, metavar="TOKEN", help=wanted),
        click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Where to listen."),
        click.option(
            "--port",
            type=click.IntRange(0, 65535),
            default=0,
            metavar="N",
            help="[default: a free one, which is printed]",
        ),
    ):
        command = option(command)
    return command


def check_listening(host: str, token: str | None) -> None:
    """Raises Failure for a host that others can reach, without a token."""
    from recorder.server.app import check_bind

    try:
        check_bind(host, token)
    except ValueError as error:
        raise Failure(str(error), Exit.USAGE) from None


def recording_to(
    out: Path,
    *,
    upstream: str | None,
    capture: str = "full",
    tags: tuple[str, ...] = (),
    sample: float = 1.0,
    otlp: str | None = None,
) -> Recording:
    """The options are `record_options`. Raises Failure for what makes no proxy."""
    from recorder.optional import MissingPackage
    from recorder.server.serving import UPSTREAM, record_to

    named = {name: value for name, _, value in (tag.partition("=") for tag in tags)}
    try:
        where = upstream or os.environ.get("ANTHROPIC_BASE_URL") or UPSTREAM
        return record_to(out, where, capture=capture, tags=named, sample=sample, otlp=otlp)
    except (MissingPackage, ValueError) as error:
        raise Failure(str(error), Exit.USAGE) from None


def replay_of(path: Path, *, repeat: bool, fault: str | None, **options: Unpack[ReplayOptions]) -> Replay:
    """The options are `replay_options`. Raises Failure for a text that is no fault, RecordingError for what cannot
    be read.
    """
    from recorder.faults import FaultError, parse, standard
    from recorder.replayer.session import Replay

    from .errors import warn

    try:
        options["faults"] = (standard().get(fault) or parse(fault)) if fault else None
    except FaultError as error:
        raise Failure(str(error), Exit.USAGE) from None
    replay = Replay(path, repeat=repeat, **options)
    for problem in replay.problems:
        warn(problem)
    return replay


def lost_line(tap: Tap) -> str:
    """What could not be recorded; empty when nothing was lost."""
    stats = tap.stats()
    dropped = stats.dropped_chunks + stats.dropped_streams + stats.lost_records
    if not dropped and not stats.errors:
        return ""
    return f"; {count(dropped, 'record')} lost, {count(stats.errors, 'error')}"


def recorded_line(streams: Streams, where: str, lost: str) -> str:
    """`2 streams, ttft p50 0.312 s p95 0.401 s: complete 2; in recordings`."""
    total = sum(streams.outcomes.values())
    times = ""
    if streams.ttft_s:
        cuts = quantiles(
            [*streams.ttft_s] * 2 if len(streams.ttft_s) == 1 else streams.ttft_s, n=20, method="inclusive"
        )
        times = f", ttft p50 {seconds(cuts[9])} s p95 {seconds(cuts[18])} s"
    outcomes = ", ".join(f"{name} {n}" for name, n in streams.outcomes.most_common())
    return f"recorder: {count(total, 'stream')}{times}{': ' if total else ''}{outcomes}{lost}; {where}"


def nothing_asked(url: str) -> str:
    return f"recorder: nothing was asked of {url}: does the program read ANTHROPIC_BASE_URL?"


def told_replay(replay: Replay, journal: Journal) -> Exit:
    """Say what was served and what was not; the exit code says it, too."""
    missed = [entry for entry in journal.entries if entry.miss]
    for entry in missed[:_SHOWN]:
        assert entry.miss is not None
        note("\n  ".join((f"recorder: not recorded: {entry.miss.message}", *entry.miss.differences[:_SHOWN])))
    unused, recorded = len(replay.unused), count(len(replay.streams), "stream")
    note(
        f"recorder: {count(sum(journal.results.values()), 'request')}, {journal.results['miss']} not recorded; "
        f"{len(replay.served)} of {recorded} served, {unused} unused; from {replay.name}"
    )
    return Exit.CHECK_FAILED if missed or unused else Exit.OK
