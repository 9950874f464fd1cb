"""What `recorder demo` shows: calls while they run, and then one line per stream."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from recorder.core.timing import STALL_S

from .output import Column, in_colour, on_terminal, print_rows, write
from .streams import model_of
from .text import plain, visible

if TYPE_CHECKING:
    from recorder.demo import Call, Progress, Update
    from recorder.log.streams import Stream

SPOKEN = "text, sync stream"
"""The call whose text is shown as it comes."""
_TEXT_LINES = 6


@contextmanager
def screen(calls: Sequence[Call]) -> Generator[Progress]:
    """Shows how the calls go on: in place on a terminal, elsewhere a line for each when it is done."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        lines = Lines()
        yield lines.update
        if lines.failure:
            raise lines.failure
        return
    grid = Grid(calls)
    console = Console(highlight=False, no_color=not in_colour())
    with Live(get_renderable=grid.render, console=console, refresh_per_second=12):
        try:
            yield grid.update
        finally:
            grid.over = True


class Lines:
    """One line per call that is done. `failure`: why one could not be written; it happened in a thread."""

    def __init__(self) -> None:
        self.failure: OSError | None = None
        self._began = time.perf_counter()

    def update(self, update: Update) -> None:
        if update.state != "done" or self.failure:
            return
        after = time.perf_counter() - self._began
        try:
            click.echo(
                f"   {after:6.2f} s  {update.call.name:28} {update.events:4} events  {update.error or 'done'}"
            )
        except OSError as error:
            self.failure = error


class Grid:
    """A cell for each call, a row for each scenario; below them the text of one stream."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self.over = False
        self._now: dict[tuple[str, str], Update | None] = {(call.scenario, _column(call)): None for call in calls}
        self._text: list[str] = []

    def update(self, update: Update) -> None:
        if self.over:
            return
        self._now[update.call.scenario, _column(update.call)] = update
        if update.text and update.call.name == SPOKEN:
            self._text.append(update.text)

    def render(self) -> RenderableType:
        scenarios = dict.fromkeys(scenario for scenario, _ in self._now)
        columns = dict.fromkeys(column for _, column in self._now)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("", width=14)
        for column in columns:
            table.add_column(Text(column, style="dim"), width=13)
        for scenario in scenarios:
            table.add_row(Text(f"   {scenario}"), *(self._cell(scenario, column) for column in columns))
        note = Text("   ✓ complete for the SDK   ✗ it raised   the number counts its events", style="dim")
        return Group(table, note) if self.over else Group(table, note, self._spoken())

    def _spoken(self) -> Panel:
        """The last lines of the text so far."""
        console = Console(width=max(20, Console().width - 4))
        text = Text(visible("".join(self._text), keep="\n") + "▌")
        shown = Text("\n").join(text.wrap(console, console.width)[-_TEXT_LINES:])
        return Panel(shown, title=SPOKEN, title_align="left", height=_TEXT_LINES + 2, style="dim")

    def _cell(self, scenario: str, column: str) -> Text:
        if (scenario, column) not in self._now:
            return Text()
        update = self._now[scenario, column]
        if update is None or update.state == "sent":
            return Text("… waiting", style="dim")
        if update.state == "streaming":
            return Text(f"▸ {update.events}", style="cyan")
        if update.error:
            return Text(f"✗ {update.events}", style="red")
        return Text(f"✓ {update.events or ''}", style="green")


def _column(call: Call) -> str:
    return f"{call.client} create" if call.method == "plain" else call.style


def print_streams(streams: Mapping[tuple[str, int], Stream]) -> None:
    """One line per stream, those of a scenario together."""
    rows = [_row(*key, stream) for key, stream in sorted(streams.items())]
    if not on_terminal():
        print_rows(rows, [Column(column.name, column.show, column.right) for column in _COLUMNS])
        return
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column in _COLUMNS:
        table.add_column(column.title, justify="right" if column.right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(_shown(column, row[column.name]) for column in _COLUMNS))
    Console(highlight=False, no_color=not in_colour()).print(table)
    write("\nSeconds since the send: headers, first output (ttft), first text (ttft text);")
    write("gap max: the longest from one output to the next. A retried call has two lines.")


class _Column(NamedTuple):
    name: str
    title: str
    show: Callable[[Any], str]
    right: bool = False


def _shown(column: _Column, value: object) -> Text:
    stalled = column.name == "gap_max_s" and isinstance(value, float) and value > STALL_S
    broken = column.name == "outcome" and value != "complete"
    return Text(visible(column.show(value)), style="yellow" if stalled or broken else "")


def _row(name: str, attempt: int, stream: Stream) -> dict[str, object]:
    timing = stream.timing()
    scenario, _, call = name.partition(", ")
    return {
        "scenario": scenario,
        "call": f"{call} {attempt + 1}" if attempt else call,
        "model": re.sub(r"^claude-|-\d{8}$", "", model_of(stream) or ""),
        "outcome": timing.outcome,
        "headers_s": timing.headers_s,
        "ttft_s": timing.ttft_s,
        "ttft_text_s": timing.ttft_text_s,
        "gap_max_s": timing.gap_max_s,
        "output_tps": timing.output_tps,
    }


def _hundredths(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else plain(value)


def _whole(value: object) -> str:
    return f"{value:.0f}" if isinstance(value, float) else plain(value)


_COLUMNS = (
    _Column("scenario", "scenario", plain),
    _Column("call", "call", plain),
    _Column("model", "model", plain),
    _Column("outcome", "outcome", plain),
    _Column("headers_s", "headers", _hundredths, right=True),
    _Column("ttft_s", "ttft", _hundredths, right=True),
    _Column("ttft_text_s", "ttft\ntext", _hundredths, right=True),
    _Column("gap_max_s", "gap\nmax", _hundredths, right=True),
    _Column("output_tps", "tok/s", _whole, right=True),
)
