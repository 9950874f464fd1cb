"""One recording in use: which mode holds, which file is written to, and what becomes of that in the end.

Used by `recorder.use` inside a process, and by `recorder replay --mode` beside a program.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from .log.reader import SUFFIX, Problem, RecordingError
from .log.streams import Stream, read_streams
from .replayer.drift import drift
from .replayer.errors import NoMatch
from .replayer.session import Replay

Mode = Literal["replay", "once", "append", "rewrite", "record", "passthrough", "verify"]
MODES: tuple[Mode, ...] = get_args(Mode)


def mode_here(mode: Mode, *, explicit: Mode | None = None) -> Mode:
    """The mode that holds: `explicit`, else the variable RECORDER_MODE, else `replay` when CI is set, else `mode`.

    Raises ValueError for what is no mode.
    """
    chosen = explicit or os.environ.get("RECORDER_MODE") or ("replay" if _in_ci() else mode)
    for known in MODES:
        if chosen == known:
            return known
    raise ValueError(f"mode is {chosen!r}; it is one of {', '.join(MODES)}")


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() not in ("", "0", "false", "no")


class Taking:
    """`hint` ends the message about a recording that is not there.

    Raises ValueError for a path that is not one file, where the mode writes one.
    """

    def __init__(self, path: Path, mode: Mode, *, hint: str) -> None:
        if mode not in ("replay", "passthrough") and path.suffix != SUFFIX:
            raise ValueError(f"{path}: {mode} writes one file: name one that ends in {SUFFIX}")
        self.path = path
        self.mode: Mode = mode
        """Of `once`, `begin` makes `replay` or `rewrite`."""
        self._hint = hint
        self._kept_in: Path | None = None
        """The directory of what is recorded until it takes effect."""

    def begin(self) -> bool:
        """Whether the recording is to be read. Raises RecordingError when it is needed and not there."""
        there = self.path.exists()
        if self.mode == "once":
            self.mode = "replay" if there else "rewrite"
        if self.mode != "replay":
            sys.audit("recorder.opened", str(self.path))
        if self.mode in ("replay", "verify") and not there:
            raise RecordingError(self.path, "no such recording", self._hint[0].lower() + self._hint[1:])
        # what is rewritten is read, too: a file that cannot be read is not overwritten
        return self.mode in ("replay", "verify") or (there and self.mode in ("append", "rewrite"))

    def record_to(self) -> Path | None:
        """The file to record to, if the mode has one; but for `record` it takes effect in `settle` alone."""
        if self.mode == "record":
            return self.path
        if self.mode not in ("append", "rewrite", "verify"):
            return None
        self._kept_in = Path(tempfile.mkdtemp(prefix="recorder-"))
        return self._kept_in / self.path.name

    @property
    def made(self) -> Path | None:
        """What was recorded and has not taken effect."""
        new = self._kept_in / self.path.name if self._kept_in is not None else None
        return new if new is not None and new.exists() else None

    def settle(self, *, passed: bool) -> Path | None:
        """What was recorded takes effect, or lies beside the recording as `NAME.jsonl.failed`; gives the file that
        holds it."""
        new = self.made
        if new is None or self.mode == "verify":
            return None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not passed:
            failed = self.path.with_name(f"{self.path.name}.failed")
            shutil.move(new, failed)
            return failed
        swapped = self.path.with_name(f"{self.path.name}.new")
        with open(swapped, "wb", opener=_private) as target:
            if self.mode == "append" and self.path.exists():
                target.write(self._whole_lines())
            target.write(new.read_bytes())
        return swapped.replace(self.path)

    def discard(self) -> None:
        """Remove what was recorded and did not take effect."""
        if self._kept_in is not None:
            shutil.rmtree(self._kept_in, ignore_errors=True)

    def drift(self, replay: Replay) -> list[str]:
        """What was recorded now, compared with the recording, a line for each difference; streams that were
        recorded and not asked for are among them."""
        problems: list[Problem] = []
        lines: list[str] = []
        for stream in read_streams([self.made] if self.made else [], report=problems.append):
            lines += _compared(replay, stream)
        return lines + [f"{stream.id}: recorded, not asked for" for stream in replay.unused]

    def _whole_lines(self) -> bytes:
        """What was recorded before; a torn last line gets its line end, as when the tap appends."""
        old = self.path.read_bytes()
        return old if not old or old.endswith(b"\n") else old + b"\n"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _compared(replay: Replay, live: Stream) -> Iterator[str]:
    what = f"{live.request.method} {live.url}"
    try:
        recorded = replay.take(live)
    except NoMatch as error:
        yield f"{what}: {error.kind}: {'; '.join(error.differences) or 'not recorded'}"
        return
    yield from (f"{what}: {line}" for line in drift(recorded, live))
