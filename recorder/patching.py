"""A method of somebody else's class, replaced and put back, whoever else replaces it meanwhile.

Instrumentation of several makers wraps the same methods, and is taken off in any order. Who puts back what it
found takes off what others put over it since. So a replacement that is covered stays where it is, and has to do
nothing but call on while it is not wanted; put on again, it is found where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Patch:
    """`owner.name`, to be replaced by what `make` gives for the method that is there."""

    def __init__(self, owner: type, name: str, make: Callable[[Any], Any]) -> None:
        self._owner = owner
        self._name = name
        self._make = make
        self._theirs: Any = None
        self._ours: Any = None

    def apply(self) -> None:
        """Replace the method, unless ours is what stands there."""
        there = self._owner.__dict__[self._name]
        if self._ours is None or there is not self._ours:
            self._theirs, self._ours = there, self._make(there)
            setattr(self._owner, self._name, self._ours)

    def undo(self) -> None:
        """Put back what was there, unless somebody else has put something over ours."""
        if self._ours is not None and self._owner.__dict__[self._name] is self._ours:
            setattr(self._owner, self._name, self._theirs)
            self._theirs = self._ours = None
