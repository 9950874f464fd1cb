"""`python -m recorder.instrument app.py ARGUMENTS...`: run a program that must not change, and record it.

Also `-m MODULE`. The records go where RECORDER_DIR says, or to `recordings/`. The program is run as Python itself
runs it: same `sys.argv`, `sys.path`, `__main__` and exit status, and no frame of ours in its tracebacks. Forked
children are recorded; a Python that it starts anew is another program.
"""

from __future__ import annotations

import builtins
import importlib.util
import io
import os
import runpy
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any, NoReturn

from .tap.instrument import instrument, uninstrument

__all__ = ["instrument", "main", "uninstrument"]

_USAGE = "usage: python -m recorder.instrument [-m MODULE | SCRIPT] ARGUMENTS..."


class _Callable(ModuleType):
    """`import recorder.instrument` puts this module in the place of the function `recorder.instrument`."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        return instrument(*args, **options)


def main(arguments: Sequence[str]) -> None:
    """Run the program that the arguments name. Raises SystemExit as it does, with 2 for wrong usage."""
    if not arguments or (arguments[0].startswith("-") and (arguments[0] != "-m" or len(arguments) < 2)):
        _fail(_USAGE)
    if arguments[0] == "-m":
        _run_module(arguments[1], arguments[2:])
    else:
        _run_script(arguments[0], arguments[1:])


def _run_script(script: str, arguments: Sequence[str]) -> None:
    path = Path(script)
    sys.argv = [script, *arguments]
    if path.is_dir() or path.suffix in (".zip", ".pyz"):
        sys.path.pop(0)
        instrument()
        runpy.run_path(script, run_name="__main__")
        return
    try:
        with io.open_code(os.path.abspath(script)) as file:  # noqa: PTH100 - links are kept, as Python does it
            source = file.read()
    except OSError as error:
        _fail(f"{script}: {(error.strerror or str(error)).lower()}; name a Python program")
    if not sys.flags.safe_path:
        sys.path[0] = str(path.resolve().parent)
    _run(lambda: compile(source, script, "exec"), script, None)


def _run_module(name: str, arguments: Sequence[str]) -> None:
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except ModuleNotFoundError as error:
        _fail(f"no module named {error.name}")
    get_code: Any = getattr(spec.loader, "get_code", None) if spec is not None else None
    if spec is None or get_code is None or spec.origin == "built-in":
        _fail(f"no module named {name} that can be run")
    sys.argv = [spec.origin or name, *arguments]
    _run(lambda: get_code(spec.name), spec.origin or name, spec)


def _run(code: Any, file: str, spec: ModuleSpec | None) -> None:
    """In a `__main__` of its own that stays: threads and exit handlers of the program may outlive this call."""
    module = ModuleType("__main__")
    module.__dict__.update(__file__=file, __spec__=spec, __builtins__=builtins, __cached__=None)
    if spec is None:
        module.__dict__.update(__loader__=SourceFileLoader("__main__", file))
    else:
        module.__dict__.update(__package__=spec.parent, __loader__=spec.loader, __cached__=spec.cached)
    instrument()
    sys.modules["__main__"] = module
    try:
        made: CodeType = code()
        exec(made, module.__dict__)  # noqa: S102 - which is what running a program is
    except Exception as error:
        kind, trace = type(error), _without_ours(error.__traceback__)
        error.__traceback__ = trace
        sys.excepthook(kind, error, trace)
        raise SystemExit(1) from None


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def _fail(message: str) -> NoReturn:
    sys.stderr.write(f"error: {message}\n")
    raise SystemExit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
else:
    sys.modules[__name__].__class__ = _Callable
