"""`recorder fixtures`: status, trim and review, on real files and a real git; update, in tests/test_record_used.py."""

from __future__ import annotations

import json
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import pytest
from msgspec.structs import replace
from recorder_cli.fixtures import OVERVIEW, Fixtures

from recorder.core.lines import encode_line
from recorder.core.records import Header
from recorder.hygiene.status import status
from recorder.log.lock import lock
from recorder.testing import make_recording
from tests.cli import recordings
from tests.cli.command import contents, recorder

FIXTURES = Path(__file__).parents[2] / "fixtures"
GITHUB = "ghp_" + "a1B2" * 9
DAY = 86_400 * 10**9


def aged(records: Any, days: int = 0) -> Any:
    """The stream, sent so many days ago."""
    request, *rest = records
    return [replace(request, wall=time.time_ns() - days * DAY), *rest]


def write(path: Path, *streams: Any, sdk: str | None = None) -> Path:
    head = recordings.header()
    fields = {name: getattr(head, name) for name in head.__struct_fields__}
    header = Header(**{**fields, "anthropic": sdk or version("anthropic")})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(map(encode_line, [header, *(one for stream in streams for one in stream)])))
    return path


def found_in(directory: Path, *arguments: str | Path) -> dict[str, dict[str, Any]]:
    result = recorder("fixtures", "status", directory, "--format", "json", *arguments)
    return {Path(row["file"]).name: row for row in json.loads(result.stdout)}


def used(path: Path, files: dict[str, Any], **more: Any) -> Path:
    path.write_text(json.dumps({"format": "sse-recorder-used", "v": 1, "whole": True, "files": files, **more}))
    return path


def test_every_command_has_a_help_with_an_example_and_the_line_that_the_overview_has() -> None:
    overview = recorder("fixtures", "--help").stdout
    assert recorder("fixtures").stdout == overview
    for name, line in OVERVIEW.items():
        command = Fixtures().get_command(click.Context(Fixtures()), name)
        assert command is not None
        assert command.get_short_help_str(200) == line
        assert f"  {name} " in overview
        assert f"  recorder fixtures {name} " in recorder("fixtures", name, "-h").stdout
        assert all(one.help for one in command.params if isinstance(one, click.Option))
    wrong = recorder("fixtures", "statsu")
    assert (wrong.exit_code, wrong.stderr[:54]) == (2, "error: no such command 'statsu'; did you mean status?;")


def test_status_says_what_is_there(tmp_path: Path) -> None:
    write(
        tmp_path / "a.jsonl",
        aged(recordings.text(), 3),
        aged(recordings.text("02"), 9),
    )
    make_recording(tmp_path / "made.jsonl", "Hello", seed=1)

    result = recorder("fixtures", "status", tmp_path)

    assert result.exit_code == 0
    head, *rows = [line.split() for line in result.stdout.splitlines()]
    assert head == ["file", "streams", "bytes", "age", "anthropic", "sealed", "findings"]
    size = (tmp_path / "a.jsonl").stat().st_size
    assert rows[0] == [str(tmp_path / "a.jsonl"), "2", str(size), "3d", version("anthropic"), "no", "1", "duplicate,", "unsealed"]  # fmt: skip
    assert rows[1][3:] == ["0d", "synthetic", "yes", "ok"]
    assert result.stderr.endswith("2 files, 3 streams, " + f"{sum(one.stat().st_size for one in tmp_path.iterdir()):,} bytes; nothing to do.\n")  # fmt: skip


def test_a_recording_is_stale_by_its_age_and_by_its_sdk(tmp_path: Path) -> None:
    write(tmp_path / "new.jsonl", aged(recordings.text("01")))
    write(tmp_path / "old.jsonl", aged(recordings.text("02"), 200))
    write(tmp_path / "sdk.jsonl", aged(recordings.thinking("03")), sdk="0.9.0")
    make_recording(tmp_path / "made.jsonl", "Hello", wall=1)

    def stale(*arguments: str) -> set[str]:
        return {name for name, row in found_in(tmp_path, *arguments).items() if "stale" in row["findings"]}

    assert stale() == {"old.jsonl", "sdk.jsonl"}
    assert stale("--any-sdk") == {"old.jsonl"}
    assert stale("--older-than", "300d", "--any-sdk") == set()
    result = recorder("fixtures", "status", tmp_path, "--check")
    assert result.exit_code == 1
    assert f"sdk.jsonl: stale: recorded with anthropic 0.9.0, {version('anthropic')} is installed" in result.stderr
    assert recorder("fixtures", "status", tmp_path, "--check", "--any-sdk", "--older-than", "999d").exit_code == 0


