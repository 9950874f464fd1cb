"""Questions that are asked often, as SQL: each a file that begins with what it asks."""

from __future__ import annotations

from importlib.resources import files

from msgspec import Struct


class Question(Struct, frozen=True):
    """`name`: of the file, without its number; `asks`: its comment; `sql`: the query below."""

    number: int
    name: str
    asks: str
    sql: str


def questions() -> list[Question]:
    """All of them, in order."""
    return [
        _question(entry.name, entry.read_text(encoding="utf-8"))
        for entry in sorted(files(__name__).iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".sql")
    ]


def _question(file: str, text: str) -> Question:
    number, _, name = file.removesuffix(".sql").partition("_")
    lines = text.splitlines(keepends=True)
    begin = next(n for n, line in enumerate(lines) if not line.startswith("--"))
    asks = " ".join(line.removeprefix("-- ").strip() for line in lines[:begin])
    return Question(int(number), name, asks, "".join(lines[begin:]))
