"""Tests marked `faults`: run once for each fault, and judged by what the application did. Of the pytest plugin.

Loaded when the first such test is collected, or `--fault` is given: other runs pay nothing for it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest

from recorder.faults import Fault, FaultError, parse, standard

if TYPE_CHECKING:
    from .modes import Use

ARGUMENT = "recorder_fault"
"""The parameter that a test marked `faults` gets; no test names it."""
_TOLD = frozenset(("allow", "max_attempts"))
_PLUGIN = "recorder-faults"


class Chosen(NamedTuple):
    """The fault of one run of a test."""

    id: str
    fault: Fault
    from_standard: bool
    """Of the list that is for every application: it need not fit what this test asks for."""


class _Running(NamedTuple):
    chosen: Chosen
    use: Use


_running = pytest.StashKey[_Running]()


def read(text: str) -> Fault:
    """The fault that `--fault` names. Raises pytest.UsageError."""
    try:
        return parse(text)
    except FaultError as error:
        raise pytest.UsageError(f"--fault: {error}") from None


def multiply(metafunc: pytest.Metafunc, marker: pytest.Mark) -> None:
    """Has the test run once for each fault of its marker. Raises CollectError for what is none."""
    try:
        chosen = _chosen(marker)
    except FaultError as error:
        raise pytest.Collector.CollectError(f"{metafunc.definition.nodeid}: {error}") from None
    metafunc.fixturenames.append(ARGUMENT)
    metafunc.parametrize(ARGUMENT, chosen, ids=[one.id for one in chosen])
    register(metafunc.config)


def register(config: pytest.Config) -> None:
    """Judges tests from here on."""
    if not config.pluginmanager.has_plugin(_PLUGIN):
        config.pluginmanager.register(_Judge(), _PLUGIN)


def chosen_for(item: pytest.Item, given: str | None) -> Chosen | None:
    """The fault that this run of a test is to get: that of the command line, else its parameter."""
    if given is not None:
        return Chosen("", read(given), from_standard=False)
    callspec: Any = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get(ARGUMENT)


def without_fault(item: pytest.Item) -> str:
    """The test's node id, without what tells the runs under each fault apart."""
    callspec: Any = getattr(item, "callspec", None)
    if callspec is None or ARGUMENT not in callspec.params:
        return item.nodeid
    chosen = cast("Chosen", callspec.params[ARGUMENT])
    others = callspec.id.removesuffix(chosen.id).removesuffix("-")
    return item.nodeid.removesuffix(f"[{callspec.id}]") + (f"[{others}]" if others else "")


def judged_here(item: pytest.Item, chosen: Chosen, use: Use) -> None:
    """From here on the test runs under its fault."""
    item.stash[_running] = _Running(chosen, use)


class _Judge:
    """Judges each test that ran under a fault, as part of the test itself: its verdict is its result."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        running = item.stash.get(_running, None)
        if running is None:
            return (yield)
        with _noting(item, running):
            yield
        _judge(item, running)
        return None


@contextmanager
def _noting(item: pytest.Item, running: _Running) -> Generator[None]:
    """Adds to the test's own failure what had been seen of the application."""
    try:
        yield
    except (Exception, pytest.fail.Exception) as error:
        error.add_note(_report(item, running.chosen, str(_verdict(item, running, passed=False)).splitlines()))
        raise


def _judge(item: pytest.Item, running: _Running) -> None:
    verdict = _verdict(item, running, passed=True)
    asked = running.use.replay is not None and running.use.replay.requests
    if running.chosen.from_standard and not verdict.injected and asked:
        pytest.skip(f"{running.chosen.fault}: nothing that the test asks for fits this fault")
    allow = _told(item).get("allow", ())
    try:
        verdict.assert_resilient(allow=[allow] if isinstance(allow, str) else allow)
    except AssertionError as error:
        pytest.fail(_report(item, running.chosen, str(error).splitlines()), pytrace=False)


def _verdict(item: pytest.Item, running: _Running, *, passed: bool) -> Any:
    use = running.use
    assert use.replay is not None
    use.replay.ended = "well" if passed else "badly"
    output = use.output() if callable(use.output) else use.output
    return use.replay.verdict(output=output, max_attempts=_told(item).get("max_attempts", 6))


def _report(item: pytest.Item, chosen: Chosen, found: Sequence[str]) -> str:
    again = f"Again: pytest {shlex.quote(without_fault(item))} --fault {shlex.quote(str(chosen.fault))}"
    return "\n".join([*found, f"That was under the fault {chosen.id or chosen.fault}.", again])


def _told(item: pytest.Item) -> dict[str, Any]:
    marker = item.get_closest_marker("faults")
    return {} if marker is None else dict(marker.kwargs)


def _chosen(marker: pytest.Mark) -> list[Chosen]:
    if unknown := marker.kwargs.keys() - _TOLD:
        raise FaultError(f"faults does not take {', '.join(sorted(unknown))}; it takes {', '.join(sorted(_TOLD))}")
    chosen: list[Chosen] = []
    for one in marker.args or ("standard",):
        if one == "standard":
            chosen += [Chosen(name, fault, from_standard=True) for name, fault in standard().items()]
        else:
            fault = one if isinstance(one, Fault) else parse(str(one))
            chosen.append(Chosen(_id_of(fault), fault, from_standard=False))
    return list(dict.fromkeys(chosen))


def _id_of(fault: Fault) -> str:
    """`stall(at=3,seconds=30)`: the line that reproduces it, short, and without what pytest escapes in an id."""
    line = str(fault).removesuffix(" seed=0").replace(", ", ",")
    return re.sub(r"[^\x20-\x7e]|\\", "_", line)
