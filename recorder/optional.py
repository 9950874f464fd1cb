"""Packages that only some questions need: looked for when they are asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class MissingPackage(ImportError):
    """A package that is not installed. The message says how to install it."""


def need(module: str, extra: str) -> Any:
    """The module. Raises MissingPackage; `extra` is the one of ours that brings it."""
    try:
        return import_module(module)
    except ImportError as error:
        what = (error.name or module).partition(".")[0]
        raise MissingPackage(f"{what} is not installed: pip install 'sse-recorder[{extra}]'", name=what) from None