def test_secrets_damage_and_what_cannot_be_read_are_told_and_fail_a_check(tmp_path: Path) -> None:
    write(tmp_path / "secret.jsonl", aged(recordings.text("01", tags={"k": GITHUB})))
    good = write(tmp_path / "good.jsonl", aged(recordings.thinking("02"))).read_bytes()
    (tmp_path / "torn.jsonl").write_bytes(
        write(tmp_path / "x.jsonl", aged(recordings.tool("03"))).read_bytes()[:-9]
    )
    (tmp_path / "x.jsonl").unlink()
    (tmp_path / "corrupt.jsonl").write_bytes(good.replace(b"\n", b"\nno record\n", 1).replace(b"7417", b"8417"))
    (tmp_path / "text.jsonl").write_text("not a recording\n")
    before = contents(tmp_path)

    rows = found_in(tmp_path)
    result = recorder("fixtures", "status", tmp_path, "--check")

    assert {name: row["findings"] for name, row in rows.items()} == {
        "corrupt.jsonl": ["1 damaged", "unsealed"],
        "good.jsonl": ["1 duplicate", "unsealed"],
        "secret.jsonl": ["1 secret", "unsealed"],
        "text.jsonl": ["unreadable"],
        "torn.jsonl": ["1 damaged", "unsealed"],
    }
    assert (result.exit_code, GITHUB in result.output) == (1, False)
    assert "secret.jsonl: secrets: line 2: github-token" in result.stderr
    assert contents(tmp_path) == before


def test_unused_is_what_no_run_of_the_tests_used(tmp_path: Path) -> None:
    directory = tmp_path / "recordings"
    for name in ("half", "all", "none", "opened"):
        write(
            directory / f"{name}.jsonl",
            aged(recordings.text(f"{name}1")),
            aged(recordings.text(f"{name}2")),
        )
    one = used(tmp_path / "one.json", {"recordings/half.jsonl": ["half1"], "recordings/all.jsonl": ["all1"]})
    two = used(tmp_path / "two.json", {"recordings/all.jsonl": ["all2"], "recordings/opened.jsonl": None})

    found = {one.path.stem: one.unused for one in status(directory)}
    rows = found_in(directory, "--used-by", one, "--used-by", two)

    assert set(found.values()) == {None}, "without a list nothing is known"
    told = {name: [one for one in row["findings"] if "unused" in one] for name, row in rows.items()}
    assert told == {"half.jsonl": ["1 unused"], "all.jsonl": [], "none.jsonl": ["2 unused"], "opened.jsonl": []}
    assert recorder("fixtures", "status", directory, "--check", "--used-by", one, "--used-by", two).exit_code == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [("no list", "not a list of used recordings"), ("{}", "not a list"), ('{"format":"x","v":1,"whole":true,"files":{}}', "not a list"),
     ('{"format":"sse-recorder-used","v":1,"whole":false,"files":{}}', "of a run of some tests, or with failures")],
)  # fmt: skip
def test_a_list_that_does_not_tell_is_refused(tmp_path: Path, text: str, says: str) -> None:
    write(tmp_path / "a.jsonl", recordings.text())
    (tmp_path / "used.json").write_text(text)
    for command in ("status", "trim"):
        result = recorder("fixtures", command, tmp_path, "--used-by", tmp_path / "used.json")
        assert (result.exit_code, len(result.stderr.splitlines())) == (3, 1)
        assert says in result.stderr
        assert "pytest --record-used=FILE writes one" in result.stderr


