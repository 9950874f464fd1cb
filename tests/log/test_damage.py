"""A small sealed recording, cut at every byte and with a bit flipped in every byte: never a crash, never silent."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

import recorder
from recorder.analytics.database import connect
from recorder.analytics.report import QueryError, Tables
from recorder.core.attempt import Attempt
from recorder.core.lines import encode_line
from recorder.core.records import Record
from recorder.core.redact import Secrets
from recorder.core.seal import Seal
from recorder.core.zstd import CompressionParameter, ZstdFile
from recorder.log.verify import FileCheck, verify
from tests.cli.command import recorder as command
from tests.log.test_reader import HEADER, lines


def stream(name: str) -> list[Record]:
    """A sound one, of two events."""
    one = Attempt(stream=name, call=name, attempt=0, secrets=Secrets())
    return [
        one.request(wall=1, mono=2, method="POST", url="/v1/messages", headers=[], body=b'{"stream":true}'),
        one.response(at=5, status=200, headers=[("content-type", "text/event-stream")]),
        *one.chunk(10, 5, b'event: ping\ndata: {"n":0}\n\n'),
        *one.chunk(20, 5, b'event: ping\ndata: {"n":1}\n\n'),
        *one.end(99, 0, "read"),
    ]


SECTION = lines(HEADER, *stream("a"))


def sealed(section: bytes, segment: str = HEADER.segment) -> bytes:
    seal = Seal()
    seal.add(section)
    return section + seal.footer(segment, {"streams": 1, "events": 2})


ONE = sealed(SECTION)
TWO = ONE + sealed(SECTION.replace(b'"stream":"a"', b'"stream":"b"'))
CONTENTS = {"one section": ONE, "two sections": TWO}


def compressed(content: bytes) -> bytes:
    target = io.BytesIO()
    with ZstdFile(target, "wb", options={int(CompressionParameter.checksum_flag): 1}) as file:
        file.write(content)
    return target.getvalue()


@pytest.fixture(params=CONTENTS)
def content(request: pytest.FixtureRequest) -> bytes:
    return CONTENTS[request.param]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.jsonl"


def flips(content: bytes) -> Iterator[tuple[int, bytes]]:
    """One bit of each byte, every bit in turn."""
    for at in range(len(content)):
        yield at, content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :]


def check(path: Path, content: bytes) -> FileCheck:
    path.write_bytes(content)
    [found] = verify([path])
    return found


def read_everything(path: Path) -> tuple[int, list[recorder.Problem]]:
    """Events that a salvaging reader gets, and what it says; a strict one does no worse than to refuse."""
    for salvage in (False, True):
        recording = recorder.open(path, salvage=salvage)
        events = 0
        try:
            for one in recording.streams():
                one.body(), one.message(), one.chunks(), one.timing()
                events += len(one.events)
        except recorder.RecordingError as error:
            assert str(path) in str(error)  # noqa: PT017 - either it reads, or it says where it does not
            recording.problems.append(recorder.Problem(path, error.line, error.reason, "corrupt"))
    return events, recording.problems


def test_the_whole_of_it_is_sealed(path: Path, content: bytes) -> None:
    found = check(path, content)

    assert (found.sealed, found.problems, found.warnings) == (True, [], [])
    assert read_everything(path) == (2 * content.count(b'"kind":"header"'), [])


def test_cut_at_any_byte_it_reads_to_the_last_whole_line_and_is_not_sealed(path: Path, content: bytes) -> None:
    ends = {len(ONE), len(content)}
    for size in range(len(content) + 1):
        kept = content[:size]
        found = check(path, kept)
        events, said = read_everything(path)

        whole = kept[: kept.rfind(b"\n") + 1]
        assert events == whole.count(b'"kind":"event"'), size
        assert found.sealed == (size in ends), size
        assert bool(said) == (kept != whole or not kept), size
        assert bool(found.problems + found.warnings) == bool(said), size


def test_a_flipped_bit_anywhere_is_found(path: Path, content: bytes) -> None:
    for at, flipped in flips(content):
        found = check(path, flipped)
        read_everything(path)

        assert found.problems, (at, flipped[max(0, at - 20) : at + 20])


def test_a_compressed_one_cut_anywhere_is_damaged_and_reads_up_to_there(tmp_path: Path) -> None:
    path, packed = tmp_path / "a.jsonl.zst", compressed(ONE)
    for size in range(len(packed)):
        found = check(path, packed[:size])
        _, said = read_everything(path)

        assert found.problems, size
        assert any("damaged" in one.reason for one in said), size
        assert not found.sealed or size > len(packed) - 5  # all is there, but for its checksum


def test_a_flipped_bit_in_a_compressed_one_is_found_where_it_changes_anything(tmp_path: Path) -> None:
    path, packed = tmp_path / "a.jsonl.zst", compressed(ONE)
    harmless = 0
    for at, flipped in flips(packed):
        found = check(path, flipped)
        events, said = read_everything(path)

        if not found.problems:
            harmless += 1
            assert (found.sealed, events, said) == (True, 2, []), at
    assert harmless < 5  # bits of zstd's own header: how much memory to set aside


def test_damage_far_into_a_compressed_file_leaves_what_stands_before(tmp_path: Path) -> None:
    many = [record for n in range(2000) for record in stream(f"s{n}")]
    packed = compressed(lines(HEADER, *many))
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(packed[: len(packed) * 3 // 4])

    recording = recorder.open(path, salvage=True)

    assert len(list(recording.streams())) > 1000
    [problem] = recording.problems
    assert "damaged from here on" in problem.reason
    with pytest.raises(recorder.CorruptError, match="damaged from here on"):
        list(recorder.open(path).streams())


SAMPLE = 97


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.zst"])
def test_tables_of_what_is_damaged_say_what_they_leave_out(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    whole = ONE if name == "a.jsonl" else compressed(ONE)
    damaged = [whole[:size] for size in range(0, len(whole), SAMPLE)]
    damaged += [flipped for at, flipped in flips(whole) if at % SAMPLE == 0]
    for content in damaged:
        path.write_bytes(content)
        said: list[recorder.Problem] = []
        expected, problems = read_everything(path)
        try:
            ((events,),) = (
                Tables([path], salvage=True, report=said.append).query("SELECT count(*) FROM events").rows
            )
        except (recorder.RecordingError, QueryError) as error:
            assert str(path) in str(error) or problems  # noqa: PT017
        else:
            assert (events, bool(said)) == (expected, bool(problems)) or check(path, content).problems


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.zst"])
def test_commands_take_what_is_damaged(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    whole = ONE if name == "a.jsonl" else compressed(ONE)
    for at, flipped in flips(whole):
        if at % SAMPLE == 0:
            path.write_bytes(flipped)
            for arguments in (["verify"], ["ls"], ["show"], ["compact", "--dry-run"]):
                result = command(*arguments, path)
                assert result.exit_code in (0, 1, 3, 4), (at, result.stderr)
                assert (result.exit_code == 0) <= ("error: " not in result.stderr)


def test_footers_are_no_rows(path: Path) -> None:
    path.write_bytes(TWO)

    rows = connect([path]).execute("SELECT count(*), sum(events) FROM streams").fetchall()

    assert rows == [(2, 4)]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (ONE + lines(*stream("b")), "a record after the footer"),
        (ONE + ONE.splitlines(keepends=True)[-1], "a record after the footer"),
        (sealed(SECTION, "another"), "footer says segment another, it is seg"),
        (SECTION.replace(b'"n":1', b'"n":2') + ONE.removeprefix(SECTION), "footer says sha256"),
        (lines(HEADER) + ONE.removeprefix(SECTION), "footer says lines 6, it is 1"),
        (SECTION + ONE.removeprefix(SECTION).replace(b',"sha256"', b', "sha256"'), "the footer does not end with its sha256"),
    ],
)  # fmt: skip
def test_each_way_in_which_a_footer_is_belied_is_named(path: Path, content: bytes, says: str) -> None:
    found = check(path, content)

    assert any(problem.reason.startswith(says) for problem in found.problems), found.problems
    if "after" in says:
        assert (found.sealed, len(found.problems)) == (False, 1)


def test_a_kind_that_is_not_known_stays_unknown(path: Path) -> None:
    mood = b'{"kind":"mood","segment":"seg","sha256":"00"}\n'

    found = check(path, sealed(SECTION + mood))

    assert (found.unknown, found.problems, found.sealed) == (1, [], True)
    assert encode_line(HEADER) == SECTION.splitlines(keepends=True)[0]
