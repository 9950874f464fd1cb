"""`recorder play`."""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter_ns

import click

from recorder.core.said import Said, as_object, block_text, said
from recorder.log.streams import Stream
from recorder.replayer.schedule import Pace, sleep_until

from .errors import note
from .output import in_colour, on_terminal
from .reading import one_stream, path_argument, salvage_option
from .text import count, visible

_FOREVER = 10**17
"""ns, three years: a recording may name times that no clock can wait for."""


@click.command
@path_argument
@click.argument("stream", metavar="[STREAM]", required=False)
@click.option(
    "--speed", type=click.FloatRange(min=0, min_open=True), default=1.0, metavar="X", help="X times as fast."
)
@click.option(
    "--idle-limit", type=click.FloatRange(min=0), metavar="S", help="Wait no longer than S seconds at once."
)
@click.option("--thinking/--no-thinking", default=True, help="With the thinking, dimmed, or without.")
@salvage_option
def play(
    path: Path, stream: str | None, speed: float, idle_limit: float | None, thinking: bool, salvage: bool
) -> None:
    """Print the text of a stream as it arrived, in its own time.

    Begins when the request was sent, so the wait for the first token is a wait here too. STREAM is an id or
    the beginning of one; it may be left out where there is only one.

    \b
    recorder play recordings/ 7c2f
    recorder play recordings/ 7c2f --speed 4 --idle-limit 1
    """
    one = one_stream(path, stream, salvage=salvage)
    player = Player(thinking=thinking)
    pace = Pace(one, "recorded", speed, idle_limit)
    began = perf_counter_ns()
    for event in one.events:
        sleep_until(began + min(pace.due(event.at) or 0, _FOREVER))
        player.show(said(event))
    if one.end:
        sleep_until(began + min(pace.due(one.end.at) or 0, _FOREVER))
    if not one.events:  # a call that did not stream has its text all at once
        for n, block in enumerate((one.message() or {}).get("content") or []):
            player.show(Said("text", n, block_text(as_object(block))))
    player.finish()
    note(_how_it_ended(one))


class Player:
    """Writes what events say, each as soon as it comes: blocks apart from each other, all but text dimmed."""

    def __init__(self, *, thinking: bool) -> None:
        self._thinking = thinking
        self._block: int | None = None
        self._anything = self._line_open = False

    def show(self, one: Said) -> None:
        if not one.text or (one.kind == "thinking" and not self._thinking):
            return
        if self._anything and one.block != self._block:
            self._write("\n\n" if self._line_open else "\n")
        self._block, self._anything = one.block, True
        self._line_open = not one.text.endswith("\n")
        text = visible(one.text, keep="\n\t") if on_terminal() else one.text
        self._write(click.style(text, dim=True) if one.kind != "text" and in_colour() else text)

    def finish(self) -> None:
        if self._line_open:
            self._write("\n")

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def _how_it_ended(stream: Stream) -> str:
    timing = stream.timing()
    end = stream.end
    error = end and (end.error or (end.summary.error if end.summary else None))
    why = f": {error.type}: {error.message}" if error else ""
    after = f" after {timing.duration_s:.3f} s" if timing.duration_s is not None else ", no end was recorded"
    return f"{timing.outcome}{after}, {count(timing.events, 'event')}{why}"
