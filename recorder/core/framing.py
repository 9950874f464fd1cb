"""Which bytes make an event: chosen by the response's content type."""

from __future__ import annotations

from collections.abc import Mapping

from . import aws
from .sse import SSEParser

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
