"""Which bytes make an event: chosen by the response's content type, or told by the bytes themselves."""

from __future__ import annotations

from collections.abc import Mapping

from . import aws
from .sse import Block, SSEParser

Parser = SSEParser | aws.EventStreamParser


def parser_for(headers: Mapping[str, str]) -> Parser | None:
    """A parser for the body of a response with these headers (lower-case names); None: it is no event stream."""
    match headers.get("content-type", "").partition(";")[0].strip().lower():
        case "text/event-stream":
            return SSEParser()
        case aws.CONTENT_TYPE:
            return aws.EventStreamParser()
        case _:
            return None


def block_of(wire: bytes) -> Block | None:
    """The block that these bytes are, in whatever framing; None when they are none, or several."""
    for parser in (aws.EventStreamParser(), SSEParser()):
        blocks = [*parser.feed(wire), *parser.flush()]
        if len(blocks) == 1 and blocks[0].payload is not None:
            return blocks[0]
    return None
