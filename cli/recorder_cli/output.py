"""Rows out: a table for people, and JSON, JSON Lines or CSV for programs.

A table is drawn by rich on a terminal, and is plain aligned text elsewhere: one line a row, columns without
spaces in their names, so that `awk` and `cut` can read it. Both show text with its control characters
escaped. The other formats keep every value as it is, except that a terminal gets no control character.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain, islice
from typing import Any, Literal, NamedTuple

import click

from .errors import note
from .text import escape_json, plain, shorten, visible, width

Format = Literal["table", "json", "jsonl", "csv"]
Row = Mapping[str, Any]
FORMATS: tuple[Format, ...] = ("table", "json", "jsonl", "csv")
_NAMED = 8
"""Columns that are named when they are left out."""
PAGE = 1000
"""Rows by which the columns of plain text are measured, and that a table on a terminal has at most."""
_GAP = 2
_READABLE, _LEAST = 24, 8
"""Columns that text keeps before other columns are left out; and when there are none to leave out."""


class Column(NamedTuple):
    """A column of a table: the key of the value in its row, and how a person is shown it.

    On a terminal too narrow for all columns, first those that have `narrow` are shown by it instead of `show`;
    then those with a `spare` number are left out, the highest first.
    """

    name: str
    show: Callable[[Any], str] = plain
    right: bool = False
    spare: int = 0
    narrow: Callable[[Any], str] | None = None


def on_terminal() -> bool:
    """Stdout is a terminal, or is to be treated as one (FORCE_COLOR)."""
    return sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))


def in_colour() -> bool:
    return on_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def write(text: str) -> None:
    """Text for a person, a line end added; a terminal gets none of its control characters."""
    click.echo(visible(text, keep="\n\t") if on_terminal() else text)


def write_json(value: object, *, indent: int | None = None) -> None:
    """One JSON document on stdout."""
    click.echo(_json(value, indent=indent))


def print_rows(
    rows: Iterable[Row], columns: Sequence[Column], output: Format = "table", *, quiet: bool = False
) -> None:
    """Print rows in the format asked for. `quiet`: do not say which columns a narrow terminal left out."""
    match output:
        case "json":
            _print_json(rows)
        case "jsonl":
            for row in rows:
                click.echo(_json(row))
        case "csv":
            _print_csv(rows, columns)
        case "table":
            _print_rich(rows, columns, quiet=quiet) if on_terminal() else _print_plain(rows, columns)


def _print_json(rows: Iterable[Row]) -> None:
    before = "["
    for row in rows:
        click.echo(f"{before}\n{_json(row)}", nl=False)
        before = ","
    click.echo("[]" if before == "[" else "\n]")


def _json(value: object, *, indent: int | None = None) -> str:
    utf8 = (sys.stdout.encoding or "").lower().startswith("utf")
    document = json.dumps(_jsonable(value), ensure_ascii=not utf8, allow_nan=False, indent=indent)
    return escape_json(document, everything=on_terminal())


def _jsonable(value: object) -> object:
    """`value` as JSON has it: a number that is none as its name, bytes as hex, dates and the like as text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping():
            return {str(key): _jsonable(item) for key, item in value.items()}  # pyright: ignore
        case list() | tuple() | set():
            return [_jsonable(item) for item in value]  # pyright: ignore
        case Decimal():
            return float(value)
        case bytes():
            return value.hex()
        case _:
            return str(value)


def _print_csv(rows: Iterable[Row], columns: Sequence[Column]) -> None:
    line = io.StringIO()
    table = csv.writer(line, lineterminator="\n")
    for cells in chain([[column.name for column in columns]], (_csv_cells(row, columns) for row in rows)):
        table.writerow(cells)
        write(line.getvalue().removesuffix("\n"))
        line.seek(0)
        line.truncate()


def _csv_cells(row: Row, columns: Sequence[Column]) -> list[object]:
    return [_csv_cell(row[column.name]) for column in columns]


def _csv_cell(value: object) -> object:
    return _json(value) if isinstance(value, Mapping | list | tuple | bool) else _jsonable(value)  # pyright: ignore


