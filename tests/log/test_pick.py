"""A few streams out of recordings are what reading all of them gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder.log.compact import compact
from recorder.log.pick import pick_streams
from recorder.log.reader import RecordingError
from recorder.log.streams import read_streams
from tests.cli.recordings import closed, every_kind, lines, lost, text, write


def test_the_streams_picked_have_the_records_that_reading_all_gives(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *every_kind())
    everything = {stream.id: stream for stream in read_streams([path], report=lambda problem: None)}
    wanted = list(everything)[::2]

    picked = pick_streams([path], [*wanted, "not there"])

    assert set(picked) == set(wanted)
    for name, stream in picked.items():
        assert stream.records == everything[name].records
        assert (stream.response, stream.end) == (everything[name].response, everything[name].end)


def test_a_stream_goes_on_in_the_next_segment(tmp_path: Path) -> None:
    head, *rest = text("s1")
    paths = [write(tmp_path / "a.jsonl", [head, *rest[:3]]), write(tmp_path / "b.jsonl", rest[3:])]

    assert pick_streams(paths, ["s1"])["s1"].records == [head, *rest]


def test_compressed_segments_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", text("s1"))
    before = pick_streams([path], ["s1"])["s1"].records
    assert compact(path).path == path

    assert not path.exists()
    assert pick_streams([*tmp_path.glob("a.jsonl*")], ["s1"])["s1"].records == before


def test_an_id_that_json_has_to_escape_is_found(tmp_path: Path) -> None:
    odd = 'a"b\\cé'
    path = write(tmp_path / "a.jsonl", text(odd), text("plain"))

    assert list(pick_streams([path], [odd])) == [odd]


def test_lines_spelt_in_another_way_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(text("s1"), closed("s2")).replace(b'"stream":"', b'"stream": "'))

    assert len(pick_streams([path], ["s2"])["s2"].records) == len(closed("s2"))


def test_what_is_corrupt_or_torn_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", text("s1"), lost("s2"))
    content = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*content[:3], b'{"kind":"event","stream":"s1",\n', *content[3:]]) + b'{"kind":"ev')

    assert len(pick_streams([path], ["s1"])["s1"].records) == len(text("s1"))


def test_nothing_is_read_for_nobody_and_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    assert pick_streams([tmp_path / "gone.jsonl"], []) == {}
    with pytest.raises(RecordingError, match="no such file"):
        pick_streams([tmp_path / "gone.jsonl"], ["s1"])
