"""Differences between recordings, in words: `recorder diff`, and what `recorder fixtures` says of changes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import click

from recorder.core.words import Change, Words
from recorder.hygiene.diff import Diff, Difference, Pair

from .output import in_colour
from .text import count, seconds, shorten, visible

_CHANGES = 5
_MEMBERS = 4
_LONGEST = 160
"""Columns of what one change removed, and of what it added."""


def print_diff(diff: Diff, *, room: int, full: bool = False, indent: str = "") -> None:
    """Every stream that differs, with its differences; the numbers of all are not said."""
    for pair in diff.changed:
        ids = pair.before[:8] if pair.before == pair.after else f"{pair.before[:8]} → {pair.after[:8]}"
        _print_line(pair.asked, ids, room=room, indent=indent)
        for part, lines in groupby(pair.differences, key=lambda one: one.part):
            _print_part(part, list(lines), room=room, full=full, indent=indent)
    for mark, colour, lones in (("-", "red", diff.removed), ("+", "green", diff.added)):
        for lone in lones:
            ids = f"{lone.stream[:8]}, {lone.outcome}"
            _print_line(f"{mark} {lone.asked}", ids, room=room, indent=indent, colour=colour)


def summary(diff: Diff, names: tuple[str, str] = ("the first", "the second")) -> str:
    """One line: how many streams are the same, differ, or are in one of the two alone."""
    parts = [f"{count(diff.same, 'stream')} the same"]
    parts += [f"{len(diff.changed)} differ" if len(diff.changed) > 1 else "1 differs"] if diff.changed else []
    for lones, name in ((diff.removed, names[0]), (diff.added, names[1])):
        parts += [f"{len(lones)} only in {name}"] if lones else []
    return ", ".join(parts)


def in_words(diff: Diff) -> str:
    """The differences of a recording in a few words: `text: 3 words changed; 2 events more`."""
    said: list[str] = []
    for pair in diff.changed:
        said += [text for part in ("structure", "text", "timing") if (text := _part_in_words(pair, part))]
    parts = [f"{len(diff.changed)} of {count(len(diff.changed) + diff.same, 'stream')} changed"]
    parts = parts if len(diff.changed) + diff.same > 1 and diff.changed else []
    parts += list(dict.fromkeys(said)) if len(diff.changed) == 1 else _kinds(diff.changed)
    for lones, word in ((diff.removed, "removed"), (diff.added, "new")):
        parts += [f"{count(len(lones), 'stream')} {word}"] if lones else []
    return "; ".join(parts)


def _kinds(pairs: Sequence[Pair]) -> list[str]:
    """Of several streams: which parts differ."""
    kinds = dict.fromkeys(one.part for pair in pairs for one in pair.differences)
    return [", ".join(kinds)] if kinds else []


def _part_in_words(pair: Pair, part: str) -> str:
    found = [one for one in pair.differences if one.part == part]
    if not found:
        return ""
    if part == "structure":
        return f"structure: {', '.join(one.name for one in found)}"
    if part == "timing":
        main = next((one for one in found if one.name == "duration_s"), found[0])
        return f"timing: {main.name} {_ratio(main)}"
    words = [one.words for one in found if one.words is not None]
    said = [_words_in_words(words)] if words else []
    events = [one for one in found if one.name.endswith(" events")]
    if more := sum(one.after - one.before for one in events):
        said.append(f"{count(abs(more), 'event')} {'more' if more > 0 else 'fewer'}")
    return f"text: {', '.join(said or [', '.join(one.name for one in found)])}"


def _words_in_words(words: Sequence[Words], of: str = "") -> str:
    removed, added = sum(one.removed for one in words), sum(one.added for one in words)
    if removed == added == 0:
        return "only white space changed"
    if removed == added:
        return f"{_of_words(removed, of)} changed"
    parts = [f"{_of_words(removed, of)} removed"] if removed else []
    parts += [f"{added:,} added" if parts else f"{count(added, 'word')} added"] if added else []
    return ", ".join(parts)


def _of_words(number: int, of: str) -> str:
    return f"{number:,}{of} words" if of else count(number, "word")


def _print_line(asked: str, ids: str, *, room: int, indent: str, colour: str | None = None) -> None:
    """One stream: what was asked, as far as there is room, and its ids."""
    ids = visible(ids)
    text = _styled(shorten(asked, max(20, room - len(indent) - len(ids) - 2)), colour)
    click.echo(f"{indent}{text}  {click.style(ids, dim=True) if in_colour() else ids}")


def _print_part(part: str, found: list[Difference], *, room: int, full: bool, indent: str) -> None:
    label = f"{indent}  {part:<9}  "
    inner = " " * len(label)
    for number, one in enumerate(found):
        head = inner if number else label
        click.echo(head + shorten(_said(one, full=full), 1 << 30 if full else max(20, room - len(head))))
        if one.words is not None:
            _print_changes(one.words, room=room, full=full, indent=inner + "  ")


def _said(one: Difference, *, full: bool) -> str:
    if one.words is not None:
        return f"{one.name}: {_words_in_words([one.words], of=f' of {one.words.of:,}')}"
    if one.part == "timing":
        return f"{one.name}: {seconds(one.before)} → {seconds(one.after)}{_difference(one)}"
    if one.removed or one.added:
        members = [f"- {name}" for name in _members(one.removed, full=full)]
        members += [f"+ {name}" for name in _members(one.added, full=full)]
        return f"{one.name}: {', '.join(members)}"
    return f"{one.name}: {_value(one.before)} → {_value(one.after)}"


def _members(names: Sequence[str], *, full: bool) -> list[str]:
    if full or len(names) <= _MEMBERS:
        return list(names)
    return [*names[: _MEMBERS - 1], f"{len(names) - _MEMBERS + 1} more"]


def _value(value: Any) -> str:
    return "none" if value in (None, "") else f"{value:,}" if isinstance(value, int) else str(value)


def _difference(one: Difference) -> str:
    if one.before is None or one.after is None:
        return ""
    return f" ({one.after - one.before:+.3f} s, {_ratio(one)})"


def _ratio(one: Difference) -> str:
    if one.before is None or one.after is None:
        return f"{seconds(one.before)} → {seconds(one.after)}"
    return f"×{one.after / one.before:.3g}" if one.before else f"{one.after - one.before:+.3f} s"


def _print_changes(words: Words, *, room: int, full: bool, indent: str) -> None:
    shown = words.changes if full else words.changes[:_CHANGES]
    for change in shown:
        plain, styled = _change(change, full=full)
        for line in _wrapped(plain, styled, room - len(indent)):
            click.echo(indent + line)
    if more := len(words.changes) - len(shown):
        click.echo(f"{indent}… and {count(more, 'more place')}; --full shows all")


def _change(change: Change, *, full: bool) -> tuple[list[str], list[str]]:
    """The words of a change, plain and as they are shown."""
    limit = 1 << 30 if full else _LONGEST
    plain: list[str] = []
    styled: list[str] = []
    for text, marks, colour in (
        (change.before, ("", ""), None),
        (change.removed, ("[-", "-]"), "red"),
        (change.added, ("{+", "+}"), "green"),
        (change.after, ("", ""), None),
    ):
        if text:
            words = f"{marks[0]}{shorten(text, limit)}{marks[1]}".split(" ")
            plain += words
            styled += [_styled(word, colour) for word in words]
    return plain, styled


def _wrapped(plain: list[str], styled: list[str], room: int) -> Iterator[str]:
    """The words in lines of so many columns: broken by what they look like, not by their colours."""
    place = 0
    for line in textwrap.wrap(" ".join(plain), max(room, 20), break_long_words=False, break_on_hyphens=False):
        number = len(line.split())
        yield " ".join(styled[place : place + number])
        place += number


def _styled(text: str, colour: str | None) -> str:
    return click.style(text, fg=colour) if colour and in_colour() else text
