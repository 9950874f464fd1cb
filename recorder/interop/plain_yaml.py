"""YAML as plain data: mappings, lists, strings, numbers, bytes. No tag makes an object, no alias a bomb.

The values are built here from the events of PyYAML's parser, which are few and flat: so depth, number and size
are counted before anything is made of them, and PyYAML's own constructors, the unsafe ones included, are not used.
"""

from __future__ import annotations

import importlib
import re
from base64 import b64decode
from collections.abc import Iterable
from typing import Any, cast

from .limits import Refused

MAX_DEPTH = 64
MAX_NODES = 1_000_000
"""Values, those that aliases repeat counted each time."""
_CORE = "tag:yaml.org,2002:"
_BINARY = {f"{_CORE}binary", "!binary"}
_PLAIN = {
    None,
    "!",
    *(f"{_CORE}{name}" for name in ("str", "map", "seq", "int", "null", "bool", "float", "timestamp")),
}
_NULL = {"", "~", "null", "Null", "NULL"}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")


def load(data: bytes) -> object:
    """The first document. Raises Refused for what is no YAML, or no plain data, or too much of it."""
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError:
        raise Refused("is YAML, and PyYAML is not installed", "pip install 'sse-recorder[vcr]'") from None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Builder(yaml).build(yaml.parse(data, Loader=loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "characters that YAML does not allow"
        raise Refused(f"is no format that is known here, nor YAML: {problem}{where}") from None
    except UnicodeDecodeError:
        raise Refused("is no format that is known here: its bytes are not UTF-8") from None


class _Builder:
    def __init__(self, yaml: Any) -> None:
        self._yaml = yaml
        self._nodes = 0
        self._anchors: dict[str, tuple[object, int]] = {}
        """What an alias repeats, and how many values that is."""
        self._open: list[tuple[Any, str | None, int]] = []
        """Containers that are not complete: each with its anchor, and the number of values before it."""
        self._keys: list[str | None] = []
        """Of each open mapping, the key that waits for its value."""
        self._document: object = None

    def build(self, events: Iterable[Any]) -> object:
        yaml = self._yaml
        for event in events:
            match event:
                case yaml.ScalarEvent():
                    self._count(1, event)
                    value = _scalar(event)
                    self._anchor(event.anchor, value, 1)
                    self._add(value, event)
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self._begin({} if isinstance(event, yaml.MappingStartEvent) else [], event)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self._end()
                case yaml.AliasEvent():
                    self._alias(event)
                case yaml.DocumentEndEvent():
                    return self._document
                case _:
                    pass
        return self._document

    def _begin(self, made: Any, event: Any) -> None:
        _check_tag(event)
        self._count(1, event)
        if len(self._open) >= MAX_DEPTH:
            raise Refused(f"line {_line(event)}: nested deeper than {MAX_DEPTH} levels")
        self._add(made, event)
        self._open.append((made, event.anchor, self._nodes - 1))
        self._keys.append(None)

    def _end(self) -> None:
        made, anchor, before = self._open.pop()
        self._keys.pop()
        self._anchor(anchor, made, self._nodes - before)  # only now: no value may contain itself

    def _anchor(self, name: str | None, value: object, size: int) -> None:
        if name is not None:
            self._anchors[name] = (value, size)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise Refused(f"line {_line(event)}: the alias *{event.anchor} is of nothing that stands before it")
        value, size = self._anchors[event.anchor]
        self._count(size, event)
        self._add(value, event)

    def _count(self, nodes: int, event: Any) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise Refused(f"line {_line(event)}: more than {MAX_NODES:,} values, aliases counted")

    def _add(self, value: object, event: Any) -> None:
        if not self._open:
            self._document = value
            return
        made, key = self._open[-1][0], self._keys[-1]
        if isinstance(made, list):
            cast("list[object]", made).append(value)
        elif key is not None:
            made[key] = value
            self._keys[-1] = None
        elif isinstance(value, dict | list):
            raise Refused(f"line {_line(event)}: a key that is no text")
        else:
            self._keys[-1] = str(value)


def _scalar(event: Any) -> object:
    text: str = event.value
    if event.tag in _BINARY:
        try:
            return b64decode("".join(text.split()), validate=True)
        except ValueError:
            raise Refused(f"line {_line(event)}: !!binary that is no base64") from None
    _check_tag(event)
    if event.style is not None and event.style != "":
        return text
    if text in _NULL:
        return None
    return int(text) if _INTEGER.fullmatch(text) else text


def _check_tag(event: Any) -> None:
    if event.tag not in _PLAIN:
        raise Refused(f"line {_line(event)}: the tag {str(event.tag)[:80]!r} is no plain data")


def _line(event: Any) -> int:
    return event.start_mark.line + 1
