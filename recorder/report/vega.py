"""The library that draws: Vega and Vega-Lite, for the browser as a program, for files as pictures.

It comes with the package vl-convert-python, which the extra `report` installs.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files as resources
from types import ModuleType
from typing import Any

_BUNDLE = "window.vegaEmbed = vegaEmbed;"
_VARIABLE = re.compile(r"var\(--([a-z0-9]+)\)")


class MissingExtra(ImportError):
    """A package that draws or serves is not installed. The message says what to do."""

    def __init__(self, package: str) -> None:
        super().__init__(f"{package} is not installed: pip install 'sse-recorder[report]'")


def _vl_convert() -> ModuleType:
    try:
        import vl_convert
    except ImportError:
        raise MissingExtra("vl-convert-python") from None
    return vl_convert


@cache
def library() -> str:
    """The program that draws in a browser, as one JavaScript module: Vega, Vega-Lite and Vega-Embed."""
    return _vl_convert().javascript_bundle(_BUNDLE)


def picture(spec: dict[str, Any], *, scale: float = 2) -> tuple[bytes, bytes]:
    """A chart as PNG and as SVG."""
    vega = _vl_convert()
    svg: str = vega.vegalite_to_svg(_in_colours(spec))
    return vega.svg_to_png(svg, scale=scale), svg.encode()


def _in_colours(spec: dict[str, Any]) -> Any:
    """The page's colours are variables of its style sheet; a file has those of the light one."""
    light = json.loads(asset("theme.json"))["light"]
    return json.loads(_VARIABLE.sub(lambda found: light[found[1]], json.dumps(spec)))


def asset(name: str) -> str:
    """A file of `assets/`."""
    return resources("recorder.report").joinpath("assets", *name.split("/")).read_text(encoding="utf-8")


CHARTS = (
    *("volume", "ecdf", "over_time", "gantt", "gaps", "tokens", "heat", "goodput", "compare", "shift"),
    *("waterfall", "curve", "strip"),
)
"""In the order of the page; the last three are of one stream."""


@cache
def chart(name: str) -> dict[str, Any]:
    """A chart as a Vega-Lite document without data. Do not change it."""
    return json.loads(asset(f"charts/{name}.json"))
