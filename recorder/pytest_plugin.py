"""The pytest plugin: a test marked `recording` is answered by its recording.

    @pytest.mark.recording
    def test_weather(): ...

The recording of a test is `recordings/MODULE/TEST.jsonl` beside its file, unless the marker names another,
relative to the test's file. A test marked `faults` runs once for each fault, answered by its one recording.
Nothing of the library is loaded before a test asks for it.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Generator
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

import pytest

if TYPE_CHECKING:
    from .modes import Use
    from .pytest_faults import Chosen
    from .taking import Mode

_LONGEST = 120
"""Characters of a file name; a test's parameters can be any text."""


class Used(TypedDict):
    """What the tests of one process did with one recording."""

    streams: dict[str, str]
    """Id of each stream that is there, and what it asked."""
    used: list[str]
    failed: bool
    """A test failed that used it: what it did not ask for says nothing."""
    named: bool
    """By a marker, so that other tests may use it as well."""


_used = pytest.StashKey[dict[str, Used]]()
_listed = pytest.StashKey[dict[str, list[str] | None]]()
"""For `--record-used`: file, and the ids of its streams that were served; None where all of it was used."""
_failed = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("recorder", "recordings of Claude's streams")
    group.addoption(
        "--record-mode",
        choices=["replay", "once", "append", "rewrite", "record", "passthrough", "verify"],
        help="answer tests marked `recording` from their recording (replay, the default), or make it: "
        "once, append, rewrite, record, passthrough, verify",
    )
    group.addoption(
        "--record-strict", action="store_true", help="fail when a recording has streams that no test asked for"
    )
    group.addoption(
        "--fault",
        metavar="SPEC",
        help="run tests that are answered by a recording under this one fault, and judge them: 'cut_clean(at=4)'",
    )
    group.addoption(
        "--record-used",
        metavar="FILE",
        help="write to FILE which recordings the tests used, for `recorder fixtures status --used-by FILE`",
    )
    parser.addini("record_mode", "mode where the command line names none (default: replay)", default="replay")
    parser.addini("record_dir", "directory of recordings, beside each test file", default="recordings")
    parser.addini("record_strict", "as --record-strict", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "recording(path=None, *, mode=None, **options): answer Claude's clients from a recording; the options are "
        "those of recorder.replay (sse-recorder)",
    )
    config.addinivalue_line(
        "markers",
        "faults(*faults, allow=(), max_attempts=6): run once for each fault, all of the standard ones by default, "
        "and fail with what the application did wrong (sse-recorder)",
    )
    config.stash[_used] = {}
    config.stash[_listed] = {}
    if config.getoption("--record-used"):
        sys.addaudithook(partial(_heard, config.stash[_listed]))
    if (fault := config.getoption("--fault")) is not None:
        from . import pytest_faults

        if (mode := config.getoption("--record-mode")) not in (None, "replay"):
            raise pytest.UsageError(f"--fault replays what is recorded: leave out --record-mode={mode}")
        pytest_faults.read(fault)
        pytest_faults.register(config)
    if config.pluginmanager.has_plugin("xdist"):
        config.pluginmanager.register(_Controller(config))


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Last, so that the fault comes last in the test's id."""
    marker = metafunc.definition.get_closest_marker("faults")
    if marker is not None and not _runs_once(metafunc.config):
        from . import pytest_faults

        pytest_faults.multiply(metafunc, marker)


def pytest_itemcollected(item: pytest.Item) -> None:
    """The marker alone is enough: the test need not name the fixture."""
    names = getattr(item, "fixturenames", None)
    if names is None or "recording" in names:
        return
    if item.get_closest_marker("recording") or item.get_closest_marker("faults"):
        names.insert(0, "recording")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[_failed] = report.failed
    if report.skipped and "recording" in getattr(item, "fixturenames", ()):
        path, _ = _path_of(item, _options(item), _test_of(item))
        _list(item.config.stash[_listed], os.path.abspath(path), None)  # noqa: PTH100 - as it is named
    return report


