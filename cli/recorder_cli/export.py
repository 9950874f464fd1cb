"""`recorder export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .choosing import selection_options
from .reading import paths_argument, salvage_option

if TYPE_CHECKING:
    from recorder.analytics.export import Capture
    from recorder.analytics.selection import Selection

_STREAMS = ("sse", "http", "har", "vcr", "asciicast")
_TABLES = ("parquet", "csv", "arrow")
_OTLP = "otlp"
_CAPTURE = "Of tables: timing (the default) leaves out what people and models wrote, full keeps it."
_ENDPOINT = "Of the collector, for otlp: http://127.0.0.1:4318."
_SEMCONV = "Version of OpenTelemetry's names, for otlp."
_ONE = "Only this stream: an id or the beginning of one. Of sse, http, har, vcr, asciicast."


@click.command
@paths_argument
@click.option("--to", "form", type=click.Choice([*_STREAMS, *_TABLES, _OTLP]), required=True, help="The format.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Where to.  [default: standard output]")
@click.option("--stream", metavar="ID", help=_ONE)
@click.option(
    "--capture", type=click.Choice(["timing", "full"]), default="timing", show_default=True, help=_CAPTURE
)
@click.option("--endpoint", envvar="OTEL_EXPORTER_OTLP_ENDPOINT", metavar="URL", help=_ENDPOINT)
@click.option("--semconv", metavar="VERSION", help=_SEMCONV)
@selection_options
@salvage_option
def export(form: str, **options: Any) -> None:
    """Write recordings in the formats of other tools, or send them to a collector.

    \b
    sse        the body of each stream, byte for byte
    http       the same behind its status and headers, as curl -i prints it
    har        HAR 1.2: all streams in one file, with the times that it can hold
    vcr        a cassette for vcrpy: all streams in one file, without times
    asciicast  the text of each stream in its own time: asciinema play FILE
    parquet    the tables calls, streams, blocks, events and stalls, by the day (UTC)
    csv        the same tables, a file each
    arrow      the same; needs sse-recorder[arrow]
    otlp       spans in their recorded times, and metrics, to a collector

    sse, http and asciicast hold one stream each: without --stream, -o is a directory that gets a file for each.
    What is there already is not written over. recorder import reads what holds bytes again. Tables leave out what
    people and models wrote, unless --capture full says otherwise; they and otlp can be chosen by time and
    condition.

    otlp speaks OTLP over HTTP, in the names of OpenTelemetry's GenAI conventions, and never sends any text. Spans
    that are sent again are the same spans, metrics count twice: choose with --since. The environment names the
    service and adds headers (OTEL_SERVICE_NAME, OTEL_EXPORTER_OTLP_HEADERS). It needs sse-recorder[otlp].

    \b
    recorder export recordings/ --to har -o streams.har
    recorder export recordings/ --stream 7c2f --to asciicast -o answer.cast
    recorder export recordings/ --to parquet -o tables/
    recorder export recordings/ --to otlp --endpoint http://127.0.0.1:4318 --since 24h
    """
    to = _export_streams if form in _STREAMS else _export_tables
    to(form, **options)


def _export_streams(
    form: str,
    *,
    paths: tuple[Path, ...],
    out: Path | None,
    stream: str | None,
    selection: Selection,
    salvage: bool,
    **_of_tables: Any,
) -> None:
    from .export_streams import write_streams

    if selection.since_ns is not None or selection.until_ns is not None or selection.where is not None:
        raise click.UsageError(f"--since, --until and --where choose rows; --to {form} takes --stream")
    write_streams(paths, stream, form, out, salvage=salvage)


def _export_tables(
    form: str,
    *,
    paths: tuple[Path, ...],
    out: Path | None,
    stream: str | None,
    selection: Selection,
    salvage: bool,
    capture: Capture,
    endpoint: str | None,
    semconv: str | None,
) -> None:
    from .export_tables import send_to, write_tables

    if stream is not None:
        raise click.UsageError(f"--to {form} takes --since, --until and --where, and not --stream")
    if form == _OTLP:
        send_to(paths, endpoint, semconv, selection, salvage=salvage)
    else:
        write_tables(paths, form, out, capture, selection, salvage=salvage)
