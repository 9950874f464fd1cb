"""Every command on everything that is not a good recording: one line that says what and where, and an exit code."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from recorder.log.reader import find_segments
from tests.cli import recordings
from tests.cli.command import COMMANDS, contents, permissions_apply, recorder

MIB = 1 << 20
GOOD = recordings.lines(recordings.text())
LINES = GOOD.splitlines(keepends=True)


class Case(NamedTuple):
    """`code`: of every command but verify. `line`: what stderr says stands there. `lost`: its last record is."""

    content: bytes
    code: int
    line: int | None
    says: str
    verify: int | None = None
    salvaged: bool = False


def corrupted(line: bytes) -> bytes:
    """The recording with `line` in its middle."""
    return b"".join([*LINES[:8], line, *LINES[8:]])


CASES = {
    "an empty file": Case(b"", 3, None, "empty file"),
    "text": Case(b"hello\nworld\n", 3, 1, "not a recording"),
    "text without a line end": Case(b"hello", 3, 1, "torn last line"),
    "JSON": Case(b'{"a": 1}\n', 3, 1, "not a recording"),
    "indented JSON": Case(b'{\n "a": 1\n}\n', 3, 1, "not a recording"),
    "JSON of another format": Case(b'{"kind":"header","format":"x","v":1,"segment":"","wall":0,"mono":0,"recorder":""}\n', 3, 1, "not a recording"),
    "a JSON number": Case(b"7\n", 3, 1, "not a recording"),
    "binary": Case(bytes(range(256)) * 40, 3, 1, "not a recording"),
    "a record without header": Case(b"".join(LINES[1:]), 3, 1, "not a recording"),
    "a newer version": Case(recordings.lines(recordings.text(), v=99), 3, 1, "written by a newer sse-recorder"),
    "a torn last line": Case(GOOD[:-10], 0, len(LINES), "torn last line", 0),
    "a corrupt line": Case(corrupted(b'{"kind":"event",\n'), 4, 9, "not JSON", 1, True),
    "a line that is not a record": Case(corrupted(b'{"kind":"event","stream":7}\n'), 4, 9, "not a record", 1, True),
    "nested deeply": Case(corrupted(b"[" * 100_000 + b"\n"), 4, 9, "", 1, True),
    "bad UTF-8": Case(corrupted(LINES[8].replace(b"content_block", b"content\xff\xfeblock")), 4, 9, "bad UTF-8", 1, True),
    "a line of 20 MiB that is none": Case(corrupted(b"x" * (20 * MIB) + b"\n"), 4, 9, "not JSON", 1, True),
}  # fmt: skip


@pytest.fixture(params=list(COMMANDS))
def command(request: pytest.FixtureRequest) -> str:
    return request.param


def errors(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith("error: ")]


@pytest.mark.parametrize("name", list(CASES))
def test_a_bad_file_is_one_line_and_an_exit_code(tmp_path: Path, command: str, name: str) -> None:
    case = CASES[name]
    path = tmp_path / "a.jsonl"
    path.write_bytes(case.content)

    result = recorder(*COMMANDS[command], path)

    code = case.verify if command == "verify" and case.verify is not None else case.code
    assert (result.exit_code, len(errors(result.stderr))) == (code, 1 if code in (3, 4) else 0), result.stderr
    where = f"{path}:{case.line}: " if case.line else f"{path}: "
    assert f"{where}{case.says}" in result.stderr
    assert "Traceback" not in result.output
    assert {path: case.content} == contents(tmp_path)


@pytest.mark.parametrize("reading", [name for name in COMMANDS if name != "verify"])
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.salvaged])
def test_salvage_reads_everything_else(tmp_path: Path, reading: str, name: str) -> None:
    case = CASES[name]
    path = tmp_path / "a.jsonl"
    path.write_bytes(case.content)
    good = tmp_path / "good.jsonl"
    good.write_bytes(GOOD)

    salvaged, expected = recorder(*COMMANDS[reading], path, "--salvage"), recorder(*COMMANDS[reading], good)

    assert (salvaged.exit_code, errors(salvaged.stderr)) == (0, [])
    assert re.findall(
        rf"^warning: {re.escape(str(path))}:9: {case.says}.*; left out$", salvaged.stderr, re.MULTILINE
    )
    if name == "bad UTF-8":  # there it is an event that is lost
        assert salvaged.stdout
    else:
        assert salvaged.stdout.replace("a.jsonl", "good.jsonl") == expected.stdout


def test_a_line_of_20_mib_is_read(tmp_path: Path, command: str) -> None:
    words = ["x" * (20 * MIB), "y"]
    path = recordings.write(tmp_path / "a.jsonl", recordings.stream("b16", recordings.text_chunks(words)))

    result = recorder(*COMMANDS[command], path)

    assert (result.exit_code, errors(result.stderr)) == (0, [])
    assert len(result.stdout) < 20_000 or command == "play"


def test_no_such_path(tmp_path: Path, command: str) -> None:
    result = recorder(*COMMANDS[command], tmp_path / "nothing")

    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == f"error: {tmp_path / 'nothing'}: no such file or directory\n"


def test_a_glob_that_matches_nothing(tmp_path: Path, command: str) -> None:
    result = recorder(*COMMANDS[command], tmp_path / "*.jsonl")

    assert (result.exit_code, errors(result.stderr)) == (3, [f"error: {tmp_path / '*.jsonl'}: no file matches"])


def test_a_name_that_no_file_can_have(tmp_path: Path, command: str) -> None:
    result = recorder(*COMMANDS[command], tmp_path / ("x" * 5000))

    assert (result.exit_code, len(errors(result.stderr))) == (3, 1)


def test_an_empty_directory(tmp_path: Path, command: str) -> None:
    result = recorder(*COMMANDS[command], tmp_path)

    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith(f"error: {tmp_path}: no recordings in this directory")
    assert contents(tmp_path) == {}


def test_a_header_and_nothing_else_is_a_recording_without_streams(tmp_path: Path, command: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINES[0])

    result = recorder(*COMMANDS[command], path)

    none_to_show = command in ("show", "play")
    assert (result.exit_code, len(errors(result.stderr))) == ((3, 1) if none_to_show else (0, 0))


def test_a_bad_file_beside_good_ones_is_named(tmp_path: Path, command: str) -> None:
    recordings.write(tmp_path / "a.jsonl", recordings.text())
    (tmp_path / "b.jsonl").write_bytes(b"hello\n")

    result = recorder(*COMMANDS[command], tmp_path)

    assert result.exit_code == (1 if command == "verify" else 3)
    assert f"{tmp_path / 'b.jsonl'}:1: not a recording" in result.stderr


def test_an_empty_file_beside_good_ones_is_a_warning(tmp_path: Path, command: str) -> None:
    recordings.write(tmp_path / "a.jsonl", recordings.text())
    (tmp_path / "b.jsonl").touch()

    result = recorder(*COMMANDS[command], tmp_path)

    assert result.exit_code == 0
    assert f"warning: {tmp_path / 'b.jsonl'}: empty file\n" in result.stderr


def test_a_file_that_vanishes(tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = recordings.write(tmp_path / "a.jsonl", recordings.text())

    def then_gone(source: str | Path) -> list[Path]:
        found = find_segments(source)
        path.unlink(missing_ok=True)
        return found

    monkeypatch.setattr("recorder_cli.reading.find_segments", then_gone)

    result = recorder(*COMMANDS[command], path)

    assert (result.exit_code, len(errors(result.stderr))) == (3, 1)
    assert f"{path}: no such file or directory" in result.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="this system has other permissions")
@pytest.mark.parametrize("what", ["directory", "file"])
def test_what_may_not_be_read(command: str, what: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        path = recordings.write(directory / "inner" / "a.jsonl", recordings.text())
        recorder(*COMMANDS[command], path)  # what it imports is imported
        closed = path.parent if what == "directory" else path
        closed.chmod(0)
        with permissions_apply():
            result = recorder(*COMMANDS[command], closed)
        closed.chmod(stat.S_IRWXU)

    assert (result.exit_code, len(errors(result.stderr))) == (3, 1), result.stderr
    assert result.stderr.startswith(f"error: {closed}: permission denied")


def test_a_stream_without_a_request_is_left_out_and_told(tmp_path: Path, command: str) -> None:
    path = tmp_path / "a.jsonl"
    orphan = recordings.lines(recordings.text("0f"))
    path.write_bytes(GOOD + b"".join(orphan.splitlines(keepends=True)[2:]))

    result = recorder(*COMMANDS[command], path)

    assert result.exit_code == (1 if command == "verify" else 0)
    assert f"{path}:{len(LINES) + 1}: stream 0f" in result.stderr
    if command in ("ls", "sql"):
        assert len(result.stdout.splitlines()) == 2


def test_values_that_no_writer_writes_are_no_mistake_of_ours(tmp_path: Path, command: str) -> None:
    path = tmp_path / "a.jsonl"
    for old, new in (
        (b'"chars":7', b'"chars":%d' % 10**30),
        (b'"wall":1795223100000000000,"mono":0,"call"', b'"wall":%d,"mono":-7,"call"' % 10**30),
        (b'"wait":49000000,"chunk":1', b'"wait":-1,"base64":"\xc3\xa9","split":[[9,9,9]],"chunk":1'),
    ):
        assert old in GOOD
        path.write_bytes(GOOD.replace(old, new, 1))

        result = recorder(*COMMANDS[command], path)

        assert result.exit_code in ((1,) if command == "verify" else (0, 4)), result.stderr


def test_control_characters_of_a_name_are_escaped(tmp_path: Path, command: str) -> None:
    result = recorder(*COMMANDS[command], tmp_path / "a\x1b\nb")

    assert f"error: {tmp_path}/a\\x1b\\nb: no such file or directory\n" == result.stderr


Call = Callable[[Path], list[str | Path]]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (lambda path: ["show", path, "ffff"], "no stream starts with 'ffff'"),
        (lambda path: ["play", path, "7"], "4 streams start with '7'"),
    ],
)
def test_a_stream_that_is_not_there_or_not_the_only_one(tmp_path: Path, arguments: Call, says: str) -> None:
    path = recordings.write(tmp_path / "a.jsonl", *recordings.every_kind())

    result = recorder(*arguments(path))

    assert (result.exit_code, result.stdout) == (3, "")
    assert errors(result.stderr)[0].startswith(f"error: {path}: {says}")
