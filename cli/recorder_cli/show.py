"""`recorder show`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import click
import msgspec

from recorder.core.fingerprint import compared, volatile
from recorder.core.lines import encode_line
from recorder.log.streams import Stream

from .errors import Exit, Failure
from .output import Format, on_terminal, print_rows, write, write_json
from .reading import format_option, one_stream, path_argument, salvage_option
from .show_text import print_stream
from .text import plain
from .timeline import columns, timeline

Part = Literal["request", "body", "message", "events", "fingerprint"]


@click.command
@path_argument
@click.argument("stream", metavar="[STREAM]", required=False)
@click.option("--request", "part", flag_value="request", help="Only the request's body, as JSON.")
@click.option("--body", "part", flag_value="body", help="Only the response's body, byte for byte.")
@click.option(
    "--message", "part", flag_value="message", help="Only the final message that it adds up to, as JSON."
)
@click.option("--events", "part", flag_value="events", help="Only the event records, as they stand in the file.")
@click.option(
    "--fingerprint", "part", flag_value="fingerprint", help="Only what a replay compares of the request, as JSON."
)
@click.option("--full", is_flag=True, help="Abbreviate nothing.")
@salvage_option
@format_option
def show(path: Path, stream: str | None, part: Part | None, full: bool, salvage: bool, output: Format) -> None:
    """Show one stream: request, response, every event with its time, metrics.

    STREAM is an id or the beginning of one; it may be left out where there is only one.

    at_s counts from the send; wait_ms is how long the read blocked that delivered the event; gap_ms is the
    time since the row before, empty where both came in one chunk. Where censored_ms has a number the bytes were
    there before the application asked for them, and came up to so much earlier than at_s. The other formats
    are: json, everything; jsonl and csv, the events. On a terminal control characters in recorded text are shown
    escaped.

    \b
    recorder show recordings/ 7c2f
    recorder show recordings/ 7c2f --message | jq .usage
    recorder show recordings/ 7c2f --body > body.sse
    """
    one = one_stream(path, stream, salvage=salvage)
    try:
        if not one.reduced:
            one.body()
    except ValueError as error:  # base64 that is none
        raise Failure(f"{one.path}: stream {one.id}: its bytes cannot be read: {error}", Exit.CORRUPT) from None
    if part is not None:
        _print_part(one, part)
    elif output == "table":
        print_stream(one, full=full)
    elif output == "json":
        write_json(_whole(one), indent=2)
    else:
        print_rows(timeline(one), columns(plain), output)


def _print_part(stream: Stream, part: Part) -> None:
    match part:
        case "request":
            body = stream.request.body
            write(body) if isinstance(body, str) else write_json(body, indent=2)
        case "fingerprint":
            write_json(_compared(stream), indent=2)
        case "message":
            message = stream.message()
            if message is None:
                raise Failure(f"{stream.path}: stream {stream.id} has no message", Exit.NOTHING_TO_READ)
            write_json(message, indent=2)
        case "events":
            for event in stream.events:
                write(encode_line(event).decode().rstrip("\n"))
        case "body":
            if stream.reduced:
                raise Failure(
                    f"{stream.path}: stream {stream.id}: its body is a file, of which only size and SHA-256 are "
                    "recorded: see the output as json",
                    Exit.NOTHING_TO_READ,
                )
            _print_body(stream.body())


def _compared(stream: Stream) -> dict[str, Any]:
    from recorder.replayer.asked import asked_by  # and with it httpx2

    asked = asked_by(stream)
    return {
        "fingerprint": asked.fingerprint(),
        "method": asked.method,
        "path": asked.path,
        "body": compared(asked.path, asked.body),
        "not_compared": volatile(asked.path),
    }


def _print_body(body: bytes) -> None:
    if on_terminal():
        write(body.decode("utf-8", "backslashreplace"))
        return
    sys.stdout.flush()
    left = memoryview(body)
    while left:  # an unbuffered stdout may take only a part
        left = left[sys.stdout.buffer.write(left) :]


def _whole(stream: Stream) -> dict[str, Any]:
    response, end = stream.response, stream.end
    request = msgspec.to_builtins(msgspec.structs.asdict(stream.request) | {"data": None})
    return {
        "stream": stream.id,
        "file": str(stream.path),
        "header": msgspec.to_builtins(stream.header),
        "request": {name: value for name, value in request.items() if value is not None}
        | {"body": stream.request.body},
        "response": None if response is None else msgspec.to_builtins(response),
        "events": list(timeline(stream)),
        "end": None if end is None else msgspec.to_builtins(end),
        "metrics": msgspec.to_builtins(stream.timing()),
    }
