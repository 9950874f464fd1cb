"""One stream while it goes on, record by record, in constant memory: how far it is, and since when nothing came.

What it says at the end is what `timing.py` says of the whole stream. `now` is Unix time in ns, and an age is
counted from the wall clock of the request: of a recording of another machine it is as right as the two clocks.
"""

from __future__ import annotations

from typing import Literal

from . import wire
from .arrivals import is_output
from .payload import as_object, lenient
from .records import End, Event, Gap, Request, Response, StreamRecord
from .summary import Summarizer
from .timing import STALL_S, Outcome, error_type_of, outcome_of, usage_of

State = Literal[
    "waiting for headers", "waiting for first token", "waiting for body", "streaming", "thinking", "tool use"
]
"""What an open stream is at. `waiting for body`: the response is no event stream."""

_STALL_NS = round(STALL_S * 1e9)


class Progress:
    """A stream of which `first` is the first record that is known; `now` is when it became known.

    Where that is not the request, the stream was joined in its middle: when it was sent is estimated, and what
    came before is in no number. `_s`: seconds, as in `Timing`; None as long as it is not known.
    """

    def __init__(self, first: StreamRecord, now: int) -> None:
        self.id = first.stream
        self.joined = not isinstance(first, Request)
        """The request is not known."""
        self._untimed = isinstance(first, Request) and "body" in (first.unknown or ())
        self.sent = (first.wall or now) if isinstance(first, Request) else now - first.at
        """Unix time in ns."""
        self.model: str | None = None
        """The one that answers, once it is known; else the one that was asked."""
        self.response: Response | None = None
        self.end: End | None = None
        self.events = 0
        self.output_chars = 0
        self.stalls = 0
        """Pauses of more than 2 s that are over; `stalled_s` is their sum."""
        self._stalled = 0
        self._last = first.at
        self._progress: int | None = None
        """When the pause began that goes on: at the headers, or an output. None: before, or after a gap."""
        self._first_output: int | None = None
        self._kind: str | None = None
        """Type of the last block that started, or of the last delta."""
        self._error_event = False
        self._summary = Summarizer()
        self.take(first)

    def take(self, record: StreamRecord) -> None:
        """The next record of the stream, by `seq`."""
        self._last = max(self._last, record.at)
        match record:
            case Request():
                model = (as_object(record.body) or {}).get("model")
                self.model = model if isinstance(model, str) else None
            case Response():
                self.response = record
                self._progressed(record.at)
            case Event():
                self._event(record)
            case Gap():
                self._progress = None
            case End():
                self.end = record
                self._progressed(record.at)
                self.model = (record.summary.model if record.summary else None) or self.model
            case _:
                pass

    @property
    def state(self) -> State:
        """What it is at, as far as it is known."""
        if self.response is None and not self.events:
            return "waiting for headers"
        if self.response and not self._is_event_stream(self.response):
            return "waiting for body"
        kind = self._kind or ""
        if kind in ("thinking", "thinking_delta", "signature_delta", "redacted_thinking"):
            return "thinking"
        if kind.endswith("tool_use") or kind == "input_json_delta":
            return "tool use"
        return "streaming" if self.output_chars else "waiting for first token"

    @property
    def outcome(self) -> Outcome:
        """How it ended; `lost` as long as it did not."""
        return outcome_of(self.response, self.end, error_event=self._error_event)

    @property
    def error_type(self) -> str | None:
        return error_type_of(self.outcome, self.response, self.end)

    @property
    def status(self) -> int | None:
        return self.response.status if self.response else None

    @property
    def output_tokens(self) -> int | None:
        """None: no `message_delta` said it yet."""
        tokens: int | None = usage_of(self.end.summary if self.end else self._summary.record())["output_tokens"]
        return tokens

    @property
    def ttft_s(self) -> float | None:
        """First output of any kind."""
        return None if self._first_output is None or self._untimed else self._first_output / 1e9

    @property
    def stalled_s(self) -> float:
        return self._stalled / 1e9

    def open_s(self, now: int) -> float:
        """Since the send; of a stream that ended, how long it took."""
        return max(0, self.end.at if self.end else now - self.sent) / 1e9

    def silent_s(self, now: int) -> float:
        """Since anything came: a ping and a comment count."""
        return max(0, now - self.sent - self._last) / 1e9

    def paused_s(self, now: int) -> float:
        """Since there was progress: the send, the headers, an output."""
        return max(0, now - self.sent - self.progress_at) / 1e9

    @property
    def progress_at(self) -> int:
        """ns after the send. Right after a gap, when nothing is known, of the last record."""
        if self._progress is not None:
            return self._progress
        return self._last if self.joined or self.response else 0

    def _event(self, event: Event) -> None:
        self.events += 1
        if event.event in ("content_block_start", "content_block_delta"):
            self._kind = event.delta
        elif event.event not in ("ping", "content_block_stop"):
            self._control(event)
        if not is_output(event):
            return
        self.output_chars += event.chars or 0
        if self._first_output is None and (self.response or not self.joined):
            self._first_output = event.at
        self._progressed(event.at)

    def _control(self, event: Event) -> None:
        self._error_event = self._error_event or event.event == "error"
        value = as_object(lenient(wire.payload(event)))
        if value is not None:
            self._summary.event(event.event, value)
            said = self._summary.record()
            self.model = (said.model if said else None) or self.model

    def _progressed(self, at: int) -> None:
        if self._progress is not None and at - self._progress > _STALL_NS:
            self.stalls += 1
            self._stalled += at - self._progress
        self._progress = at

    @staticmethod
    def _is_event_stream(response: Response) -> bool:
        kind = response.headers.get("content-type", "")
        return kind.partition(";")[0].strip().lower() == "text/event-stream"
