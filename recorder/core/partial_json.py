"""JSON text that broke off, such as the input of a tool whose stream was cut: what it has said so far.

The SDK shows the same while a tool's input streams. It parses with jiter's `partial_mode=True`, and wherever
that gives a value, this gives the same one. (For requests that ask for fine-grained tool streaming, the SDK's
beta client parses in another mode, which also keeps the unfinished string at the end; here it is left out.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any


def parse(text: str, *, otherwise: object = None) -> object:
    """The value of a JSON text, or of its longest valid beginning; `otherwise` when no value has begun."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        reader = _Reader()
        for mark, scalar in _tokens(text):
            if not reader.take(mark, scalar):
                break
        return reader.root[0] if reader.root else otherwise


_TOKEN = re.compile(
    r"""[ \t\n\r]*+(?:
        (?P<mark>[\[\]{}:,])
      | (?P<scalar>
            "(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"
          | -?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][+-]?[0-9]*)?
          | true | false | null | NaN | -?Infinity
        )
    )""",
    re.VERBOSE,
)
_MAX_DEPTH = 201
"""The deepest nesting that jiter reads."""


def _tokens(text: str) -> Iterator[tuple[str | None, Any]]:
    """Punctuation marks and scalar values, up to the end or to what is neither."""
    at = 0
    while token := _TOKEN.match(text, at):
        at = token.end()
        mark, scalar = token.groups()
        try:
            yield mark, None if mark else json.loads(scalar)
        except ValueError:  # `1.` and `1e`; more digits than Python reads
            return


class _Reader:
    """What a JSON text has said before it broke off: jiter's `partial_mode=True`.

    An unfinished string, number or literal is left out, and so is a key without a value; open objects and
    lists are closed. Like jiter, after a value any closing mark closes what it can: `{"a": [1}` is an object.
    """

    def __init__(self) -> None:
        self.root: list[Any] = []
        """The value, once it has begun."""
        self._open: list[dict[str, Any] | list[Any]] = [self.root]
        self._key = ""
        self._due = "value"

    def take(self, mark: str | None, scalar: object) -> bool:
        """False when this cannot follow, or nothing need."""
        inner = self._open[-1]
        match self._due, mark:
            case "value", None:
                self._put(scalar)
                self._due = "next"
            case "value", "[" | "{" if len(self._open) <= _MAX_DEPTH:
                value: dict[str, Any] | list[Any] = [] if mark == "[" else {}
                self._put(value)
                self._open.append(value)
                self._due = "value" if mark == "[" else "key"
            case ("value", "]") | ("key", "}") if not inner and isinstance(inner, dict) == (mark == "}"):
                return self._close(mark)
            case "key", None if isinstance(scalar, str):
                self._key = scalar
                self._due = "colon"
            case "colon", ":":
                self._due = "value"
            case "next", ",":
                self._due = "key" if isinstance(inner, dict) else "value"
            case "next", "]" | "}":
                return self._close(mark)
            case _:
                return False
        return len(self._open) > 1

    def _put(self, value: object) -> None:
        inner = self._open[-1]
        if isinstance(inner, dict):
            inner[self._key] = value
        else:
            inner.append(value)

    def _close(self, mark: str) -> bool:
        kind = list if mark == "]" else dict
        while len(self._open) > 1:
            if type(self._open.pop()) is kind:
                break
        self._due = "next"
        return len(self._open) > 1
