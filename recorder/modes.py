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
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack
from weakref import WeakKeyDictionary

import httpx2

from .log.streams import Stream
from .replayer import stand_in
from .replayer.errors import Drift
from .replayer.options import ReplayOptions, check
from .replayer.session import Replay
from .taking import Mode, Taking, mode_here
from .tap.middleware import Tap
from .tap.transport import TapTransport


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
        self._hint = hint or "Record it: RECORDER_MODE=append adds what is missing, rewrite begins anew."
        self._taking = Taking(Path(path), mode, hint=self._hint)
        self._options = options
        self._make_tap = tap
        self.replay: Replay | None = None
        """What answers, where something is replayed."""
        self.output: str | Callable[[], str] | None = None
        """What the application puts out, or a function that tells it at the end: for a verdict."""
        self._tap: Tap | None = None
        self._transports: WeakKeyDictionary[object, TapTransport] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"<recorder.use {os.fspath(self.path)!r} {self.mode}>"

    @property
    def path(self) -> Path:
        """Of the recording."""
        return self._taking.path

    @property
    def mode(self) -> Mode:
        """Inside the block never `once`: that is `replay` or `rewrite` then."""
        return self._taking.mode

    @property
    def unused(self) -> list[Stream]:
        """Recorded streams that nothing asked for so far."""
        return self.replay.unused if self.replay else []

    def __enter__(self) -> Self:
        if self._taking.begin():
            if self.mode != "replay":
                self._options["clock"] = "real"  # what is asked live takes real time
            self.replay = Replay(self.name, hint=self._hint, **self._options)
        if (file := self._taking.record_to()) is not None:
            self._tap = self._make_tap(file)
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
        try:
            if self.mode == "verify" and passed and self._taking.made:
                self._verify()
            self._taking.settle(passed=passed)
        finally:
            self._taking.discard()

    def _verify(self) -> None:
        assert self.replay is not None
        lines = self._taking.drift(self.replay)
        if lines:
            shown = "".join(f"\n  {line}" for line in lines)
            raise Drift(f"{self.path}: live answers differ from the recording:{shown}", tuple(lines))


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