@pytest.fixture
def recording(request: pytest.FixtureRequest) -> Generator[Use]:
    """The recording that answers this test: a `recorder.modes.Use`."""
    from .modes import Use
    from .taking import mode_here

    item = cast("pytest.Item", request.node)  # pyright: ignore[reportUnknownMemberType]
    options = _options(item)
    test, chosen = _under_fault(item)
    path, named = _path_of(item, options, test)
    mode = mode_here(
        options.pop("mode", None) or item.config.getini("record_mode"),
        explicit=cast("Mode | None", item.config.getoption("--record-mode")),
    )
    hint = f"To record it: pytest '{test}' --record-mode=append (adds what is missing; rewrite begins anew)"
    if chosen is not None:
        mode, options["faults"] = "replay", chosen.fault
    use = Use(path, mode, hint=hint, **options)
    use.__enter__()
    if chosen is not None:
        from . import pytest_faults

        pytest_faults.judged_here(item, chosen, use)
    yield use
    passed = not item.stash.get(_failed, True)
    failure = None if passed else AssertionError("the test failed")
    try:
        use.__exit__(type(failure) if failure else None, failure, None)
    finally:
        by_hand = item.config.getoption("--fault") is not None  # it may end early, which leaves streams unused
        if use.replay is not None and use.mode in ("replay", "append") and not by_hand:
            _note(item.config, use, passed=passed, named=named)


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if output is not None:
        output["recorder_used"] = config.stash[_used]
        output["recorder_listed"] = config.stash[_listed]
        return
    if path := cast("str | None", config.getoption("--record-used")):
        chosen = _some_only(config) or any(arg.endswith(".py") for arg in config.args)
        whole = session.exitstatus == pytest.ExitCode.OK and not chosen
        _write_list(Path(path), config.stash[_listed], whole=whole)
    if _is_strict(config) and session.exitstatus == pytest.ExitCode.OK and _unused(config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if unused := _unused(config):
        strict = _is_strict(config)
        terminalreporter.section("unused recordings", red=strict, yellow=not strict)
        for line in unused:
            terminalreporter.line(line)


class _Controller:
    """Puts together what the workers of xdist used. Only there: the hook is xdist's."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        theirs: dict[str, Used] = getattr(node, "workeroutput", {}).get("recorder_used", {})
        for path, used in theirs.items():
            _merge(self._config.stash[_used], path, used)
        listed: dict[str, list[str] | None] = getattr(node, "workeroutput", {}).get("recorder_listed", {})
        for path, ids in listed.items():
            _list(self._config.stash[_listed], path, ids)


def _options(item: pytest.Item) -> dict[str, Any]:
    marker = item.get_closest_marker("recording")
    if marker is None:
        return {}
    options = dict(marker.kwargs)
    if len(marker.args) > 1 or (marker.args and "path" in options):
        raise pytest.UsageError(f"{item.nodeid}: recording takes one path, or none")
    if marker.args:
        options["path"] = marker.args[0]
    if options.get("path") is None:
        options.pop("path", None)
    return options


def _runs_once(config: pytest.Config) -> bool:
    """A test marked `faults` does so when it is to be recorded, and under the one fault of the command line."""
    mode = config.getoption("--record-mode") or os.environ.get("RECORDER_MODE") or "replay"
    return mode != "replay" or config.getoption("--fault") is not None


def _test_of(item: pytest.Item) -> str:
    """The test's node id; without the fault, where it runs once for each."""
    if item.get_closest_marker("faults") is None:
        return item.nodeid
    from . import pytest_faults

    return pytest_faults.without_fault(item)


def _under_fault(item: pytest.Item) -> tuple[str, Chosen | None]:
    """The test's node id without the fault, and the fault that this run of it gets."""
    given = cast("str | None", item.config.getoption("--fault"))
    marker = item.get_closest_marker("faults")
    if given is None and (marker is None or _runs_once(item.config)):
        return item.nodeid, None
    from . import pytest_faults

    chosen = pytest_faults.chosen_for(item, given)
    if chosen is None:
        pytest.fail(
            f"{item.nodeid}: pytest cannot run a method of unittest.TestCase once for each fault. Make it a "
            "function or a method of a plain class; or loop over recorder.faults.standard() inside, with "
            "self.subTest and recorder.replay(path, faults=...); or give one: pytest --fault 'cut_clean(at=4)'",
            pytrace=False,
        )
    return pytest_faults.without_fault(item), chosen


def _path_of(item: pytest.Item, options: dict[str, Any], test: str) -> tuple[Path, bool]:
    """The recording of a test, and whether its marker names it; takes the name out of the options."""
    named = "path" in options
    return (item.path.parent / options.pop("path") if named else _default_path(item, test)), named


def _default_path(item: pytest.Item, test: str) -> Path:
    """`test`: its node id."""
    module, *inside = test.split("::")
    name = re.sub(r"[^\w.\-\[\],=]", "_", ".".join(inside))
    if len(name) > _LONGEST:
        name = f"{name[:_LONGEST]}-{blake2b(test.encode(), digest_size=4).hexdigest()}"
    directory: str = item.config.getini("record_dir")
    return item.path.parent / directory / Path(module).stem / f"{name}.jsonl"


def _note(config: pytest.Config, use: Use, *, passed: bool, named: bool) -> None:
    assert use.replay is not None
    used = Used(
        streams={one.id: f"{one.request.method} {one.request.url}" for one in use.replay.streams},
        used=[one.id for one in use.replay.served],
        failed=not passed,
        named=named,
    )
    _merge(config.stash[_used], os.path.relpath(use.path, config.rootpath), used)


def _merge(into: dict[str, Used], path: str, used: Used) -> None:
    known = into.setdefault(path, used)
    if known is not used:
        known["streams"] |= used["streams"]
        known["used"] += used["used"]
        known["failed"] |= used["failed"]


def _unused(config: pytest.Config) -> list[str]:
    """A line for each recorded stream that the tests that ran did not ask for."""
    some_only = _some_only(config)
    return [
        f"{path}: {id} ({asked})"
        for path, one in sorted(config.stash[_used].items())
        if not one["failed"] and not (one["named"] and some_only)
        for id, asked in one["streams"].items()  # noqa: A001 - the field is called so
        if id not in one["used"]
    ]


def _some_only(config: pytest.Config) -> bool:
    """Whether the command line chose among the tests."""
    return any("::" in arg for arg in config.args) or any(
        config.getoption(option, None)
        for option in ("keyword", "markexpr", "lf", "deselect", "ignore", "ignore_glob")
    )


def _heard(listed: dict[str, list[str] | None], event: str, arguments: tuple[Any, ...]) -> None:
    """What a replay tells by `sys.audit`, however it was begun: a stream was served, or all of a file was used."""
    if event == "recorder.served":
        path, stream = arguments
        _list(listed, os.path.abspath(path), [stream])  # noqa: PTH100 - nothing of a link is to be resolved
    elif event == "recorder.opened":
        _list(listed, os.path.abspath(arguments[0]), None)  # noqa: PTH100


def _list(listed: dict[str, list[str] | None], path: str, ids: list[str] | None) -> None:
    known = listed.setdefault(path, [])
    if ids is None or known is None:
        listed[path] = None
    else:
        known += ids


def _write_list(path: Path, listed: dict[str, list[str] | None], *, whole: bool) -> None:
    """The format is told in `recorder.hygiene.used`."""
    path = path.absolute()
    files = {
        os.path.relpath(name, path.parent): None if ids is None else sorted(set(ids))
        for name, ids in sorted(listed.items())
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"format": "sse-recorder-used", "v": 1, "whole": whole, "files": files}, indent=1)
    path.write_text(text + "\n", "utf-8")


def _is_strict(config: pytest.Config) -> bool:
    return bool(config.getoption("--record-strict") or config.getini("record_strict"))
