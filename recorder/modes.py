"""`recorder.use(path, mode)`: one recording for a test, replayed, made, or completed, as the mode says.

    replay       answer from the recording; there is no network
    once         the same, when the recording is there; else as `rewrite`
    append       answer what is recorded, send the rest and add it
    rewrite      send everything, and put the new recording in the place of the old one
    record       send everything, and add it to what is there
    passthrough  send everything, record nothing
    verify       send everything, and compare the structure of the answers with the recording

What `once`, `append` and `rewrite` record takes effect when the block ends without an exception. After a failure
the old recording stays as it was, and the new one lies beside it, as `NAME.jsonl.failed`.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, Unpack, get_args
from weakref import WeakKeyDictionary

import httpx2

from .log.reader import SUFFIX, Problem, RecordingError
from .log.streams import Stream, read_streams
from .replayer import stand_in
from .replayer.drift import drift
from .replayer.errors import Drift, NoMatch
from .replayer.options import ReplayOptions, check
from .replayer.session import Replay
from .tap.middleware import Tap
from .tap.transport import TapTransport

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


class Use(stand_in.Answerer):
    """A recording in use: every client of this thread or task goes through it, made before or inside.

    `tap` makes the tap that records, from the path it is to write to: `lambda path: recorder.Tap(path, tags=...)`.
    `hint` ends the message of a `NoMatch`; the other options are those of `recorder.replay`.

    Entering raises RecordingError when the recording cannot be read or is needed and not there. Leaving raises
    Drift when `verify` found some, and NothingIntercepted when clients were made and nothing came through.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        mode: Mode,
        *,
        hint: str = "",
        tap: Callable[[Path], Tap] = Tap,
        **options: Unpack[ReplayOptions],
    ) -> None:
        check(options)
        super().__init__(os.fspath(path))
        self.path = Path(path)
        self.mode: Mode = mode
        self._hint = hint or "Record it: RECORDER_MODE=append adds what is missing, rewrite begins anew."
        self._options = options
        self._make_tap = tap
        self.replay: Replay | None = None
        """What answers, where something is replayed."""
        self.output: str | Callable[[], str] | None = None
        """What the application puts out, or a function that tells it at the end: for a verdict."""
        self._tap: Tap | None = None
        self._kept_in: Path | None = None
        """The directory of what is being recorded until it takes effect."""
        self._transports: WeakKeyDictionary[object, TapTransport] = WeakKeyDictionary()
        if mode not in ("replay", "passthrough") and self.path.suffix != SUFFIX:
            raise ValueError(f"{self.path}: {mode} writes one file: name one that ends in {SUFFIX}")

    def __repr__(self) -> str:
        return f"<recorder.use {os.fspath(self.path)!r} {self.mode}>"

    @property
    def unused(self) -> list[Stream]:
        """Recorded streams that nothing asked for so far."""
        return self.replay.unused if self.replay else []

    def __enter__(self) -> Self:
        there = self.path.exists()
        if self.mode == "once":
            self.mode = "replay" if there else "rewrite"
        if self.mode != "replay":
            sys.audit("recorder.opened", str(self.path))
        if self.mode in ("replay", "verify") or (there and self.mode in ("append", "rewrite")):
            if not there:
                raise RecordingError(self.path, "no such recording", self._hint[0].lower() + self._hint[1:])
            if self.mode != "replay":
                self._options["clock"] = "real"  # what is asked live takes real time
            self.replay = Replay(self.name, hint=self._hint, **self._options)
        if self.mode == "record":
            self._tap = self._make_tap(self.path)
        elif self.mode in ("append", "rewrite", "verify"):
            self._kept_in = Path(tempfile.mkdtemp(prefix="recorder-"))
            self._tap = self._make_tap(self._new)
        if self.replay is not None:
            self.replay.start_clock()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.replay is not None:
            self.replay.stop_clock()
            self.requests = max(
                self.requests, self.replay.requests
            )  # a client made by it does not come through us
        try:
            super().__exit__(kind, error, trace)
        finally:
            self._end(passed=error is None)

    def answers(self, request: httpx2.Request) -> bool:
        """True for a request to Claude."""
        return self.replay.answers(request) if self.replay else super().answers(request)

    def handle(self, request: httpx2.Request, real: stand_in.RealTransport, /) -> httpx2.Response:
        """Answer from the recording, or send it, as the mode says."""
        self.requests += 1
        replayed = self._replaying(request)
        if replayed is None:
            return self._sender(real).handle_request(request)
        return replayed.transport.handle_request(request)

    async def handle_async(self, request: httpx2.Request, real: stand_in.RealTransport, /) -> httpx2.Response:
        """The same for async clients."""
        self.requests += 1
        replayed = self._replaying(request)
        if replayed is None:
            return await self._sender(real).handle_async_request(request)
        return await replayed.transport.handle_async_request(request)

    @property
    def _new(self) -> Path:
        assert self._kept_in is not None
        return self._kept_in / self.path.name

    def _replaying(self, request: httpx2.Request) -> Replay | None:
        """The replay, when this request is to be answered by it."""
        if self.mode == "replay" or (self.mode == "append" and self.replay and self.replay.has(request)):
            return self.replay
        return None

    def _sender(self, real: stand_in.RealTransport) -> TapTransport | stand_in.RealTransport:
        if self._tap is None:
            return real
        if real.key not in self._transports:
            self._transports[real.key] = TapTransport(self._tap, real)
        return self._transports[real.key]

    def _end(self, *, passed: bool) -> None:
        if self._tap is not None:
            self._tap.close()
        if self._kept_in is None:
            return
        try:
            self._settle(passed=passed)
        finally:
            shutil.rmtree(self._kept_in, ignore_errors=True)

    def _settle(self, *, passed: bool) -> None:
        """What becomes of the new recording, now that the block has ended."""
        if not self._new.exists():
            return
        if self.mode == "verify":
            if passed:
                self._verify()
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not passed:
            shutil.move(self._new, self.path.with_name(f"{self.path.name}.failed"))
            return
        swapped = self.path.with_name(f"{self.path.name}.new")
        with open(swapped, "wb", opener=_private) as target:
            if self.mode == "append" and self.path.exists():
                target.write(self._whole_lines())
            target.write(self._new.read_bytes())
        swapped.replace(self.path)

    def _whole_lines(self) -> bytes:
        """What was recorded before; a torn last line gets its line end, as when the tap appends."""
        old = self.path.read_bytes()
        return old if not old or old.endswith(b"\n") else old + b"\n"

    def _verify(self) -> None:
        assert self.replay is not None
        problems: list[Problem] = []
        lines: list[str] = []
        for live in read_streams([self._new], report=problems.append):
            lines += _compared(self.replay, live)
        lines += [f"{stream.id}: recorded, not asked for" for stream in self.replay.unused]
        if lines:
            shown = "".join(f"\n  {line}" for line in lines)
            raise Drift(f"{self.path}: live answers differ from the recording:{shown}", tuple(lines))


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


def use(
    path: str | os.PathLike[str],
    mode: Mode = "replay",
    *,
    tap: Callable[[Path], Tap] = Tap,
    **options: Unpack[ReplayOptions],
) -> Use:
    """Use the recording at `path` in a `with` block: `mode` says how.

    `tap` makes the tap that records, from the path it is to write to; the other options are those of
    `recorder.replay`.

    The environment has the last word: RECORDER_MODE, else `replay` wherever CI is set, so that no test of a
    build asks the network by accident. Raises ValueError for an unknown mode.
    """
    check(options)  # what a Use has beside is not for everybody
    return Use(path, mode_here(mode), tap=tap, **options)
