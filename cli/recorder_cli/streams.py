"""Streams as rows of a table: what `ls` prints of each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

from recorder.log.streams import Stream

from .output import Column, Format, Row, print_rows
from .text import NOTHING, plain, seconds, utc

_DATE = re.compile(r"-20\d{6}$")
"""At the end of most models' names: what is least missed where there is no room."""


def _short_id(stream: str) -> str:
    return stream[:8]


def _to_the_second(sent: str | None) -> str:
    return f"{sent[:19]}Z" if sent else NOTHING


def _time_of_day(sent: str | None) -> str:
    return f"{sent[11:19]}Z" if sent else NOTHING


def undated(model: str | None) -> str:
    return _DATE.sub("", plain(model))


COLUMNS = (
    Column("stream", narrow=_short_id),
    Column("sent", _to_the_second, spare=2, narrow=_time_of_day),
    Column("model", spare=1, narrow=undated),
    Column("outcome"),
    Column("status", right=True, spare=3),
    Column("ttft_s", seconds, right=True),
    Column("ttft_text_s", seconds, right=True),
    Column("duration_s", seconds, right=True),
    Column("events", right=True, spare=4),
    Column("output_tokens", right=True),
    Column("tags", spare=5),
)


def row(stream: Stream) -> Row:
    """What a list of streams says of one."""
    timing = stream.timing()
    return {
        "stream": stream.id,
        "sent": None if "wall" in stream.unknown else utc(stream.request.wall),
        "model": model_of(stream),
        "outcome": timing.outcome,
        "status": stream.status,
        "ttft_s": timing.ttft_s,
        "ttft_text_s": timing.ttft_text_s,
        "duration_s": timing.duration_s,
        "events": timing.events,
        "output_tokens": timing.output_tokens,
        "tags": stream.request.tags or {},
    }


def model_of(stream: Stream) -> str | None:
    """The model that answered; else the one that was asked."""
    if stream.end and stream.end.summary and stream.end.summary.model:
        return stream.end.summary.model
    body = stream.request.body
    model = cast("dict[str, Any]", body).get("model") if isinstance(body, dict) else None
    return model if isinstance(model, str) else None


def rows_of(streams: Iterable[Stream]) -> list[Row]:
    """A row for each, in the order in which they were sent. Holds the rows, not the streams."""
    rows = [((stream.request.wall, stream.request.mono), row(stream)) for stream in streams]
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]


def streams_table(rows: Iterable[Row], output: Format = "table") -> None:
    """Print rows of `row`."""
    print_rows(rows, COLUMNS, output)
