"""The user's own rules of what is not to be written: JSON paths, patterns, functions.

    "$.metadata.user_id"        what the path leads to, in a body or payload that is JSON
    re.compile(r"\\d{16}")       what it finds, in every string value, and in tags, URLs and error messages
    def keep(value): ...        gets the decoded value of a body or payload, returns what is to be kept

Of JSON paths there are members (`.name`, `['any name']`), items (`[0]`, `[-1]`), every item or member
(`[*]`, `.*`), and a name at any depth (`..name`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, cast

from .guard import API_KEY
from .redact import REDACTED, Secrets

_STEP = re.compile(
    r"\.\.(?P<deep>[^.\[\]'\"*\s]+)|\.(?P<name>[^.\[\]'\"*\s]+)|\[(?P<quote>['\"])(?P<quoted>.*?)(?P=quote)\]"
    r"|\[(?P<index>-?\d+)\]|(?P<all>\.\*|\[\*\])"
)
Step = Callable[[Any, Callable[[Any], Any]], Any]
"""Gives a value in which the members that the step names went through a function."""


class RuleError(Exception):
    """A rule raised. The message has nothing of the value in it, only the rule's name and the error's class."""

    def __init__(self, name: str, error: Exception) -> None:
        super().__init__(f"the rule {name} raised {type(error).__name__}")
        self.name = name


class Rule:
    """One rule. `name` stands in `redacted` of the records that it changed."""

    def __init__(
        self, name: str, in_payload: Callable[[Any], Any], in_field: Callable[[Any], Any] | None = None
    ) -> None:
        self.name = name
        self.in_payload = in_payload
        self.in_field: Callable[[Any], Any] = in_field or _as_it_is
        self.needs_json = in_field is None
        """It looks at a payload as a whole; a pattern works on any text."""

    def changes(self, texts: list[str]) -> bool:
        """Whether it would change any of these strings."""
        return self.in_field(texts) != texts


Given = str | re.Pattern[str] | Callable[[Any], Any] | Rule
"""What is given as a rule."""


def rule_of(given: Given, number: int) -> Rule:
    """The rule that a user gave, the `number`th. Raises ValueError for what is none."""
    if isinstance(given, Rule):
        return given
    if isinstance(given, str):
        steps = _steps(given)
        return Rule(given, lambda value: _walk(value, steps))
    if isinstance(given, re.Pattern) and _is_of_text(given):

        def remove(text: str) -> str:
            return given.sub(REDACTED, text)

        return Rule(f"pattern {number}", lambda v: in_strings(v, remove), lambda v: in_strings(v, remove))
    if callable(given):
        name = getattr(given, "__name__", type(given).__name__)
        return Rule(name if name != "<lambda>" else f"function {number}", given)
    raise ValueError(
        f"{given!r} is no rule; give a JSON path ('$.metadata.user_id'), a pattern of str, or a function"
    )


def rule_of_secrets(secrets: Secrets) -> Rule:
    """The rule that every recording is made with, for one that was made without it."""

    def remove(text: str) -> str:
        return secrets.remove_from_url(text)

    return Rule(API_KEY, lambda v: in_strings(v, remove), lambda v: in_strings(v, remove))


def _is_of_text(pattern: re.Pattern[Any]) -> bool:
    return isinstance(pattern.pattern, str)


def in_strings(value: Any, change: Callable[[str], str]) -> Any:
    """`value` with every string in it changed, but for the names of members."""
    match value:
        case str():
            return change(value)
        case dict():
            items = cast("dict[Any, Any]", value).items()
            return {key: in_strings(item, change) for key, item in items}
        case list() | tuple():
            return [in_strings(item, change) for item in cast("Sequence[Any]", value)]
        case _:
            return value


def _as_it_is(value: Any) -> Any:
    return value


def _steps(path: str) -> list[Step]:
    rest, steps = path.removeprefix("$"), list[Step]()
    wrong = ValueError(
        f"{path!r} is no JSON path; it looks like $.metadata.user_id, $.messages[*].content, $..email"
    )
    if rest == path or not rest:
        raise wrong
    while rest:
        found = _STEP.match(rest)
        if found is None:
            raise wrong
        rest = rest[found.end() :]
        steps.append(_step(found))
    return steps


def _step(found: re.Match[str]) -> Step:
    if found["deep"]:
        return lambda value, change: _deep(value, found["deep"], change)
    if found["all"]:
        return lambda value, change: _each(value, lambda _: True, change)
    if found["index"]:
        index = int(found["index"])
        return lambda value, change: _item(value, index, change)
    name = found["name"] or found["quoted"]
    return lambda value, change: _each(value, lambda key: key == name, change)


def _walk(value: Any, steps: list[Step]) -> Any:
    """`value` with a mark in place of what `steps` lead to."""
    if not steps:
        return REDACTED
    return steps[0](value, lambda inner: _walk(inner, steps[1:]))


def _each(value: Any, wanted: Callable[[object], bool], change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {key: change(item) if wanted(key) else item for key, item in items}
    if isinstance(value, list):
        return [change(item) if wanted(n) else item for n, item in enumerate(cast("list[Any]", value))]
    return value


def _item(value: Any, index: int, change: Callable[[Any], Any]) -> Any:
    if not isinstance(value, list):
        return value
    items = cast("list[Any]", value)
    at = index + len(items) if index < 0 else index
    return [change(item) if n == at else item for n, item in enumerate(items)]


def _deep(value: Any, name: str, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {key: change(item) if key == name else _deep(item, name, change) for key, item in items}
    if isinstance(value, list):
        return [_deep(item, name, change) for item in cast("list[Any]", value)]
    return value
