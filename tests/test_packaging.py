"""What an installer sees: the version, the files, the commands, the lowest versions, and the set-up in make."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, version
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import recorder

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME = re.compile(r"[A-Za-z0-9-]+")


def test_the_library_and_its_distribution_say_the_same_version() -> None:
    assert recorder.__version__ == version("sse-recorder") == PROJECT["version"]


@pytest.mark.parametrize("package", ["recorder", "recorder_cli"])
def test_a_type_checker_of_a_user_is_told_to_read_our_types(package: str) -> None:
    assert files(package).joinpath("py.typed").is_file()


@pytest.mark.parametrize("command", ["recorder", "sse-recorder"])
def test_the_command_is_installed_and_what_it_runs_is_there(command: str) -> None:
    (script,) = distribution("sse-recorder").entry_points.select(group="console_scripts", name=command)
    assert callable(script.load())


def test_pytest_finds_the_plugin() -> None:
    (plugin,) = distribution("sse-recorder").entry_points.select(group="pytest11")
    assert plugin.load().__name__ == "recorder.pytest_plugin"


def test_every_dependency_has_a_lowest_version_and_what_is_installed_is_not_below() -> None:
    """CI tests the lowest versions: `.ci/floors.py` makes pip's constraints of them."""
    command = [sys.executable, str(ROOT / ".ci" / "floors.py")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    floors = dict(line.split("==") for line in run.stdout.splitlines())
    extras = PROJECT["optional-dependencies"]
    declared = [
        *PROJECT["dependencies"],
        *(line for name in extras if name not in ("dev", "beside") for line in extras[name]),
    ]
    names = dict.fromkeys(NAME.match(line)[0] for line in declared)  # type: ignore[index]
    assert list(names) == list(floors)
    for requirement in PROJECT["dependencies"]:
        if "python_version < '3.14'" in requirement and sys.version_info >= (3, 14):
            continue
        name = NAME.match(requirement)[0]  # type: ignore[index]
        assert _numbers(version(name)) >= _numbers(floors[name]), name


def _numbers(dotted: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", dotted)]


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@needs_make
def test_make_with_too_old_a_python_says_so_in_one_line(tmp_path: Path) -> None:
    python = _stand_in(tmp_path, 'case "$2" in *exit*) exit 1;; *) echo 3.10.13;; esac')
    oldest = PROJECT["requires-python"].removeprefix(">=")
    expected = (
        f"sse-recorder needs Python {oldest} or newer, but {python} is 3.10.13. "
        f"Install one, or name another: make demo PYTHON=/path/to/python{oldest}"
    )
    assert expected in _only_line_of_make_demo(tmp_path, python)


@needs_make
def test_make_with_a_python_that_is_not_there_says_so_in_one_line(tmp_path: Path) -> None:
    assert "but nosuchpython is not there. Install one" in _only_line_of_make_demo(tmp_path, "nosuchpython")


@needs_make
def test_make_with_a_python_that_makes_no_virtual_environments_names_the_package(tmp_path: Path) -> None:
    python = _stand_in(
        tmp_path, f'case "$2" in *ensurepip*) echo no >&2; exit 1;; esac; exec {sys.executable} "$@"'
    )
    line = _only_line_of_make_demo(tmp_path, python)
    assert "cannot make virtual environments: it has no ensurepip" in line
    assert "install its package python3-venv" in line


def _stand_in(directory: Path, script: str) -> str:
    python = directory / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return str(python)


def _only_line_of_make_demo(directory: Path, python: str) -> str:
    # What an outer make hands down would have this one announce directories, or take another's VENV.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    run = subprocess.run(
        ["make", "demo", f"PYTHON={python}", f"VENV={directory / 'venv'}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode != 0
    assert run.stdout == ""
    assert not (directory / "venv").exists()
    (line,) = run.stderr.splitlines()
    return line


def test_no_public_name_is_the_name_of_a_module_of_ours() -> None:
    """Importing `recorder.x` would put the module in the place of the function `recorder.x`."""
    modules = {path.stem for path in Path(recorder.__file__).parent.iterdir()}

    assert modules & set(recorder.__all__) == {"faults", "instrument"}  # that module; one that can be called
