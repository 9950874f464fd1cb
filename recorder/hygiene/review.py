"""What changed in a directory of recordings, file by file: since a commit, against another directory, or in the
runs that failed and were kept aside."""

from __future__ import annotations

import filecmp
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

from recorder.hygiene.diff import Diff, diff
from recorder.log.files import is_segment, plain_name
from recorder.log.reader import RecordingError

FAILED = ".failed"
"""What the new recording of a failed test is called, behind the name of the old one."""
Files = Mapping[str, Path]
"""Recordings by their names in the directory, as if they were not compressed."""


class FileChange(Struct, frozen=True, kw_only=True):
    """One file that is new, was removed, or holds something else. `why`: it cannot be compared."""

    name: str
    kind: Literal["new", "removed", "changed"]
    diff: Diff | None = None
    why: str | None = None


def recordings_in(directory: Path) -> dict[str, Path]:
    """The recordings there, also when there is none."""
    found = sorted(path for path in directory.rglob("*.jsonl*") if is_segment(path))
    return {str(plain_name(path.relative_to(directory))): path for path in found}


def kept_aside(directory: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """The recordings of which a failed run was kept, and those of the failed runs, by the same names."""
    after = {
        str(path.relative_to(directory)).removesuffix(FAILED): path
        for path in sorted(directory.rglob(f"*{FAILED}"))
        if path.is_file()
    }
    return {name: path for name, path in recordings_in(directory).items() if name in after}, after


def changes(before: Files, after: Files) -> Iterator[FileChange]:
    """Every file that is not the same in both; one with equal streams in other bytes is the same."""
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is not None and new is not None:
            if not filecmp.cmp(old, new, shallow=False) and (change := _compared(name, old, new)):
                yield change
        else:
            yield _alone(name, "removed" if new is None else "new", new or old)


def _compared(name: str, old: Path, new: Path) -> FileChange | None:
    try:
        found = diff(old, new, report=lambda _: None)
    except RecordingError as error:
        return FileChange(name=name, kind="changed", why=error.reason)
    return FileChange(name=name, kind="changed", diff=found) if found.differs else None


def _alone(name: str, kind: Literal["new", "removed"], path: Path | None) -> FileChange:
    """A file that only one side has, compared with nothing."""
    assert path is not None
    try:
        found = diff(path, path, only=(), report=lambda _: None)
    except RecordingError as error:
        return FileChange(name=name, kind=kind, why=error.reason)
    return FileChange(name=name, kind=kind, diff=found)


def since(directory: Path, revision: str, keep_in: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """The recordings that changed since a revision of git: as they were (copied to `keep_in`), and as they are.

    Raises RecordingError when git does not answer: no repository, no such revision.
    """
    if not directory.is_dir():
        raise RecordingError(directory, "no such directory")
    git = _git(directory)
    git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    told = git("diff", "--relative", "--no-renames", "--name-only", "-z", revision, "--", ".")
    told += git("ls-files", "--others", "--exclude-standard", "-z", "--", ".")
    was = set(git("ls-tree", "-r", "-z", "--name-only", revision, "--", ".").split(b"\0"))
    before: dict[str, Path] = {}
    after: dict[str, Path] = {}
    for raw in sorted(set(told.split(b"\0")) - {b""}):
        path = Path(raw.decode("utf-8", "surrogateescape"))
        if not path.name.endswith((".jsonl", ".jsonl.zst")):
            continue
        name = str(plain_name(path))
        if raw in was:
            before[name] = keep_in / path
            before[name].parent.mkdir(parents=True, exist_ok=True)
            before[name].write_bytes(git("cat-file", "--filters", f"{revision}:./{path}"))
        if (directory / path).is_file():
            after[name] = directory / path
    return before, after


def _git(directory: Path) -> Callable[..., bytes]:
    def git(*arguments: str) -> bytes:
        command = ["git", "-C", str(directory), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - git, asked by the user
        except FileNotFoundError:
            raise RecordingError(directory, "git is not installed", "--against takes a directory, too") from None
        if done.returncode:
            said = (
                done.stderr.decode("utf-8", "replace").strip().partition("\n")[0] or f"no revision {arguments[-1]}"
            )
            reason = f"git: {said.removeprefix('fatal: ')}"
            raise RecordingError(directory, reason, "--against takes a revision or a directory")
        return done.stdout

    return git
