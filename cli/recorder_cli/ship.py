"""`recorder ship`."""

from __future__ import annotations

import socket
from pathlib import Path

import click
from msgspec.structs import asdict

from recorder.analytics.export import Capture
from recorder.analytics.lake.ship import Outcome, Shipper
from recorder.analytics.lake.store import Store

from .errors import Exit, note, tell, warn
from .lakes import store_errors
from .output import Column, Format, Row, print_rows
from .reading import format_option, paths_argument
from .text import count

COLUMNS = (
    Column("segment"),
    Column("action"),
    *(Column(name, right=True) for name in ("streams", "events", "bytes")),
    Column("file", spare=1),
)
_TO = "file://, s3://bucket/path, gs://bucket/path, az://container/path, or a directory."
_CAPTURE = "timing (the default) leaves out what people and models wrote, full keeps it."
_HOST = "What the partition of this machine is called.  [default: its name]"
_FOLLOW = "Go on: ship each segment when it is over, until interrupted."


@click.command
@paths_argument
@click.option("--to", "url", metavar="URL", required=True, help=_TO)
@click.option("--capture", type=click.Choice(["timing", "full"]), default="timing", help=_CAPTURE)
@click.option("--host", metavar="NAME", help=_HOST)
@click.option("--follow", is_flag=True, help=_FOLLOW)
@format_option
def ship(
    paths: tuple[Path, ...], url: str, capture: Capture, host: str | None, follow: bool, output: Format
) -> Exit:
    """Send segments to a lake of Parquet, each once, in an object store or on a disk.

    Every segment that nobody writes any more becomes one object for each of the tables calls, streams, blocks,
    events and stalls, by day and host. What is there already is not sent again: run it as often as you like, from
    as many places, and kill it. Nothing is deleted here. A stream is with the segment that it ended in.

    Credentials and endpoints are those of the environment, as the store's own tools take them (AWS_ACCESS_KEY_ID,
    AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME ...), or of the machine. It needs
    sse-recorder[lake]. With --follow it runs beside the application, and a store that does not answer is tried
    again until it does.

    \b
    recorder ship recordings/ --to s3://bucket/lake
    recorder ship recordings/ --to s3://bucket/lake --follow
    """
    done: list[Outcome] = []
    with store_errors():
        shipper = Shipper(paths, Store(url), host=host or socket.gethostname(), capture=capture, report=warn)
        if follow:
            for outcome in shipper.follow(note):
                _tell(outcome)
        try:
            done.extend(shipper.once())
        finally:
            print_rows(map(_row, (one for one in done if one.action != "failed")), COLUMNS, output)
    return _summary(done)


def _tell(outcome: Outcome) -> None:
    if outcome.action == "failed":
        tell("error", str(outcome.reason))
    else:
        size = f"{outcome.streams:,} streams, {outcome.events:,} events, {outcome.bytes:,} bytes"
        click.echo(f"{outcome.segment}  {size}  {outcome.path}")


def _row(outcome: Outcome) -> Row:
    row = {**asdict(outcome), "file": str(outcome.path)}
    return {column.name: row[column.name] for column in COLUMNS}


def _summary(done: list[Outcome]) -> Exit:
    def number(action: str) -> int:
        return sum(one.action == action for one in done)

    for one in done:
        if one.action == "failed":
            tell("error", str(one.reason))
    left = number("live") + number("waits")
    size = sum(one.bytes or 0 for one in done)
    note(
        f"{count(number('shipped'), 'segment')} shipped, {size:,} bytes; {number('there'):,} there already,"
        f" {left:,} not over yet."
    )
    return Exit.NOTHING_TO_READ if number("failed") else Exit.OK
