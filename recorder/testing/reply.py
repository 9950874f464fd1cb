"""What the upstream answers: bytes with deadlines, and an ending. Pure values, made before the server starts."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Self

import msgspec
from msgspec import Struct

Headers = Mapping[str, str] | Sequence[tuple[str, str]]
Ending = Literal["read", "cut", "reset", "hang"]

_EVENT_STREAM = ("content-type", "text/event-stream; charset=utf-8")
_JSON = ("content-type", "application/json")


class Step(Struct, kw_only=True, frozen=True):
    """Bytes that leave together, and when."""

    at: int
    """ns since the request was fully received. A step whose time has passed leaves at once, in its turn."""
    data: bytes
    """Written as exactly one HTTP chunk. A client that keeps up reads it as one chunk when it fits into one
    read of its socket (64 KiB in httpx2). No bytes: nothing is written."""


class Reply(Struct, kw_only=True, frozen=True):
    """One answer of the upstream: status, headers, steps, and how the connection ends.

    The body is chunked unless the headers have a content-length. Without headers (`headers_at=None`, see
    `Reply.drop`) the fault comes before the response. Raises ValueError for a body without headers.
    """

    status: int = 200
    headers: Headers = (_EVENT_STREAM,)
    steps: tuple[Step, ...] = ()
    headers_at: int | None = 0
    """ns; when the status line and the headers leave. None: never."""
    end: Ending = "read"
    """`read`: the body ends cleanly and the connection stays open for the next request. `cut`: the
    connection closes in the middle of the body. `reset`: the same by TCP RST, which loses what a slow client
    has not let in yet. `hang`: nothing more comes until the client goes away or the upstream is closed."""
    end_at: int | None = None
    """ns; None: right after the last step. Never before it."""

    def __post_init__(self) -> None:
        if self.headers_at is None and (self.steps or self.end == "read"):
            raise ValueError(
                "a reply without headers (headers_at=None) has no steps and cannot end cleanly: "
                "use end='cut', 'reset' or 'hang'"
            )

    @classmethod
    def json(cls, status: int, obj: object, *, headers: Headers = (), at: int = 0) -> Self:
        """`obj` as a JSON body with a content-length, whole at `at` (ns). `headers` are added."""
        body = msgspec.json.encode(obj)
        length = ("content-length", str(len(body)))
        return cls(
            status=status,
            headers=(_JSON, length, *pairs(headers)),
            headers_at=at,
            steps=(Step(at=at, data=body),),
        )

    @classmethod
    def error(cls, status: int, type: str, message: str, *, headers: Headers = (), at: int = 0) -> Self:  # noqa: A002  (the API's own word)
        """Claude's error body, such as `Reply.error(529, "overloaded_error", "Overloaded")`."""
        body = {"type": "error", "error": {"type": type, "message": message}, "request_id": None}
        return cls.json(status, body, headers=headers, at=at)

    @classmethod
    def sse(
        cls,
        events: Iterable[Mapping[str, object] | bytes],
        *,
        first: int = 0,
        gap: int = 0,
        headers: Headers = (),
        headers_at: int = 0,
        end: Ending = "read",
        end_at: int | None = None,
    ) -> Self:
        """An event stream with one step per event: the first at `first`, then one every `gap` (ns).

        A mapping is encoded by `encode_event`; bytes are sent as they are. `headers` are added.
        """
        steps = tuple(
            Step(at=first + i * gap, data=event if isinstance(event, bytes) else encode_event(event))
            for i, event in enumerate(events)
        )
        every = (_EVENT_STREAM, *pairs(headers))
        return cls(headers=every, steps=steps, headers_at=headers_at, end=end, end_at=end_at)

    @classmethod
    def drop(cls, end: Literal["cut", "reset", "hang"], *, at: int = 0) -> Self:
        """No response at all: the connection ends so at `at` (ns). (For a refused one, close the upstream.)"""
        return cls(headers=(), headers_at=None, end=end, end_at=at)


def encode_event(payload: Mapping[str, object]) -> bytes:
    """One server-sent event as the API writes it: its name is the `type` of the payload."""
    return b"event: %s\ndata: %s\n\n" % (str(payload["type"]).encode(), msgspec.json.encode(payload))


def message_events(
    *texts: str, model: str = "claude-test", stop_reason: str = "end_turn"
) -> list[dict[str, object]]:
    """The events of one complete message with one text block: a `text_delta` for each of `texts`."""
    message: dict[str, object] = {
        "id": "msg_test",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 1},
    }
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
            for text in texts
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason, "stop_sequence": None},
            "usage": {"output_tokens": len(texts)},
        },
        {"type": "message_stop"},
    ]


def gzip_steps(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The same steps, compressed; each still is one chunk that decodes on its own (a sync flush per step).

    The reply needs the header `content-encoding: gzip`. The gzip trailer is part of the last step.
    """
    gzip = zlib.compressobj(wbits=31)
    last = len(steps) - 1
    return tuple(
        Step(
            at=step.at,
            data=gzip.compress(step.data) + gzip.flush(zlib.Z_FINISH if i == last else zlib.Z_SYNC_FLUSH),
        )
        for i, step in enumerate(steps)
    )


def pairs(headers: Headers) -> tuple[tuple[str, str], ...]:
    return tuple(headers.items() if isinstance(headers, Mapping) else headers)
