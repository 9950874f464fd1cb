"""What a replay can say. All derive from `anthropic.AnthropicError`: the SDK passes those on at once.

Any other exception raised below the SDK becomes an `APIConnectionError` and is retried, with sleeps.
"""

from __future__ import annotations

from anthropic import AnthropicError


class NoMatch(AnthropicError):
    """A request came that no recording answers.

    `kind`: `empty` (the recording has no streams), `served` (all that match were served already), `reduced`
    (the answer was a file, of which a recording keeps the hash alone), `differs`, `unlike` (nothing of this path
    was recorded), `ambiguous` (several replays would answer) or `matcher` (yours raised, which is the cause).

    Of the nearest recording, where one was looked for: `nearest`, its id; `age_s`, how long ago it was recorded;
    `sdk`, the version that recorded it; `differences` from it, as JSON paths with both values, or as your matcher
    gave them. `fix` says what to do, with the command where there is one.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str,
        nearest: str | None = None,
        age_s: float | None = None,
        sdk: str | None = None,
        differences: tuple[str, ...] = (),
        fix: str = "",
    ) -> None:
        super().__init__(f"{message}\n{fix}" if fix else message)
        self.kind = kind
        self.nearest = nearest
        self.age_s = age_s
        self.sdk = sdk
        self.differences = differences
        self.fix = fix


class EndOfRecording(AnthropicError):
    """The client reads on where the recorded one stopped: it had closed the stream, or its process died."""


class NothingIntercepted(AnthropicError):
    """Clients were made in a replay or a recording, and no request of theirs came through it."""


class Drift(AssertionError):
    """Live answers have another structure than the recording. `differences`: a line each."""

    def __init__(self, message: str, differences: tuple[str, ...]) -> None:
        super().__init__(message)
        self.differences = differences


class ClockError(AnthropicError, RuntimeError):
    """A virtual clock cannot drive this event loop, or nobody is in it."""


class FaultError(AnthropicError, ValueError):
    """A fault that does not exist, or not with these parameters."""
