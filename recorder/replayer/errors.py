"""What a replay can say. All derive from `anthropic.AnthropicError`: the SDK passes those on at once.

Any other exception raised below the SDK becomes an `APIConnectionError` and is retried, with sleeps.
"""

from __future__ import annotations

from anthropic import AnthropicError


class NoMatch(AnthropicError):
    """A request came that no recording answers.

    `kind`: `empty` (the recording has no streams), `served` (all that match were served already) or
    `differs`. `differences` between the request and the nearest recording, whose id is `nearest`.
    """

    def __init__(
        self, message: str, *, kind: str, nearest: str | None = None, differences: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.nearest = nearest
        self.differences = differences


class EndOfRecording(AnthropicError):
    """The client reads on where the recorded one stopped: it had closed the stream, or its process died."""


class FaultError(AnthropicError, ValueError):
    """A fault that does not exist, or not with these parameters."""
