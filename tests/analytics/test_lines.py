"""Lines that no writer of ours spells so are loaded as the reader reads them: fast paths look at the first bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recorder.analytics.database import connect

PLAIN = Path(__file__).parents[2] / "fixtures" / "tool_use.jsonl"
Line = dict[str, Any]


def spelt(line: Line) -> str:
    return json.dumps(line, separators=(",", ":"))


def records() -> list[Line]:
    lines = [json.loads(line) for line in PLAIN.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["kind"] != "footer"]


def tables(path: Path, text: str) -> dict[str, list[Any]]:
    path.write_bytes(text.encode())
    with connect([path], payloads=False) as connection:
        return {
            "streams": connection.execute("FROM streams").fetchall(),
            "events": connection.execute("FROM events ORDER BY seq").fetchall(),
            "errors": connection.execute("SELECT line, reason FROM load_errors").fetchall(),
        }


def usual(path: Path) -> dict[str, list[Any]]:
    found = tables(path, "".join(f"{spelt(line)}\n" for line in records()))
    assert len(found["events"]) > 20
    return found


SPELLINGS: dict[str, Callable[[Line], str]] = {
    "spaces": lambda line: json.dumps(line) + "\n",
    "CRLF": lambda line: spelt(line) + "\r\n",
    "a CR inside": lambda line: spelt(line).replace('"seq":', '\r"seq":') + "\n",
    "another order": lambda line: json.dumps(dict(sorted(line.items()))) + "\n",
    "empty lines": lambda line: spelt(line) + "\n\n",
    "a kind of later": lambda line: spelt(line) + '\n{"kind":"later","stream":"x","seq":"y","status":[]}\n',
    "a request as text": lambda line: (
        spelt({name: value for name, value in line.items() if name != "data"} | {"text": spelt(line["data"])})
        + "\n"
        if line["kind"] == "request"
        else spelt(line) + "\n"
    ),
    "a phase of later": lambda line: (
        spelt(line | ({"phases": line.get("phases", {}) | {"queue": "x"}} if line["kind"] == "response" else {}))
        + "\n"
    ),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_line_may_be_spelt_otherwise(tmp_path: Path, name: str) -> None:
    text = "".join(SPELLINGS[name](line) for line in records())
    assert tables(tmp_path / "other.jsonl", text) == usual(tmp_path / "plain.jsonl")


def test_text_may_hold_an_escape_as_it_is_written_in_a_program(tmp_path: Path) -> None:
    lines = [line | {"tags": {"code": r"\x01"}} if line["kind"] == "request" else line for line in records()]
    found = tables(tmp_path / "r.jsonl", "".join(f"{spelt(line)}\n" for line in lines))
    assert found["events"] == usual(tmp_path / "plain.jsonl")["events"]
    assert found["errors"] == []


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("response", "status", "abc"),
        ("response", "phases", 5),
        ("response", "headers", [1]),
        ("end", "error", "x"),
        ("end", "chunks", {}),
        ("request", "mono", []),
    ],
)
def test_a_value_of_another_type_is_no_record(tmp_path: Path, kind: str, field: str, value: Any) -> None:
    lines = [line | {field: value} if line["kind"] == kind else line for line in records()]
    [(number, reason), *_] = tables(tmp_path / "r.jsonl", "".join(f"{spelt(line)}\n" for line in lines))["errors"]
    assert [line["kind"] for line in lines].index(kind) + 1 == number
    assert f"$.{field}" in reason


def test_words_that_nobody_spoke_so_far_are_kept(tmp_path: Path) -> None:
    lines = records()
    events = [line for line in lines if line["kind"] == "event"]
    events[3] |= {"event": "of_later", "delta": "later_delta"}
    found = tables(tmp_path / "r.jsonl", "".join(f"{spelt(line)}\n" for line in lines))
    assert [row for row in found["events"] if "of_later" in row and "later_delta" in row]
    assert len(found["events"]) == len(usual(tmp_path / "plain.jsonl")["events"])
