"""What `recorder tail` shows on a terminal: the open streams, in place; above them a line for each that ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live as Screen
from rich.text import Text

from recorder.core.progress import Progress
from recorder.core.timing import LONG_STALL_S, STALL_S
from recorder.log.live import Live

from .output import in_colour
from .streams import undated
from .text import NOTHING, plain, shorten, utc, width

_AT_ONCE = 100
"""Lines of ended streams that are printed together."""
_STYLES = {
    "streaming": "cyan",
    "thinking": "magenta",
    "tool use": "blue",
    "complete": "green",
    "closed": "yellow",
}
_WAITING = {
    "waiting for headers": "no headers yet",
    "waiting for first token": "no token yet",
    "waiting for body": "no body yet",
}
"""And how it is said where there is little room."""


def watch(live: Live, paths: tuple[Path, ...], now: Callable[[], int], wait: Callable[[], None]) -> None:
    """Show the streams until it is interrupted."""
    console = Console(highlight=False, no_color=not in_colour())
    ended: Counter[str] = Counter()
    with Screen(console=console, auto_refresh=False, vertical_overflow="crop") as screen:
        while True:
            streams = live.poll()
            while some := list(islice(streams, _AT_ONCE)):
                ended.update(stream.outcome for stream in some)
                layout = Layout(console.width)
                console.print(Group(*(layout.line(stream, now(), ended=True) for stream in some)))
            screen.update(Group(*_region(live, paths, ended, console, now())), refresh=True)
            wait()


def _region(live: Live, paths: tuple[Path, ...], ended: Counter[str], console: Console, now: int) -> list[Text]:
    """The open streams, the oldest first, as far as there is room for them."""
    layout = Layout(console.width)
    streams = sorted(live.open.values(), key=lambda stream: stream.sent)
    room = max(1, console.height - 3)
    shown = streams if len(streams) <= room else streams[: room - 1]
    lines = [layout.header(), *(layout.line(stream, now, ended=False) for stream in shown)]
    if len(shown) < len(streams):
        lines.append(Text(f"… and {len(streams) - len(shown)} more", style="dim"))
    counts = shorten(_counts(live, paths, ended), console.width - len("^C"))  # which is echoed behind it
    lines.append(Text(counts, style="dim"))
    return lines


def _counts(live: Live, paths: tuple[Path, ...], ended: Counter[str]) -> str:
    where = ", ".join(map(str, paths))
    if not live.has_seen_any:
        return f"{where}: no recording there yet; waiting for one"
    outcomes = ", ".join(f"{number:,} {outcome}" for outcome, number in ended.most_common())
    return f"{len(live.open)} open, {sum(ended.values()):,} ended{': ' * bool(outcomes)}{outcomes} · {where}"


class _Cell(NamedTuple):
    """`wide`: columns of the terminal, the space after it, or before it, included."""

    name: str
    wide: int
    right: bool = False


_NARROW = (
    _Cell("sent", 11),
    _Cell("stream", 10),
    _Cell("model", 12),
    _Cell("state", 14),
    _Cell("output", 9, right=True),
    _Cell("ttft_s", 7, right=True),
    _Cell("last_s", 7, right=True),
    _Cell("stall_s", 8, right=True),
)
_SPARE = ("sent", "last_s", "model", "output", "ttft_s", "stream", "stall_s")
"""What is left out of a terminal that is narrower than all of these, one by one."""
_LONG_STATE = 9
"""Columns that `waiting for first token` takes more than `no token yet`."""
_DURATION = _Cell("duration_s", 12, right=True)
_LONG_MODEL = 16
"""Columns that `claude-sonnet-4-5-20250929` takes more than `sonnet-4-5`."""


class Layout:
    """The columns that a terminal of `room` columns shows, and a stream as a line of them."""

    def __init__(self, room: int) -> None:
        cells = {cell.name: cell for cell in _NARROW}
        spare = room - sum(cell.wide for cell in _NARROW)
        for name in _SPARE:
            if spare < 0:
                spare += cells.pop(name).wide
        self._long_state = spare >= _LONG_STATE
        if self._long_state:
            cells["state"] = cells["state"]._replace(wide=cells["state"].wide + _LONG_STATE)
            spare -= _LONG_STATE
        if spare >= _DURATION.wide:
            cells[_DURATION.name] = _DURATION
            spare -= _DURATION.wide
        self._long_model = spare >= _LONG_MODEL
        if "model" in cells and spare > 0:
            cells["model"] = cells["model"]._replace(wide=cells["model"].wide + min(spare, _LONG_MODEL))
        self._cells: Sequence[_Cell] = tuple(cells.values())
        self._room = room

    def header(self) -> Text:
        """The names of the columns."""
        return self._joined([Text(cell.name, style="bold") for cell in self._cells])

    def line(self, stream: Progress, now: int, *, ended: bool) -> Text:
        """One stream, on one line."""
        texts = self._texts(stream, now, ended=ended)
        return self._joined([texts[cell.name] for cell in self._cells])

    def _joined(self, texts: list[Text]) -> Text:
        line = Text(no_wrap=True, overflow="crop")
        for cell, text in zip(self._cells, texts, strict=True):
            most = cell.wide - (1 if cell.right else 2 if cell.name != "state" else 0)
            shown = Text(shorten(text.plain, max(1, most)), style=text.style)
            space = " " * (cell.wide - width(shown.plain))
            line = line + space + shown if cell.right else line + shown + space
        line.rstrip()
        return line

    def _texts(self, stream: Progress, now: int, *, ended: bool) -> dict[str, Text]:
        stalled = stream.stalled_s if ended else stream.paused_s(now)
        stall_style = "" if stalled <= STALL_S else "bold red" if stalled > LONG_STALL_S else "yellow"
        return {
            "sent": Text(utc(stream.sent)[11:19] + "Z", style="dim"),
            "stream": Text(stream.id[:8]),
            "model": Text(self._model(stream.model)),
            "state": self._state(stream, ended=ended),
            "output": Text(_output(stream)),
            "ttft_s": Text(NOTHING if stream.ttft_s is None else f"{stream.ttft_s:.2f}"),
            "last_s": Text("" if ended else f"{stream.silent_s(now):.1f}", style=stall_style),
            "stall_s": Text(f"{stalled:.1f}" if stalled > STALL_S else "", style=stall_style),
            "duration_s": Text(f"{stream.open_s(now):.2f}" if stream.end or not ended else NOTHING),
        }

    def _model(self, model: str | None) -> str:
        if self._long_model or model is None:
            return plain(model)
        return undated(model).removeprefix("claude-")

    def _state(self, stream: Progress, *, ended: bool) -> Text:
        is_refused = stream.status is not None and stream.status >= 400
        if is_refused and (stream.end or not ended):
            return Text(f"http {stream.status}", style="red")
        state = stream.outcome if ended else stream.state
        style = _STYLES.get(state, "red" if ended else "dim")
        return Text(state if self._long_state else _WAITING.get(state, state), style=style)


def _output(stream: Progress) -> str:
    if stream.output_tokens is not None:
        return f"{_short(stream.output_tokens)} tok"
    return f"{_short(stream.output_chars)} ch" if stream.output_chars else ""


def _short(number: int) -> str:
    """A number in at most 5 characters."""
    if number < 10_000:
        return str(number)
    return f"{number / 1e3:.0f}k" if number < 1_000_000 else f"{number / 1e6:.0f}M"
