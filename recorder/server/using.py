"""A recording in use by a program that speaks HTTP: who answers it in each mode, and what becomes of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from recorder.replayer.session import Replay
from recorder.taking import Mode, Taking

from .app import Answerer
from .exchange import Exchange
from .journal import Entry, Journal, Result
from .player import Player
from .proxy import Proxy
from .serving import Recording


class Completer:
    """Answers what is recorded, each stream once; what is not goes upstream, and is recorded."""

    result: Result = "passed"

    def __init__(self, player: Player, proxy: Proxy) -> None:
        self._player = player
        self._proxy = proxy

    def serve(self, exchange: Exchange, entry: Entry) -> None:
        """Answer by the one or the other."""
        if self._player.has(exchange):
            entry.result = self._player.result
            self._player.serve(exchange, entry)
        else:
            self._proxy.serve(exchange, entry)

    def health(self) -> dict[str, Any]:
        """What `/__recorder/health` adds."""
        return self._player.health() | self._proxy.health()

    def journal(self) -> dict[str, Any]:
        """What `/__recorder/journal` adds."""
        return self._player.journal() | self._proxy.journal()

    def metrics(self, journal: Journal) -> str:
        """Prometheus text."""
        return self._proxy.metrics(journal)

    def close(self) -> None:
        """Write what is left."""
        self._player.close()
        self._proxy.close()


class Using:
    """Inside the `with` block `answerer` serves. `passed` says at its end whether what was recorded takes effect.

    `replay` opens the recording, `record` makes a proxy that records to a file, or to none. Entering raises
    RecordingError for a recording that cannot be read, or is needed and not there.
    """

    def __init__(
        self, taking: Taking, *, replay: Callable[[], Replay], record: Callable[[Path | None], Recording]
    ) -> None:
        self._taking = taking
        self._make_replay = replay
        self._make_recording = record
        self.answerer: Answerer
        self.replay: Replay | None = None
        """What was recorded, where that is read."""
        self.recording: Recording | None = None
        """What is sent upstream, where anything is."""
        self.passed = False
        self.drift: list[str] = []
        """How live answers differ from the recording, where the mode is `verify`; known after the block."""
        self.kept: Path | None = None
        """The file that holds what was recorded; known after the block."""

    def __enter__(self) -> Self:
        self.replay = self._make_replay() if self._taking.begin() else None
        try:
            if self._taking.mode != "replay":
                self.recording = self._make_recording(self._taking.record_to())
        except BaseException:
            self._taking.discard()
            raise
        self.answerer = self._answerer()
        return self

    @property
    def mode(self) -> Mode:
        """Inside the block never `once`: that is `replay` or `rewrite` then."""
        return self._taking.mode

    def _answerer(self) -> Answerer:
        if self.recording is None:
            assert self.replay is not None
            return Player(self.replay)
        proxy = self.recording.proxy
        return Completer(Player(self.replay), proxy) if self._taking.mode == "append" and self.replay else proxy

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._taking.mode == "verify" and self.replay is not None and error is None:
                self.drift = self._taking.drift(self.replay)
            self.kept = self._taking.settle(passed=self.passed)
        finally:
            self._taking.discard()
