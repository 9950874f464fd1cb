"""The page, as one file that asks nothing of any network.

Whatever was recorded is data in it: compressed, in base64, so that no text can end an element or begin a program.
The policy in its head lets nothing run but the programs put there here, and nothing be fetched.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from typing import Any

import msgspec

from .data import Recorded
from .vega import CHARTS, asset, chart, library

_PROGRAM = (*("data", "aggregate", "summary", "draw", "charts", "compare", "table", "detail", "player", "main"),)
"""Files of `assets/`, read as one module in this order."""


def page(recorded: Recorded, *, title: str) -> bytes:
    """The whole page. `title`: what was recorded. Raises MissingExtra."""
    about = {"title": title, "notes": notes(recorded), "reasons": recorded.choice.reasons, "live": False}
    return document(title, {"data": pack(recorded.data), "details": pack(recorded.details), "about": pack(about)})


def notes(recorded: Recorded) -> list[str]:
    """What a reader must know of what is not in the page."""
    data, shown = recorded.data, len(recorded.details)
    wanted = len(recorded.choice.ids)
    said = ["Calls that did not ask for a stream, and streams whose request was not recorded, are left out."]
    if shown < data.count:
        said.append(f"Event by event there are {shown:,} of {data.count:,} streams; --details N changes that.")
    if shown < wanted:
        said.append(f"{wanted - shown:,} more were wanted, but would have made the page too large.")
    if data.more_stalls:
        said.append(f"Of the stalls there are the longest {len(data.stalls['stream']):,}.")
    said.append("Times in tables and charts of many streams are rounded to 10 µs.")
    return said


def document(title: str, packed: dict[str, bytes], *, connect: str = "'none'") -> bytes:
    """`packed`: what `pack` made, by name. `connect`: where the page may fetch from, as its policy says it."""
    programs = [library(), "\n".join(asset(f"{name}.js") for name in _PROGRAM)]
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(map(_hash, programs))}",
            "style-src 'unsafe-inline'",  # charts style their marks; a style can run nothing and fetch nothing
            "img-src data:",
            f"connect-src {connect}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    packed = {
        **packed,
        "charts": pack(
            {"charts": {name: chart(name) for name in CHARTS}, "config": json.loads(asset("config.json"))}
        ),
    }
    parts = {
        "policy": html.escape(policy),
        "title": html.escape(_visible(title)),
        "style": _variables() + asset("page.css"),
        "licences": html.escape(asset("LICENCES.txt")),
        "data": "\n".join(
            f'<script type="text/plain" id="packed-{name}">{_base64(blob)}</script>'
            for name, blob in packed.items()
        ),
        "programs": "\n".join(f'<script type="module">{program}</script>' for program in programs),
    }
    text = asset("page.html")
    for name, content in parts.items():
        text = text.replace(f"<!-- {name} -->", content, 1)
    return text.encode()


def pack(value: Any) -> bytes:
    """As compressed JSON. Half a surrogate pair, which a model can send, stays what it is: an escape."""
    try:
        content = msgspec.json.encode(value)
    except UnicodeEncodeError:
        content = json.dumps(msgspec.to_builtins(value), separators=(",", ":")).encode()
    return gzip.compress(content, 6, mtime=0)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _hash(program: str) -> str:
    if "</script" in program or "<!--" in program:
        raise AssertionError("a program that would end its own element")
    return f"'sha256-{base64.b64encode(hashlib.sha256(program.encode()).digest()).decode()}'"


def _visible(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _variables() -> str:
    """The colours as variables: of the system's choice, or of the reader's."""
    themes = {
        name: "".join(f"--{key}:{value};" for key, value in colours.items())
        for name, colours in json.loads(asset("theme.json")).items()
    }
    light, dark = themes["light"], themes["dark"]
    return (
        f":root{{color-scheme:light;{light}}}\n"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}\n"
        "@media print{:root,:root[data-theme=dark],:root:not([data-theme=light])"
        f"{{color-scheme:light;{light}}}}}\n"
    )
