"""`recorder export` of tables: to files, or to a collector."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import click
import msgspec

from recorder.analytics.export import Capture, FileFormat
from recorder.analytics.export import export as export_files
from recorder.analytics.otlp import NotSent, send
from recorder.analytics.selection import Selection
from recorder.core.semconv import DEFAULT, VERSIONS
from recorder.optional import MissingPackage

from .errors import Exit, Failure, note
from .output import Column, print_rows
from .tables import load, query_errors
from .text import count

_FILES: dict[str, FileFormat] = {name: name for name in get_args(FileFormat)}
_COLUMNS = (Column("table"), *(Column(name, "{:,}".format, right=True) for name in ("rows", "files", "bytes")))


def write_tables(
    paths: tuple[Path, ...],
    form: str,
    out: Path | None,
    capture: Capture,
    selection: Selection,
    *,
    salvage: bool,
) -> None:
    """Raises UsageError without a directory to write to, and Failure where a package is missing."""
    if out is None:
        raise click.UsageError(f"--to {form} needs --out DIR")
    with query_errors(), _package_errors():
        tables = load(paths, salvage=salvage, payloads=capture == "full")
        done = export_files(tables, out, _FILES[form], capture=capture, selection=selection)
    print_rows(map(msgspec.structs.asdict, done), _COLUMNS)


def send_to(
    paths: tuple[Path, ...], endpoint: str | None, semconv: str | None, selection: Selection, *, salvage: bool
) -> None:
    """Raises UsageError without a collector to send to or for names that we do not know, and Failure for one that
    does not take it."""
    if endpoint is None:
        raise click.UsageError("--to otlp needs --endpoint URL")
    if semconv is not None and semconv not in VERSIONS:
        raise click.UsageError(f"--semconv {semconv}: it is one of {', '.join(VERSIONS)}")
    with query_errors(), _package_errors():
        tables = load(paths, salvage=salvage, payloads=False)
        try:
            sent = send(tables, endpoint, semconv=semconv or DEFAULT, selection=selection)
        except NotSent as error:
            raise Failure(f"{endpoint}: {error}", Exit.CHECK_FAILED) from None
    note(f"{count(sent.spans, 'span')} and {count(sent.points, 'data point')} of metrics sent.")


@contextmanager
def _package_errors() -> Generator[None]:
    try:
        yield
    except MissingPackage as error:
        raise Failure(str(error), Exit.USAGE) from None
