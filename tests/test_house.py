"""The layering of the house, read from the source: who may import whom, and which third party enters where.

An import counts wherever it stands: at the top, inside a function, under TYPE_CHECKING.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*(ROOT / "recorder").rglob("*.py"), *(ROOT / "cli" / "recorder_cli").rglob("*.py")])

# A part is a package or a module directly in recorder/; `cli` is recorder_cli, `recorder` is the __init__.py.
OURS = {
    "core": set[str](),
    "version": set[str](),
    "log": {"core", "version"},
    "patching": set[str](),
    "optional": set[str](),
    "tap": {"log", "core", "version", "patching", "optional"},
    "replayer": {"log", "core", "version", "patching"},
    "analytics": {"log", "core", "version", "optional"},
    "faults": {"replayer"},  # the public names of recorder.replayer.faults
    "interop": {"log", "core", "version"},
    "recording": {"log", "core", "analytics", "optional"},
    "hygiene": {"log", "core", "replayer", "version"},
    "instrument": {"tap"},  # what `python -m recorder.instrument` runs
    "report": {"log", "core"},  # what it asks of tables it is given
    "child": set(),
    "taking": {"replayer", "log"},  # what the modes do to files, in a process and beside one
    "server": {"child", "taking", "tap", "replayer", "log", "core", "version"},
    "modes": {"taking", "tap", "replayer", "log"},
    "pytest_plugin": {"modes", "taking", "pytest_faults", "tap", "replayer", "log"},
    "pytest_faults": {"modes", "faults"},
    "testing": {"recorded", "hygiene"},  # an upstream that shared our parser would agree with its mistakes,
    "recorded": {"testing", "replayer", "log", "core"},  # but one that plays recordings has to read them
    "contract": {"testing", "tap", "replayer", "log", "core"},  # checks of ours, and of others' taps and players
    "check": {"child", "demo", "testing", "recorded", "faults", "replayer", "log", "core"},
    "demo": {"recorder", "tap", "replayer", "testing", "recorded", "recording", "log", "core", "version"},
}
OURS["recorder"] = set(OURS)  # the public names, loaded on first use
OURS["cli"] = set(OURS)

THIRD_PARTIES = {
    "msgspec": set(OURS),
    "anthropic": {"tap", "replayer", "contract", "demo"},
    "anyio": {"tap", "replayer", "contract", "report"},
    "backports": {"core"},
    "httpx2": {"patching", "tap", "replayer", "server", "modes", "testing", "recorded", "contract", "demo"},
    "duckdb": {"analytics", "recording"},
    "h11": {"testing", "server"},
    "pytest": {"pytest_plugin", "pytest_faults"},
    "click": {"cli"},
    "rich": {"cli"},
    "starlette": {"report"},
    "uvicorn": {"report"},
    "vl_convert": {"report"},
    "opentelemetry": {"tap"},
}
OF_EXTRAS = {"starlette", "uvicorn", "vl_convert", "opentelemetry"}

STANDARD = sys.stdlib_module_names | {"compression"}  # from 3.14 on

# What would give core a clock, a file, a socket, a thread or a loop, and what could import those unseen.
NOT_IN_CORE = {
    *("_thread", "asyncio", "concurrent", "contextvars", "ctypes", "datetime", "fcntl", "ftplib", "glob", "http"),
    *("importlib", "io", "logging", "mmap", "multiprocessing", "os", "pathlib", "pkgutil", "queue", "runpy"),
    *("sched", "select", "selectors", "shutil", "signal", "socket", "socketserver", "sqlite3", "ssl"),
    *("subprocess", "tempfile", "threading", "time", "urllib.request"),
}
UNLESS = {
    ("recorder.core.decode", "importlib"),  # brotli is optional: looked for when a body needs them
}
BUILTINS_NOT_IN_CORE = {"open", "input", "print", "__import__"}


def module_of(path: Path) -> str:
    """`recorder.core.sse` for recorder/core/sse.py; a package's __init__.py keeps that as its last part."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removeprefix("cli.")


def part_of(module: str) -> str:
    top, _, rest = module.partition(".")
    if top == "recorder_cli":
        return "cli"
    inner = rest.partition(".")[0]
    for own in ("recorded", "contract"):
        inner = own if rest.startswith(f"testing.{own}") else inner
    return inner if inner in OURS else "recorder" if inner in ("", "__init__") else inner


