"""One stream for a person to read: `recorder show` without options."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from textwrap import wrap
from typing import Any, cast

import click
import msgspec
from msgspec.structs import asdict

from recorder.core.records import End, Response
from recorder.core.said import as_object, block_text
from recorder.core.timing import Timing
from recorder.log.streams import Stream

from .oneline import LEGEND, oneline
from .output import in_colour, on_terminal, print_rows
from .text import count, number, plain, seconds, shorten, utc, visible
from .timeline import abbreviated, columns, timeline

_MESSAGES = 6
_EVENTS = 40
"""Rows of events that are shown of a longer stream: half from its beginning, half from its end."""
_LINE = 120
"""Columns, where there is no terminal to ask."""


def print_stream(stream: Stream, *, full: bool) -> None:
    """Everything about a stream; unless `full`, long texts and many rows abbreviated."""
    room = shutil.get_terminal_size((_LINE, 0)).columns if on_terminal() else _LINE
    limit = 1 << 30 if full else room - 16
    timing = stream.timing()
    ended = f"{timing.outcome}, {timing.error_type}" if timing.error_type else timing.outcome
    _print(f"stream {stream.id}  {ended}", _origin(stream))
    _print("request", [shorten(line, limit) for line in _request(stream)])
    _print("response", [shorten(line, limit) for line in _response(stream)])
    _print("timeline", _timeline(stream, room))
    _print_events(stream, full=full, room=room)
    _print("end", _end(stream))
    _print("metrics", _grid(_metrics(timing), room))


def _print(heading: str, lines: Iterator[str] | list[str]) -> None:
    click.echo(click.style(visible(heading), bold=True) if in_colour() else visible(heading))
    for line in lines:
        click.echo(f"  {visible(line)}")


def _timeline(stream: Stream, room: int) -> list[str]:
    line = oneline(stream, min(room, _LINE) - 2)
    return [line, *wrap(LEGEND, room - 2)] if line else []


def _print_events(stream: Stream, *, full: bool, room: int) -> None:
    rows = list(timeline(stream))
    shorter = not full and len(rows) > _EVENTS + 5
    _print("body", ["nothing came"] if not rows else [])
    table = columns(abbreviated(1 << 30 if full else max(20, room - 75)))
    if rows:
        print_rows(rows[: _EVENTS // 2] if shorter else rows, table, quiet=True)
    if shorter:
        click.echo(f"  … {count(len(rows) - _EVENTS, 'row')} left out; --full shows them …")
        print_rows(rows[-_EVENTS // 2 :], table, quiet=True)


def _origin(stream: Stream) -> Iterator[str]:
    header, request = stream.header, stream.request
    sent = "at a time that nobody noted" if "wall" in stream.unknown else utc(request.wall)
    yield f"sent {sent}, attempt {request.attempt} of call {request.call}"
    versions = [f"sse-recorder {header.recorder}"]
    versions += [f"anthropic {header.anthropic}"] if header.anthropic else []
    versions += [f"Python {header.python}"] if header.python else []
    versions += [f"process {header.pid}"] if header.pid is not None else []
    versions += [header.source] if header.source else []
    yield f"recorded by {', '.join(versions)}"
    yield f"in {os.fspath(stream.path)}"
    if request.edited:
        yield f"edited: {', '.join(request.edited)}"
    yield from [f"not known: {', '.join(map(plain, stream.unknown))}"] if stream.unknown else []
    if request.tags:
        yield f"tags {plain(request.tags)}"


def _request(stream: Stream) -> Iterator[str]:
    request = stream.request
    yield f"{request.method} {request.url}"
    yield from (f"{name}: {value}" for name, value in request.headers.items())
    body = request.body
    if not isinstance(body, dict):
        yield from [] if body is None else [plain(body)]
        return
    fields = cast("dict[str, Any]", body)
    for name, value in fields.items():
        match name, value:
            case "messages", list():
                yield from _messages(cast("list[Any]", value))
            case "tools", list():
                tools = [as_object(tool).get("name") for tool in cast("list[Any]", value)]
                yield f"tools: {', '.join(map(plain, tools))}"
            case "system", _:
                yield f"system: {_content(value)}"
            case _:
                yield f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


def _messages(messages: list[Any]) -> Iterator[str]:
    if len(messages) > _MESSAGES:
        yield f"… {count(len(messages) - _MESSAGES, 'earlier message')}; --request shows them …"
    for message in map(as_object, messages[-_MESSAGES:]):
        yield f"{plain(message.get('role'))}: {_content(message.get('content'))}"


def _content(content: object) -> str:
    if isinstance(content, list):
        return " ".join(block_text(as_object(block)) for block in cast("list[Any]", content))
    return plain(content)


def _response(stream: Stream) -> Iterator[str]:
    response = stream.response
    if response is None:
        yield "there was none"
        return
    http = f" {response.http}" if response.http else ""
    after = "" if "headers" in stream.unknown else f" after {seconds(response.at / 1e9)} s"
    yield f"{response.status}{http}{after}"
    yield from _connection(response)
    yield from ["read ahead of the application: times are of the tap's own reads"] if response.arrival else []
    yield from [f"from {response.url}"] if response.url else []
    yield from (f"{name}: {value}" for name, value in response.headers.items())
    yield from [f"body still encoded: {response.encoded}"] if response.encoded else []


def _connection(told: Response | End) -> Iterator[str]:
    """How long each phase took, and when the request was sent whole."""
    if told.phases is None:
        return
    words = [] if told.reused is None else ["connection reused" if told.reused else "new connection"]
    spans = asdict(told.phases).items()
    words += [f"{name} {(span[1] - span[0]) / 1e6:.1f} ms" for name, span in spans if span]
    yield ", ".join(words)


def _end(stream: Stream) -> Iterator[str]:
    end = stream.end
    if end is None:
        yield "there was none: the process died, or was stopped, before the stream ended"
        return
    complete = "complete" if end.complete else "not complete"
    after = "" if "end" in stream.unknown else f", after {seconds(end.at / 1e9)} s"
    yield f"{end.end}, {complete}{after}"
    yield from _connection(end)
    chunks = [] if "body" in stream.unknown else [count(end.chunks, "chunk")]
    yield ", ".join([count(end.events, "event"), *chunks, count(end.bytes, "byte")])
    if end.error:
        yield f"error {end.error.type}: {end.error.message}"
    if end.summary:
        summary = msgspec.to_builtins(end.summary)
        yield from (f"{name}: {plain(value)}" for name, value in summary.items() if name not in ("usage", "error"))
        if end.summary.usage:
            yield f"usage: {json.dumps(end.summary.usage, ensure_ascii=False)}"
        if end.summary.error:
            yield f"API error {end.summary.error.type}: {end.summary.error.message}"


def _metrics(timing: Timing) -> Iterator[tuple[str, str]]:
    for name in timing.__struct_fields__:
        value = getattr(timing, name)
        if value is not None and name not in ("outcome", "error_type"):
            yield name, seconds(value) if name.endswith("_s") else number(value)


def _grid(pairs: Iterator[tuple[str, str]], room: int) -> list[str]:
    """Names and values, as many side by side as there is room for, read down the columns."""
    cells = list(pairs)
    names, values = max(len(name) for name, _ in cells), max(len(value) for _, value in cells)
    across = max(1, (room - 2) // (names + values + 5))
    down = -(-len(cells) // across)
    lines = [cells[n::down] for n in range(down)]
    return ["    ".join(f"{name:<{names}} {value:>{values}}" for name, value in line) for line in lines]
