"""What state the recordings of a test suite are in, file by file."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from msgspec import Struct

from recorder.core.fingerprint import fingerprint
from recorder.hygiene.facts import body_of
from recorder.hygiene.used import Used
from recorder.log.reader import Problem, RecordingError, find_segments
from recorder.log.scan import scan
from recorder.log.streams import Stream, read_streams
from recorder.log.verify import verify

Kind = Literal["unreadable", "damaged", "secrets", "stale", "unused", "duplicates", "unsealed"]
FAILING: tuple[Kind, ...] = ("unreadable", "damaged", "secrets", "stale", "unused")
"""What a check fails for. Equal streams may be meant (a test that asks twice), and copies need no seal."""


class FileStatus(Struct, kw_only=True):
    """One file. `sent`: when its newest stream was sent, Unix time in ns; `anthropic`: the oldest SDK in it.

    `duplicates` and `unused` are ids of streams; `unused` is None where it is not known what was used. `stale`,
    `damaged` and `unreadable` are reasons.
    """

    path: Path
    bytes: int
    streams: list[str] = []
    sent: int | None = None
    anthropic: str | None = None
    synthetic: bool = False
    sealed: Literal["yes", "no", "live"] = "no"
    stale: list[str] = []
    duplicates: list[str] = []
    secrets: list[str] = []
    unused: list[str] | None = None
    damaged: list[str] = []
    unreadable: str | None = None

    @property
    def findings(self) -> list[Kind]:
        """What is to be said of it."""
        there: dict[Kind, object] = {
            "unreadable": self.unreadable,
            "damaged": self.damaged,
            "secrets": self.secrets,
            "stale": self.stale,
            "unused": self.unused,
            "duplicates": self.duplicates,
            "unsealed": self.sealed == "no" and not self.unreadable,
        }
        return [kind for kind, found in there.items() if found]

    @property
    def fails(self) -> bool:
        return any(kind in FAILING for kind in self.findings)


class Limits(Struct, frozen=True, kw_only=True):
    """When a recording is stale: its newest stream was sent before `before` (Unix time, ns), or by an SDK older
    than `anthropic`. None: never. A synthetic one never is: there is nothing to record again."""

    before: int | None = None
    anthropic: str | None = None


_NEVER = Limits()


def status(
    directory: Path, *, limits: Limits = _NEVER, used: Used | None = None, known: Collection[str] = ()
) -> list[FileStatus]:
    """Look at every recording there. `known`: secrets to look for as they are.

    Raises RecordingError where there is none; a file that cannot be read is told in its own status.
    """
    seen = set[bytes]()
    return [_look(path, limits, used, known, seen) for path in find_segments(directory)]


def _look(path: Path, limits: Limits, used: Used | None, known: Collection[str], seen: set[bytes]) -> FileStatus:
    found = FileStatus(path=path, bytes=0)
    try:
        found.bytes = path.stat().st_size
        [check] = verify([path])
        if check.unreadable is not None:
            found.unreadable = check.unreadable.reason
            return found
        found.sealed = "yes" if check.sealed else "live" if check.live else "no"
        problems: list[Problem] = []
        _read(found, seen, problems)
        every = [*check.problems, *check.warnings, *problems]
        found.damaged = list(dict.fromkeys(f"line {one.line}: {one.reason}" for one in every))
        found.secrets = [f"line {one.line}: {one.rule}" for one in scan(path, known)]
    except (RecordingError, OSError) as error:
        found.unreadable = error.reason if isinstance(error, RecordingError) else str(error.strerror)
        return found
    found.stale = _stale(found, limits)
    found.unused = None if used is None else used.unused(path, found.streams)
    return found


def _read(found: FileStatus, seen: set[bytes], problems: list[Problem]) -> None:
    """What its streams say. `seen`: digests of the streams so far, of all files."""
    streams = read_streams([found.path], salvage=True, report=problems.append)
    for stream in streams:
        header = stream.header
        found.streams.append(stream.id)
        found.sent = max(found.sent or 0, stream.request.wall)
        found.synthetic = found.synthetic or header.source == "synthetic"
        versions = [one for one in (found.anthropic, header.anthropic) if one is not None]
        found.anthropic = min(versions, key=_numbers, default=None)
        digest = _digest(stream)
        if digest in seen:
            found.duplicates.append(stream.id)
        seen.add(digest)


def _digest(stream: Stream) -> bytes:
    """Equal for streams with equal requests and equal responses."""
    request = stream.request
    asked = fingerprint(request.method, stream.url, body_of(request))
    status = stream.response.status if stream.response else None
    body = b"" if stream.reduced else stream.body()
    what = f"{asked} {request.attempt} {status} {stream.timing().outcome} {stream.reduced and stream.id} "
    return blake2b(what.encode() + body, digest_size=16).digest()


def _stale(found: FileStatus, limits: Limits) -> list[str]:
    if found.synthetic:
        return []
    reasons: list[str] = []
    if limits.before is not None and found.sent is not None and found.sent < limits.before:
        reasons.append("old")
    recorded, now = found.anthropic, limits.anthropic
    if recorded and now and _numbers(recorded) < _numbers(now):
        reasons.append(f"recorded with anthropic {recorded}, {now} is installed")
    return reasons


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdecimal()]
