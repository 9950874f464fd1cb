"""A fault as a value: named, validated, printed as one line that reproduces it, and read back from that line.

stall(at=12, seconds=30)+cut_dirty(at=40, times=1) seed=7
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from random import Random
from typing import Annotated, Any, Concatenate, ParamSpec, get_type_hints

import msgspec
from msgspec import Meta, Struct

from ..errors import FaultError
from ..script import Script
from .place import check_place

P = ParamSpec("P")
Value = int | float | str | bool | None
Positive = Annotated[float, Meta(gt=0)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Count = Annotated[int, Meta(ge=1)]
Chance = Annotated[float, Meta(gt=0, le=1)]

_ONE = re.compile(r"\s*([a-z][a-z0-9_]*)\s*(\(|)")
_ARGUMENT = re.compile(r'\s*([a-z_]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,()"+]+)\s*(,|\))')
_BARE = re.compile(r"[A-Za-z_%][\w.:%-]*|-?\d+(?:\.\d+)?%|\d+b")


_HEADER = re.compile(r"([A-Za-z0-9-]+)\s*:\s*([\x20-\x7e]*?)")


def headers_of(text: str) -> dict[str, str]:
    """`name: value; name: value` as headers, names in lower case. Raises ValueError for what is none."""
    headers: dict[str, str] = {}
    for line in filter(None, (one.strip() for one in text.split(";"))):
        found = _HEADER.fullmatch(line)
        if found is None:
            raise ValueError(f'{line!r} is no header; write headers="name: value; name: value"')
        headers[found[1].lower()] = found[2]
    return headers


_CHECKS: dict[str, Callable[[Any], object]] = {"at": check_place, "headers": headers_of}
"""What a type does not say of a parameter, by its name."""


class Only(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When a fault is injected; always, unless one of these says otherwise. All that are given must agree.

    Calls are counted in the order in which they come, so with `nth` and `ramp` that order matters.
    """

    times: Count | None = None
    """Only so often for equal requests: their later attempts are answered as recorded."""
    nth: Count | None = None
    """Only in the nth call, from 1. The retries of a call belong to it."""
    probability: Chance | None = None
    """Drawn for each attempt."""
    ramp: Count | None = None
    """The probability rises from 0 to what it is over so many calls."""


class One(Struct, frozen=True):
    """One fault of the catalogue, with all its parameters."""

    name: str
    parameters: tuple[tuple[str, Value], ...]
    only: Only = Only()

    def __str__(self) -> str:
        defaults = CATALOGUE[self.name].defaults
        shown = {name: value for name, value in self.parameters if name not in defaults or value != defaults[name]}
        shown |= {name: value for name, value in msgspec.structs.asdict(self.only).items() if value is not None}
        return f"{self.name}({', '.join(f'{name}={_text(value)}' for name, value in shown.items())})"

    def apply(self, script: Script, random: Random) -> Script:
        """`script` itself where there is nothing in it to do this to."""
        return CATALOGUE[self.name].apply(script, random, **dict(self.parameters))


class Fault(Struct, frozen=True):
    """One fault, or several that are applied one after the other: `stall(at=3, seconds=2) + cut_dirty(at=9)`.

    The same fault, seed and recording give the same bytes at the same times, whatever else goes on:
    each attempt has a random stream of its own, from the seed, what was asked, and how often it was before.
    """

    ones: tuple[One, ...]
    seed: int = 0

    def __add__(self, other: Fault) -> Fault:
        return Fault(self.ones + other.ones, self.seed or other.seed)

    def __str__(self) -> str:
        return f"{'+'.join(map(str, self.ones))} seed={self.seed}"

    def __repr__(self) -> str:
        return f"<Fault {self}>"

    def seeded(self, seed: int) -> Fault:
        return Fault(self.ones, seed)

    def only(
        self,
        *,
        times: int | None = None,
        nth: int | None = None,
        probability: float | None = None,
        ramp: int | None = None,
    ) -> Fault:
        """The same, injected only then: see `Only`. In text these are parameters like the others."""
        given = {"times": times, "nth": nth, "probability": probability, "ramp": ramp}
        return Fault(tuple(One(one.name, one.parameters, _only(one.name, given)) for one in self.ones), self.seed)


class Entry(Struct, frozen=True):
    """A fault of the catalogue: its function, and what parameters it takes."""

    apply: Callable[..., Script]
    parameters: type[Struct]
    defaults: dict[str, Value]


CATALOGUE: dict[str, Entry] = {}
"""Every fault, by name. Filled when the modules that define them are imported, and then left alone."""