def imports(module: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported; `from a import b` is a.b, whether b is a module or not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            base = [*package, *(node.module.split(".") if node.module else [])]
            yield from ((node.lineno, ".".join([*base, alias.name])) for alias in node.names)


def broken_rules(module: str, source: str) -> list[str]:
    """What of `source`, the text of `module`, the house does not allow."""
    part, tree = part_of(module), ast.parse(source)
    if part not in OURS:
        return [f"{module}: {part} has no row in OURS: say what it may import, and who may import it"]
    wrong: list[str] = []
    for line, name in imports(module, tree):
        top = name.partition(".")[0]
        if top in ("recorder", "recorder_cli"):
            target = part_of(name)
            allowed = target == part or target in OURS[part]
        elif top in STANDARD:
            refused = any(f"{name}.".startswith(f"{banned}.") for banned in NOT_IN_CORE)
            allowed = part != "core" or not refused or (module, name) in UNLESS
        else:
            allowed = part in THIRD_PARTIES.get(top, ())
        if not allowed:
            wrong.append(f"{module}:{line}: {part} may not import {name}")
    if part == "core":
        wrong += [
            f"{module}:{node.lineno}: core may not call {node.func.id}()"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in BUILTINS_NOT_IN_CORE
        ]
    return wrong


def test_every_import_is_one_that_the_house_allows() -> None:
    found: set[str] = set()
    wrong: list[str] = []
    for path in SOURCES:
        source = path.read_text(encoding="utf-8")
        module = module_of(path)
        wrong += broken_rules(module, source)
        found.update(part_of(name) for _, name in imports(module, ast.parse(source)))
    assert {"core", "log"} <= found, "nothing was checked: no source, or no import in it, was found"
    assert {part_of(module_of(path)) for path in SOURCES} >= {"core", "log", "tap", "replayer", "analytics", "cli"}
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("recorder.core.sse", "import time"),
        ("recorder.core.sse", "import os.path"),
        ("recorder.core.sse", "def f():\n    from pathlib import Path"),
        ("recorder.core.sse", "import importlib"),
        ("recorder.core.sse", "open('x')"),
        ("recorder.core.sse", "from ..version import __version__"),
        ("recorder.core.sse", "from urllib import request"),
        ("recorder.core.sse", "from ..log import reader"),
        ("recorder.core.sse", "import httpx2"),
        ("recorder.log.reader", "import duckdb"),
        ("recorder.log.reader", "from recorder import Tap"),
        ("recorder.log.reader", "import recorder"),
        ("recorder.log.reader", "import recorder_cli.main"),
        ("recorder.tap.__init__", "from ..replay import match"),
        ("recorder.tap.__init__", "from recorder.replayer.match import matcher"),
        ("recorder.replayer.match", "if TYPE_CHECKING:\n    from recorder import tap"),
        ("recorder.analytics.database", "import httpx2"),
        ("recorder.analytics.database", "import rich.table"),
        ("recorder.testing", "from recorder.core.sse import SSEParser"),
        ("recorder.__init__", "from recorder_cli import main"),
        ("recorder.unheard_of", "import re"),
        ("recorder_cli.main", "import anthropic"),
        ("recorder_cli.main", "import numpy"),
    ],
)
def test_an_import_that_the_house_forbids_is_found(module: str, source: str) -> None:
    assert len(broken_rules(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("recorder.core.__init__", "from .sse import SSEParser"),
        ("recorder.core.sse", "import json, msgspec, urllib.parse\nfrom .records import Event"),
        ("recorder.core.decode", "import importlib"),
        (
            "recorder.log.writer",
            "import threading\nfrom recorder.version import __version__\nfrom ..core import sse",
        ),
        ("recorder.tap.middleware", "from anthropic import Middleware\nimport httpx2\nfrom . import body"),
        ("recorder.analytics.__init__", "import duckdb\nfrom ..log.reader import read"),
        ("recorder.__init__", "from .tap import Tap\nfrom .replayer import replay"),
        ("recorder_cli.main", "import click, rich.table\nimport recorder\nfrom recorder.analytics import report"),
    ],
)
def test_an_import_that_the_house_allows_is_not_found(module: str, source: str) -> None:
    assert broken_rules(module, source) == []


def test_importing_the_library_imports_none_of_the_heavy_packages() -> None:
    program = "import sys, recorder; print(*sorted({'anthropic', 'duckdb', 'httpx2', 'starlette', 'vl_convert'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_every_third_party_that_may_enter_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split("[^a-z0-9]", requirement)[0] for requirement in project["dependencies"]}
    assert declared == THIRD_PARTIES.keys() - OF_EXTRAS - {"pytest"}  # who uses the pytest plugin has it
    extras = project["optional-dependencies"]
    optional = {re.split("[^a-z0-9-]", one)[0] for name in ("report", "otlp") for one in extras[name]}
    modules = {re.sub("-(python|api)$", "", name).replace("-", "_") for name in optional}
    assert modules - {"opentelemetry_exporter_otlp_proto_http"} == OF_EXTRAS  # that is imported by its name alone