def _cells(row: Row, columns: Sequence[Column]) -> list[str]:
    return [visible(column.show(row[column.name])) for column in columns]


def _print_plain(rows: Iterable[Row], columns: Sequence[Column]) -> None:
    """Aligned text, measured by its first rows: a long result is printed as it comes."""
    lines = chain([[column.name for column in columns]], (_cells(row, columns) for row in rows))
    first = list(islice(lines, PAGE))
    widths = [max(width(line[n]) for line in first) for n in range(len(columns))]
    for line in chain(first, lines):
        click.echo("  ".join(_padded(line, widths, columns)).rstrip())


def _padded(line: list[str], widths: list[int], columns: Sequence[Column]) -> Iterator[str]:
    for cell, wide, column in zip(line, widths, columns, strict=True):
        space = " " * (wide - width(cell))
        yield space + cell if column.right else cell + space


def _print_rich(rows: Iterable[Row], columns: Sequence[Column], *, quiet: bool) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    left = iter(rows)
    first = list(islice(left, PAGE))
    shown, lines = _fitted(columns, first, console.width)
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0), header_style="bold"
    )
    for n, column in enumerate(shown):
        justify = "right" if column.right else "left"
        name = Text(_header(column.name, _widest(lines, n)))
        table.add_column(name, justify=justify, no_wrap=True, overflow="ellipsis")
    for line in lines:
        table.add_row(*map(Text, line))
    console.print(table)
    names = [column.name for column in shown]
    if not quiet and (missing := [column.name for column in columns if column.name not in names]):
        some = ", ".join(missing[:_NAMED]) + (f" and {len(missing) - _NAMED} more" if missing[_NAMED:] else "")
        note(f"No room for {some}; --format csv has all.")
    if next(left, None) is not None:
        note(f"The first {PAGE:,} rows; --format csv has all.")


def _fitted(columns: Sequence[Column], rows: list[Row], room: int) -> tuple[list[Column], list[list[str]]]:
    """The columns that fit the room, as far as they can be made to, and their cells."""
    shown, lines = list(columns), [_cells(row, columns) for row in rows]
    if _total(shown, lines) <= room:
        return shown, lines
    shown = [column._replace(show=column.narrow or column.show) for column in columns]
    lines = [_cells(row, shown) for row in rows]
    _cut(shown, lines, room, _READABLE)
    while _total(shown, lines) > room and (spare := max(column.spare for column in shown)):
        place = next(n for n, column in enumerate(shown) if column.spare == spare)
        del shown[place]
        for line in lines:
            del line[place]
    _cut(shown, lines, room, _LEAST)
    return shown, lines


def _cut(columns: Sequence[Column], lines: list[list[str]], room: int, least: int) -> None:
    """Shorten the cells of text, the widest column first, but none below `least`, until all fits."""
    texts = sorted((n for n, column in enumerate(columns) if not column.right), key=lambda n: -_widest(lines, n))
    for n in texts:
        excess = _total(columns, lines) - room
        if excess > 0 and _widest(lines, n) > least:
            limit = max(least, _widest(lines, n) - excess)
            for line in lines:
                line[n] = shorten(line[n], limit)


def _total(columns: Sequence[Column], lines: list[list[str]]) -> int:
    """How wide a terminal the columns need."""
    cells = [_widest(lines, n) for n in range(len(columns))]
    names = [max(map(len, _header(column.name, cells[n]).split("\n"))) for n, column in enumerate(columns)]
    return sum(map(max, cells, names)) + _GAP * (len(columns) - 1)


def _widest(lines: list[list[str]], n: int) -> int:
    return max((width(line[n]) for line in lines), default=0)


def _header(name: str, values: int) -> str:
    """A name wider than its values is broken in two at an underscore."""
    breaks = [n + 1 for n, character in enumerate(name) if character == "_" and 0 < n < len(name) - 1]
    middle = min(breaks, key=lambda n: max(n, len(name) - n), default=0)
    if max(middle, len(name) - middle, values) > len(name) - 3:
        return name
    return f"{name[:middle]}\n{name[middle:]}"