def test_trim_takes_out_what_no_test_used_and_nothing_in_a_dry_run(tmp_path: Path) -> None:
    directory = tmp_path / "recordings"
    half = write(directory / "half.jsonl", recordings.text("01"), recordings.thinking("02"), recordings.tool("03"))
    half.chmod(0o644)
    gone = write(directory / "gone.jsonl", recordings.text("04"))
    kept = write(directory / "kept.jsonl", recordings.text("05"))
    torn = write(directory / "torn.jsonl", recordings.text("06"))
    torn.write_bytes(torn.read_bytes()[:-9])
    listed = used(tmp_path / "used.json", {"recordings/half.jsonl": ["02"], "recordings/kept.jsonl": ["05"]})
    before = contents(directory)

    dry = recorder("fixtures", "trim", directory, "--used-by", listed, "--dry-run")
    assert contents(directory) == before
    done = recorder("fixtures", "trim", directory, "--used-by", listed)

    assert [line.split()[1:3] for line in dry.stdout.splitlines()[1:]] == [["would", "be"], ["would", "be"], ["damaged,", "left"]]  # fmt: skip
    rows = [[Path(line.split()[0]).name, *line.split()[1:]] for line in done.stdout.splitlines()[1:3]]
    assert rows == [["gone.jsonl", "deleted", "1", "04"], ["half.jsonl", "trimmed", "2", "01", "03"]]
    assert (done.exit_code, done.stderr) == (0, "3 streams removed.\n")
    assert not gone.exists()
    assert (kept.read_bytes(), torn.exists()) == (before[kept], True)
    [left] = status(directory)[0:1]
    assert (left.path, left.streams, left.sealed, half.stat().st_mode & 0o777) == (half, ["02"], "yes", 0o644)
    assert '"edited":["drop"]' in half.read_text()
    assert sorted(one.name for one in directory.iterdir()) == ["half.jsonl", "kept.jsonl", "torn.jsonl"]
    assert recorder("fixtures", "trim", directory, "--used-by", listed).stderr == "0 streams removed.\n"


def test_trim_takes_duplicates_only_when_it_is_told_to_and_spares_what_was_used(tmp_path: Path) -> None:
    directory = tmp_path / "recordings"
    write(directory / "a.jsonl", recordings.text("01"), recordings.text("02"), recordings.text("03"))
    other = write(directory / "b.jsonl", recordings.text("04"), recordings.failed("05"))
    listed = used(tmp_path / "used.json", {"recordings/a.jsonl": ["01", "02"], "recordings/b.jsonl": ["04", "05"]})

    nothing = recorder("fixtures", "trim", directory)
    spared = json.loads(recorder("fixtures", "trim", directory, "--duplicates", "--used-by", listed, "--dry-run", "--format", "json").stdout)  # fmt: skip
    recorder("fixtures", "trim", directory, "--duplicates")

    assert (nothing.exit_code, "say what is to go" in nothing.stderr) == (2, True)
    assert [(Path(row["file"]).name, row["removed"]) for row in spared] == [("a.jsonl", "03")]
    assert {one.path.name: one.streams for one in status(directory)} == {"a.jsonl": ["01"], "b.jsonl": ["05"]}
    assert other.exists()


def test_trim_leaves_alone_what_is_compressed_or_being_written(tmp_path: Path) -> None:
    directory = tmp_path / "recordings"
    write(directory / "packed.jsonl", recordings.text("01"), recordings.failed("02"))
    recorder("compact", directory)
    listed = used(tmp_path / "used.json", {"recordings/packed.jsonl": ["01"]})
    result = recorder("fixtures", "trim", directory, "--used-by", listed)
    assert "compressed, left alone" in result.stdout

    live = write(directory / "live.jsonl", recordings.text("03"))
    with live.open("ab") as file:
        assert lock(file.fileno())
        result = recorder("fixtures", "trim", directory, "--used-by", listed)
    assert live.exists()
    assert "live, left alone" in result.stdout


