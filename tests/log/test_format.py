"""FORMAT.md is true: its examples are records, and every field of every record is in it."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest

from recorder.core.lines import KINDS, decode_line, encode_line
from recorder.core.records import Bytes, End, Event, Footer, Gap, Header, Request, Response, Unknown
from recorder.log.verify import verify

FORMAT = files("recorder").joinpath("FORMAT.md").read_text("utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)\n```", FORMAT, re.DOTALL)
STRUCTS = (Header, Request, Response, Event, Bytes, Gap, End, Footer)


def test_there_is_an_example_of_every_kind() -> None:
    kinds = {msgspec.json.decode(example)["kind"] for example in EXAMPLES}

    assert kinds == KINDS == {struct.__struct_config__.tag for struct in STRUCTS}


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_the_line_that_we_would_write(example: str) -> None:
    record = decode_line(example.encode())

    assert not isinstance(record, Unknown)
    assert encode_line(record).decode() == example + "\n"


@pytest.mark.parametrize("struct", STRUCTS)
def test_every_field_is_documented(struct: type[msgspec.Struct]) -> None:
    undocumented = [
        name for name in struct.__struct_fields__ if f"`{name}`" not in FORMAT and f'"{name}"' not in FORMAT
    ]

    assert undocumented == []


def test_the_example_of_a_footer_seals_the_example_of_a_header(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        "".join(f"{one}\n" for one in EXAMPLES if '"kind":"header"' in one or '"kind":"footer"' in one)
    )

    [check] = verify([path])

    assert (check.lines, check.sealed, check.problems) == (2, True, [])


def test_a_kind_of_the_future_is_kept_as_it_stands() -> None:
    line = b'{"kind":"mood","stream":"s1","seq":3,"colour":"blue"}\n'

    assert decode_line(line) == Unknown(kind="mood", stream="s1", line=line)
