"""Two texts compared word by word, for a person to read: what went, what came, and the words around it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from msgspec import Struct

_TOKENS = re.compile(
    r"\s*(?:[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\s\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+)"
)
"""A word and the space before it. Where no spaces part the words, a character is one."""
_CONTEXT = 3
"""Words that are shown before and after a change."""
_APART = 2
"""Changes with fewer words between them are shown as one."""
_THOROUGH = 4_000_000
"""Pairs of words up to which the smallest difference is looked for: more costs seconds."""
_LONGEST = 10_000
"""Words up to which a difference is looked for at all, once what is equal at both ends is taken off."""


class Change(NamedTuple):
    """`before` and `after` are the words around it, of the new and of the old text, with an ellipsis for more."""

    before: str
    removed: str
    added: str
    after: str


class Words(Struct, frozen=True):
    """How two texts differ. `removed` and `added` count words; `space`: they differ in white space alone."""

    removed: int
    added: int
    of: int
    """Words of the first text."""
    changes: list[Change]
    space: bool = False


def compare_words(before: str, after: str) -> Words | None:
    """None when the texts are equal."""
    if before == after:
        return None
    old, new = _TOKENS.findall(before), _TOKENS.findall(after)
    left, right = [word.strip() for word in old], [word.strip() for word in new]
    spans = list(_spans(left, right))
    return Words(
        removed=sum(b - a for a, b, _, _ in spans),
        added=sum(d - c for _, _, c, d in spans),
        of=len(old),
        changes=[_change(old, new, span) for span in _merged(spans)],
        space=not spans,
    )


_Span = tuple[int, int, int, int]
"""(from, to) in the first, (from, to) in the second: what of the one became what of the other."""


def _spans(left: Sequence[str], right: Sequence[str]) -> Iterator[_Span]:
    start, most = 0, min(len(left), len(right))
    while start < most and left[start] == right[start]:
        start += 1
    same = 0
    while same < most - start and left[-1 - same] == right[-1 - same]:
        same += 1
    a, b = left[start : len(left) - same], right[start : len(right) - same]
    if max(len(a), len(b)) > _LONGEST:
        yield start, start + len(a), start, start + len(b)
        return
    quick = len(a) * len(b) > _THOROUGH
    for tag, i, j, k, m in SequenceMatcher(None, a, b, autojunk=quick).get_opcodes():
        if tag != "equal":
            yield start + i, start + j, start + k, start + m


def _merged(spans: list[_Span]) -> list[_Span]:
    """Changes with hardly a word between them as one."""
    done: list[_Span] = []
    for span in spans:
        if done and span[0] - done[-1][1] < _APART:
            done[-1] = (done[-1][0], span[1], done[-1][2], span[3])
        else:
            done.append(span)
    return done


def _change(old: list[str], new: list[str], span: _Span) -> Change:
    a, b, c, d = span
    more, rest = "… " if c > _CONTEXT else "", " …" if len(old) - b > _CONTEXT else ""
    return Change(
        before=more + _joined(new[max(0, c - _CONTEXT) : c]),
        removed=_joined(old[a:b]),
        added=_joined(new[c:d]),
        after=_joined(old[b : b + _CONTEXT]) + rest,
    )


def _joined(words: list[str]) -> str:
    """The words as one line."""
    return " ".join("".join(words).split())