def git(directory: Path, *arguments: str) -> None:
    settings = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *settings, *arguments], cwd=directory, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose tests/recordings has four files committed, then changed in every way."""
    directory = tmp_path / "tests" / "recordings"
    make_recording(directory / "said.jsonl", "one two three four five six seven", prompt="Hi", seed=1)
    make_recording(directory / "same.jsonl", "the same", seed=1)
    make_recording(directory / "gone.jsonl", "gone", seed=1)
    make_recording(directory / "slow.jsonl", "slow", seed=1)
    (tmp_path / "other.txt").write_text("not a recording")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "before")
    (directory / "said.jsonl").unlink()
    make_recording(
        directory / "said.jsonl", "one two three 4 five six seven and an eighth word", prompt="Hi", seed=1
    )
    recorder("edit", directory / "same.jsonl", directory / "copy.jsonl", "--tag", "a=b")
    (directory / "copy.jsonl").replace(directory / "same.jsonl")
    recorder("edit", directory / "slow.jsonl", directory / "copy.jsonl", "--scale", "2")
    (directory / "copy.jsonl").replace(directory / "slow.jsonl")
    (directory / "gone.jsonl").unlink()
    make_recording(directory / "deeper" / "new.jsonl", "new", seed=1)
    (tmp_path / "other.txt").write_text("changed")
    return directory


def test_review_says_in_words_what_changed_since_a_commit(repository: Path) -> None:
    result = recorder("fixtures", "review", repository)

    lines = result.stdout.splitlines()
    assert lines[:2] == ["deeper/new.jsonl  new: 1 stream", "gone.jsonl  removed: 1 stream"]
    assert lines[2].startswith("said.jsonl  changed: text: 1 word removed, 5 added")
    assert lines[3].startswith('  POST /v1/messages "Hi"  ')
    assert lines[4:7] == [
        "    text       block 0, text: 1 of 7 words removed, 5 added",
        "                 one two three [-four-] {+4+} five six seven",
        "                 … five six seven {+and an eighth word+}",
    ]
    assert lines[-1].startswith("slow.jsonl  changed: timing: duration_s ×2")
    assert "same.jsonl" not in result.stdout
    assert not any(line.startswith("    timing") for line in lines)
    assert (result.exit_code, result.stderr) == (0, "4 recordings: 1 new, 1 removed, 2 changed.\n")


def test_review_is_brief_or_full_or_json(repository: Path) -> None:
    brief, full = (recorder("fixtures", "review", repository, how).stdout for how in ("--brief", "--full"))
    found = json.loads(recorder("fixtures", "review", repository, "--json").stdout)

    assert len(brief.splitlines()) == 4
    assert "  timing " in full
    assert [(one["name"], one["kind"]) for one in found] == [
        ("deeper/new.jsonl", "new"), ("gone.jsonl", "removed"), ("said.jsonl", "changed"), ("slow.jsonl", "changed"),
    ]  # fmt: skip


def test_review_takes_a_revision_or_a_directory(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-m", "after")

    assert recorder("fixtures", "review", repository).stderr == "No recording changed.\n"
    assert recorder("fixtures", "review", repository, "--against", "HEAD~1").stderr.startswith("4 recordings")
    other = recorder("fixtures", "review", repository, "--against", repository / "deeper", "--brief")
    assert other.stderr == "5 recordings: 4 new, 1 removed.\n"


def test_review_shows_what_failed_runs_kept_aside(tmp_path: Path) -> None:
    make_recording(tmp_path / "a.jsonl", "as it was", seed=1)
    make_recording(tmp_path / "b.jsonl", "as it came", seed=1).path.rename(tmp_path / "a.jsonl.failed")
    make_recording(tmp_path / "c.jsonl", "untouched", seed=1)

    result = recorder("fixtures", "review", tmp_path, "--failed")

    assert result.stdout.startswith("a.jsonl  changed: text: 1 word changed")
    assert "[-was-] {+came+}" in result.stdout
    assert result.stderr == "1 recording: 1 changed.\n"


def test_what_review_cannot_do_is_one_line(tmp_path: Path, repository: Path) -> None:
    for directory, arguments, says in (
        (tmp_path / "none", [], "no such directory"),
        (repository, ["--against", "no-such-branch"], "git: no revision no-such-branch"),
        (Path("/"), [], "git: not a git repository"),
    ):
        result = recorder("fixtures", "review", directory, *arguments)
        assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (3, "", 1)
        assert says in result.stderr
    (repository / "said.jsonl").write_text("no recording\n")
    result = recorder("fixtures", "review", repository)
    assert "said.jsonl  changed: cannot be compared: not a recording" in result.stdout


def test_the_packaged_recordings_have_nothing_to_do() -> None:
    result = recorder("fixtures", "status", FIXTURES, "--check")

    assert result.exit_code == 0, result.stderr
