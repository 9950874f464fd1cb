"""Files in pieces: whole lines, and those that every reader takes."""

from __future__ import annotations

import json
from pathlib import Path

from recorder.analytics.pieces import Cutter, cleaned
from recorder.core.records import Event
from recorder.log.compact import compact
from recorder.log.reader import read_records
from tests.analytics.kept import header, kinds, lines, write
from tests.cli import recordings

ODD = b'{"kind":"event","stream":"a","seq":9,"at":0,"wait":0,"chunk":0,"data":{"a":1,"a":2}}\n'


def test_a_cleaned_piece_has_only_what_every_reader_takes(tmp_path: Path) -> None:
    these = lines(recordings.text("0a"))
    path = write(tmp_path / "a.jsonl", "a", [*these, ODD, b"rubbish\n"])
    [piece] = Cutter(path, 0, tmp_path)

    clean, problems = cleaned(piece, tmp_path)

    assert [(problem.path, problem.line, problem.kind) for problem in problems] == [
        (path, len(these) + 3, "corrupt")
    ]
    assert [json.loads(line) for line in clean.readable.read_bytes().splitlines()]
    [moved] = [
        r for _, r in read_records(clean.readable, report=print) if isinstance(r, Event) and r.stream == "a"
    ]
    assert (bytes(moved.data), moved.text) == (b"", '{"a":1,"a":2}')


def test_lines_of_a_later_piece_are_counted_from_the_beginning_of_the_file(tmp_path: Path) -> None:
    these = kinds()
    path = write(tmp_path / "a.jsonl", "a", [*these[:20], b"rubbish\n", *these[20:]])
    start = len(header("a")) + sum(map(len, these[:7]))
    [piece] = Cutter(path, start, tmp_path)

    assert [problem.line for problem in cleaned(piece, tmp_path)[1]] == [22]


def test_the_pieces_of_a_file_are_its_whole_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", "a", [*kinds(), b'{"torn'])
    whole = path.read_bytes().removesuffix(b'{"torn')
    compact(write(tmp_path / "b.jsonl", "a", [*kinds(), b'{"torn']))
    for file in (path, tmp_path / "b.jsonl.zst"):
        cutter = Cutter(file, 0, tmp_path)

        assert b"".join(piece.readable.read_bytes() for piece in cutter) == whole
        assert (cutter.end, cutter.torn, cutter.damage) == (len(whole), 6, None)


def test_what_is_damaged_ends_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "b.jsonl", "a", kinds() * 50)
    whole = path.read_bytes()
    compact(path)
    packed = tmp_path / "b.jsonl.zst"
    packed.write_bytes(packed.read_bytes()[:-20])
    cutter = Cutter(packed, 0, tmp_path)

    kept = b"".join(piece.readable.read_bytes() for piece in cutter)

    assert whole.startswith(kept)
    assert kept.endswith(b"\n") or not kept
    assert cutter.damage
