"""`recorder export`."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click
import msgspec

from recorder.analytics.export import Capture, FileFormat
from recorder.analytics.export import export as export_files
from recorder.analytics.optional import MissingPackage
from recorder.analytics.otel_names import DEFAULT, VERSIONS
from recorder.analytics.otlp import NotSent, send
from recorder.analytics.selection import Selection

from .choosing import selection_options
from .errors import Exit, Failure, note
from .output import Column, print_rows
from .reading import paths_argument, salvage_option, segments_of
from .tables import load, query_errors
from .text import count

_FILES: dict[str, FileFormat] = {name: name for name in get_args(FileFormat)}
_TO = "Of the files, or otlp: to a collector."
_TIMING: Capture = "timing"
_CAPTURE = "timing leaves out what people and models wrote; full keeps it."
_ENDPOINT = "Of the collector, for otlp: http://127.0.0.1:4318."
_SEMCONV = "Version of OpenTelemetry's names, for otlp."
_COLUMNS = (Column("table"), *(Column(name, "{:,}".format, right=True) for name in ("rows", "files", "bytes")))


@click.command
@paths_argument
@click.option("--to", type=click.Choice([*_FILES, "otlp"]), required=True, help=_TO)
@click.option("--out", "-o", type=click.Path(path_type=Path), metavar="DIR", help="A new or empty directory.")
@click.option("--capture", type=click.Choice(get_args(Capture)), default=_TIMING, show_default=True, help=_CAPTURE)
@click.option("--endpoint", envvar="OTEL_EXPORTER_OTLP_ENDPOINT", metavar="URL", help=_ENDPOINT)
@click.option("--semconv", type=click.Choice(list(VERSIONS)), default=DEFAULT, show_default=True, help=_SEMCONV)
@selection_options
@salvage_option
def export(
    paths: tuple[Path, ...],
    to: str,
    out: Path | None,
    capture: Capture,
    endpoint: str | None,
    semconv: str,
    since: int | None,
    until: int | None,
    where: str | None,
    salvage: bool,
) -> None:
    """Write recordings as tables that other programs read, or send them to a collector.

    parquet, csv and arrow write the tables calls, streams, blocks, events and stalls below a directory; Parquet
    by the day (UTC) on which a stream was sent. What people and models wrote is left out, unless --capture full
    says otherwise. Arrow needs sse-recorder[arrow].

    otlp sends spans, in their recorded times, and metrics by the minute, to a collector that speaks OTLP over
    HTTP, in the names of OpenTelemetry's GenAI conventions; never any text. Spans that are sent again are the
    same spans, metrics count twice: choose with --since. The environment names the service and adds headers
    (OTEL_SERVICE_NAME, OTEL_EXPORTER_OTLP_HEADERS). It needs sse-recorder[otlp].

    \b
    recorder export recordings/ --to parquet -o tables/
    recorder export recordings/ --to otlp --endpoint http://127.0.0.1:4318 --since 24h
    """
    selection = Selection(since_ns=since, until_ns=until, where=where)
    with query_errors():
        try:
            if to == "otlp":
                _send(paths, endpoint, semconv, selection, salvage=salvage)
            else:
                _write(paths, _FILES[to], out, capture, selection, salvage=salvage)
        except MissingPackage as error:
            raise Failure(str(error), Exit.USAGE) from None


def _write(
    paths: tuple[Path, ...],
    to: FileFormat,
    out: Path | None,
    capture: Capture,
    selection: Selection,
    *,
    salvage: bool,
) -> None:
    if out is None:
        raise click.UsageError(f"--to {to} needs --out DIR")
    tables = load(paths, salvage=salvage, payloads=capture == "full")
    done = export_files(tables, out, to, capture=capture, selection=selection)
    print_rows(map(msgspec.structs.asdict, done), _COLUMNS)


def _send(
    paths: tuple[Path, ...], endpoint: str | None, semconv: str, selection: Selection, *, salvage: bool
) -> None:
    if endpoint is None:
        raise click.UsageError("--to otlp needs --endpoint URL")
    tables = load(paths, salvage=salvage, payloads=False)
    try:
        sent = send(tables, segments_of(paths), endpoint, semconv=semconv, selection=selection)
    except NotSent as error:
        raise Failure(f"{endpoint}: {error}", Exit.CHECK_FAILED) from None
    note(f"{count(sent.spans, 'span')} and {count(sent.points, 'data point')} of metrics sent.")
