"""Files as they are found: cut anywhere, corrupt, foreign, too new. Never a crash, never silent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import recorder
from recorder.core.attempt import Attempt
from recorder.core.lines import encode_line
from recorder.core.records import FORMAT, VERSION, Header, Record
from recorder.core.redact import Secrets
from recorder.log import reader
from recorder.log.reader import Problem, find_segments, read_records

HEADER = Header(format=FORMAT, v=VERSION, segment="seg", wall=1, mono=2, recorder="0")


def stream(name: str, events: int = 3, *, ended: bool = True) -> list[Record]:
    one = Attempt(stream=name, call=name, attempt=0, secrets=Secrets())
    records: list[Record] = [
        one.request(wall=1, mono=2, method="POST", url="/v1/messages", headers=[], body=b'{"stream":true}'),
        one.response(at=5, status=200, headers=[("content-type", "text/event-stream")]),
    ]
    for n in range(events):
        records += one.chunk(n, 0, b'event: ping\ndata: {"n":%d}\n\n' % n)
    return records + (one.end(99, 0, "read") if ended else [])


def lines(*records: Record) -> bytes:
    return b"".join(map(encode_line, records))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "r.jsonl"


def ids(recording: recorder.Recording) -> list[str]:
    return [one.id for one in recording.streams()]


def test_a_file_cut_at_any_byte_reads_to_its_last_whole_line(path: Path) -> None:
    whole = lines(HEADER, *stream("a"))
    for size in range(len(encode_line(HEADER)), len(whole) + 1):
        path.write_bytes(whole[:size])
        recording = recorder.open(path)
        events = [event for one in recording.streams() for event in one.events]
        kept = whole[:size].rpartition(b"\n")[0].split(b"\n")
        assert len(events) == sum(b'"kind":"event"' in line for line in kept)
        torn = not whole[:size].endswith(b"\n")
        assert [("torn last line" in problem.reason) for problem in recording.problems] == [True] * torn


def test_the_rest_of_a_torn_line_that_comes_meanwhile_is_no_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = lines(HEADER, *stream("a"))
    path.write_bytes(whole[:-20])

    def noticed(*what: Any) -> Problem:
        """The torn line was read and is being noted: its writer goes on."""
        path.write_bytes(whole + whole)
        return Problem(*what)

    monkeypatch.setattr(reader, "Problem", noticed)
    problems: list[Problem] = []

    assert len([*read_records(path, report=problems.append)]) == whole.count(b"\n") - 1
    assert [problem.kind for problem in problems] == ["torn"]


def test_one_flipped_bit_at_any_byte_is_never_a_crash(path: Path) -> None:
    whole = bytearray(lines(HEADER, *stream("a", 1)))
    for at in range(len(whole)):
        whole[at] ^= 0x04
        path.write_bytes(whole)
        for salvage in (False, True):
            recording = recorder.open(path, salvage=salvage)
            try:
                for one in recording.streams():
                    one.body(), one.message(), one.chunks(), one.timing()
            except recorder.RecordingError as error:
                assert str(path) in str(error)  # noqa: PT017 - either it reads, or it says where it does not
        whole[at] ^= 0x04


BAD = {
    "not JSON": b'{"kind":"event",,}',
    "not a record": b'{"kind":"event","stream":"a"}',
    "bad UTF-8": b'{"kind":"event","stream":"\xff"}',
    "nested": b"[" * 100_000,
    "empty line": b"",
}


@pytest.mark.parametrize("bad", BAD)
def test_a_corrupt_line_stops_a_strict_reader_and_not_a_salvaging_one(path: Path, bad: str) -> None:
    path.write_bytes(lines(HEADER, *stream("a")) + BAD[bad] + b"\n" + lines(*stream("b")))
    number = len(stream("a")) + 2

    with pytest.raises(recorder.CorruptError, match=rf"r\.jsonl:{number}: .*; salvaging reads the rest"):
        ids(recorder.open(path))
    recording = recorder.open(path, salvage=True)

    assert ids(recording) == ["a", "b"]
    assert [problem.line for problem in recording.problems] == [number]


def test_a_line_of_20_mib_is_a_line(path: Path) -> None:
    one = Attempt(stream="big", call="c", attempt=0, secrets=Secrets())
    records: list[Record] = [
        one.request(wall=1, mono=2, method="POST", url="/v1/messages", headers=[], body=b""),
        one.response(at=5, status=200, headers=[("content-type", "text/event-stream")]),
        *one.chunk(9, 0, b'data: {"t":"' + b"x" * (20 << 20) + b'"}\n\n'),
        *one.end(10, 0, "read"),
    ]
    path.write_bytes(lines(HEADER, *records))

    [stream] = recorder.open(path).streams()

    assert len(stream.body()) > 20 << 20


def test_streams_come_as_they_end_and_lost_ones_last(path: Path) -> None:
    a, b, lost = stream("a"), stream("b"), stream("lost", ended=False)
    mixed = [record for group in zip(a, b, strict=True) for record in group]
    path.write_bytes(lines(HEADER, *lost, *mixed))

    assert ids(recorder.open(path)) == ["a", "b", "lost"]
    assert recorder.open(path).stream("lost").end is None


def test_files_can_be_concatenated_and_a_stream_can_go_on_in_the_next_segment(tmp_path: Path) -> None:
    a = stream("a")
    (tmp_path / "1.jsonl").write_bytes(lines(HEADER, *a[:4]))
    (tmp_path / "2.jsonl").write_bytes(lines(HEADER, *a[4:], HEADER, *stream("b")))

    first, second = recorder.open(tmp_path).streams()

    assert (first.id, len(first.records), second.id) == ("a", len(a), "b")


def test_a_directory_a_file_and_a_glob(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.jsonl", "deep/a.jsonl", "notes.txt"):
        (tmp_path / name).write_bytes(lines(HEADER))

    assert [p.name for p in find_segments(tmp_path)] == ["b.jsonl", "a.jsonl"]
    assert [p.name for p in find_segments(tmp_path / "notes.txt")] == ["notes.txt"]
    assert [p.name for p in find_segments(str(tmp_path / "**/*.jsonl"))] == ["b.jsonl", "a.jsonl"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello\n", "1: not a recording"),
        (b"{}\n", "1: not a recording"),
        (lines(*stream("a")), "1: not a recording"),
        (b'{"kind":"header","format":"asciicast","v":1,"segment":"","wall":0,"mono":0,"recorder":""}\n', "format is 'asciicast'"),
        (lines(Header(format=FORMAT, v=9, segment="", wall=0, mono=0, recorder="")), "newer sse-recorder (format 9; this one reads up to 1); pip install -U sse-recorder"),
        (lines(Header(format=FORMAT, v=0, segment="", wall=0, mono=0, recorder="")), "format 0 does not exist"),
    ],
)  # fmt: skip
def test_what_is_no_recording_of_ours_says_so(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    for salvage in (False, True):
        with pytest.raises(recorder.RecordingError) as caught:
            ids(recorder.open(path, salvage=salvage))
        assert message in str(caught.value)
    assert path.read_bytes() == content


def test_nothing_there_says_so(tmp_path: Path) -> None:
    for name, message in (
        (tmp_path, "no recordings in this directory"),
        (tmp_path / "no", "no such file"),
        (f"{tmp_path}/*.jsonl", "no file matches"),
    ):
        with pytest.raises(recorder.RecordingError, match=message):
            recorder.open(name)


def test_an_empty_file_is_a_problem_not_an_error(path: Path) -> None:
    path.touch()
    recording = recorder.open(path)

    assert ids(recording) == []
    assert recording.problems == [Problem(path, None, "empty file", "empty")]


def test_missing_records_are_told(path: Path) -> None:
    records = stream("a")
    path.write_bytes(lines(HEADER, *records[:3], *records[4:], *stream("b")[1:]))
    recording = recorder.open(path)

    assert ids(recording) == ["a"]
    assert [problem.reason for problem in recording.problems] == [
        "stream a: seq 3 to 3 is missing",
        "stream b has no request record; left out",
    ]


def test_a_stream_is_found_by_the_beginning_of_its_id(path: Path) -> None:
    path.write_bytes(lines(HEADER, *stream("abc"), *stream("abd"), *stream("ab")))
    recording = recorder.open(path)

    assert recording.stream("abc").id == "abc"
    assert recording.stream("ab").id == "ab"
    for wrong, message in (("a", "3 streams start with 'a'"), ("x", "no stream starts with 'x'")):
        with pytest.raises(recorder.RecordingError, match=message):
            recording.stream(wrong)