def fault(apply: Callable[Concatenate[Script, Random, P], Script]) -> Callable[P, Fault]:
    """Puts a function into the catalogue; what is left in its place makes the Fault that it is applied by."""
    hints = get_type_hints(apply, include_extras=True)
    given = list(inspect.signature(apply).parameters.values())[2:]
    fields = [
        (one.name, hints[one.name]) if one.default is one.empty else (one.name, hints[one.name], one.default)
        for one in given
    ]
    name: str = apply.__name__
    parameters = msgspec.defstruct(name, fields, frozen=True, kw_only=True, forbid_unknown_fields=True)
    defaults = {one.name: one.default for one in given if one.default is not one.empty}
    CATALOGUE[name] = Entry(apply, parameters, defaults)

    def make(*_: P.args, **values: P.kwargs) -> Fault:
        return Fault((_one(name, values),))

    for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(make, attribute, getattr(apply, attribute))
    vars(make)["__signature__"] = inspect.Signature(given, return_annotation=Fault)  # what `help` shows
    make.__annotations__ = {**{one.name: hints[one.name] for one in given}, "return": Fault}
    return make


def parse(text: str) -> Fault:
    """The fault that `text` stands for; the inverse of `str`. Raises FaultError."""
    rest, seed = text.strip(), 0
    if found := re.search(r"\s+seed=(-?\d+)$", rest):
        rest, seed = rest[: found.start()], int(found[1])
    ones: list[One] = []
    while True:
        one, rest = _read_one(text, rest)
        ones.append(one)
        if not rest:
            return Fault(tuple(ones), seed)
        if not rest.startswith("+"):
            raise FaultError(f"fault {text!r}: {rest!r} was not understood; join faults by +, then ` seed=N`")
        rest = rest[1:]


def _read_one(text: str, rest: str) -> tuple[One, str]:
    found = _ONE.match(rest)
    if found is None:
        raise FaultError(f"fault {text!r}: expected the name of a fault at {rest!r}; {_names()}")
    name, rest, values = found[1], rest[found.end() :], dict[str, Value]()
    if found[2] and rest.lstrip().startswith(")"):
        rest = rest.lstrip()[1:]
    elif found[2]:
        while True:
            argument = _ARGUMENT.match(rest)
            if argument is None:
                raise FaultError(f'fault {text!r}: expected name=value at {rest!r}; quote odd values: type="a b"')
            if argument[1] in values:
                raise FaultError(f"fault {text!r}: {argument[1]} is given twice")
            values[argument[1]] = _value(argument[2])
            rest = rest[argument.end() :]
            if argument[3] == ")":
                break
    return _one(name, values), rest.lstrip()


def _one(name: str, values: Mapping[str, Any]) -> One:
    entry = CATALOGUE.get(name)
    if entry is None:
        near = get_close_matches(name, CATALOGUE, n=1)
        raise FaultError(f"fault {name!r} does not exist; " + (f"did you mean {near[0]}?" if near else _names()))
    own = {key: value for key, value in values.items() if key not in Only.__struct_fields__}
    when = {key: value for key, value in values.items() if key in Only.__struct_fields__}
    try:
        made = msgspec.convert(own, entry.parameters)
    except msgspec.ValidationError as error:
        takes = ", ".join([*entry.parameters.__struct_fields__, *Only.__struct_fields__])
        raise FaultError(f"fault {name}: {error}; it takes {takes}") from None
    parameters = msgspec.structs.asdict(made)
    for key in _CHECKS.keys() & parameters.keys():
        try:
            _CHECKS[key](parameters[key])
        except ValueError as error:
            raise FaultError(f"fault {name}: {error}") from None
    return One(name, tuple(parameters.items()), _only(name, when))


def _only(name: str, given: Mapping[str, Any]) -> Only:
    try:
        only = msgspec.convert(given, Only)
    except msgspec.ValidationError as error:
        raise FaultError(
            f"fault {name}: {error}; times, nth and ramp are from 1, probability is up to 1"
        ) from None
    if only.ramp is not None and only.probability is None:
        return msgspec.structs.replace(only, probability=1.0)
    return only


def _names() -> str:
    return f"there are {', '.join(sorted(CATALOGUE))}"


def _text(value: Value) -> str:
    if isinstance(value, str):
        return value if _BARE.fullmatch(value) and _value(value) == value else json.dumps(value)
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else json.dumps(value)


def _value(text: str) -> Value:
    if text.startswith('"'):
        return str(json.loads(text))
    if text in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
