"""A copy of recordings that can be shown to others: the rules of the tap, applied to files."""

from __future__ import annotations

import os
import secrets as random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from recorder.core import wire
from recorder.core.capture import Capture, Mode, marked, with_payload
from recorder.core.framing import block_of
from recorder.core.guard import API_KEY, Guard
from recorder.core.lines import encode_line
from recorder.core.payload import read
from recorder.core.records import End, Event, Footer, Header, StreamRecord, Unknown
from recorder.core.redact import Secrets
from recorder.core.rules import Given, RuleError, rule_of_secrets

from .files import plain_name
from .reader import RecordingError, Report, find_segments, read_records


class Copied(Struct):
    """What was copied, and what was not: records of a kind that this version does not know."""

    files: int = 0
    lines: int = 0
    left_out: int = 0


def copy_redacted(
    source: Path,
    target: Path,
    *,
    mode: Mode = "full",
    rules: Sequence[Given] = (),
    secrets: Secrets,
    salvage: bool = False,
    report: Report,
    failed: Callable[[RuleError], None],
) -> Copied:
    """Copy the recording `source` (a file, a directory) to `target`, without secrets and what the rules name.

    All of it or nothing: `target` is there when the copy is whole. Records of an unknown kind are left out, and
    so are fields that this version does not know: they could hold anything. Raises RecordingError when `target`
    exists, and as `read_records` does; OSError when it cannot be written.
    """
    segments = find_segments(source)
    if os.path.lexists(target):
        raise RecordingError(target, "is there already", "nothing was written; choose another name")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{random.token_hex(4)}")
    copied = Copied()
    capture = Capture(mode, [rule_of_secrets(secrets), *rules], failed=failed)
    try:
        if source.is_dir():
            part.mkdir(mode=0o700)
        for segment in segments:
            to = part / plain_name(segment.relative_to(source)) if source.is_dir() else part
            to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _copy(segment, to, _Cleaner(capture, secrets), copied, salvage=salvage, report=report)
        _put(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True) if part.is_dir() else part.unlink(missing_ok=True)
    return copied


def _copy(source: Path, target: Path, clean: _Cleaner, copied: Copied, *, salvage: bool, report: Report) -> None:
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for _, record in read_records(source, salvage=salvage, report=report):
            if isinstance(record, Footer):
                continue  # it seals what was there before
            if isinstance(record, Unknown):
                copied.left_out += 1
                continue
            file.write(encode_line(clean(record)))
            copied.lines += 1
    copied.files += 1


def _put(part: Path, target: Path) -> None:
    """Give the finished copy its name, unless somebody else has it by now."""
    if part.is_dir():
        part.rename(target)  # fails on a directory that has something in it
        return
    os.link(part, target)


class _Cleaner:
    """Record in, record out; knows the streams that it is in the middle of."""

    def __init__(self, capture: Capture, secrets: Secrets) -> None:
        self._capture = capture
        self._secrets = secrets
        self._guards: dict[str, Guard] = {}

    def __call__(self, record: Header | StreamRecord) -> Header | StreamRecord:
        if isinstance(record, Header):
            return record
        if isinstance(record, Event) and record.size is None:
            record = self._joined(record)
        elif isinstance(record, End):
            self._guards.pop(record.stream, None)
        return self._capture(record)

    def _joined(self, event: Event) -> Event:
        """The event without the part that it has of a secret that several spell out."""
        guard = self._guards.setdefault(event.stream, Guard(self._secrets))
        block = block_of(wire.wire(event))
        if block is None:
            return event
        kept, _, changed = guard.cleaned(block, read(event.event, block.payload or b""))
        if not changed:
            return event
        return marked(replace(event, **with_payload(event, kept.payload or b"")), (API_KEY,))
