"""`recorder ui`."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from recorder.analytics.report import Tables
from recorder.log.reader import Problem

from .errors import Exit, Failure, note, warn
from .reading import paths_argument
from .tables import database_of, query_errors


@click.command
@paths_argument
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Of 127.0.0.1.  [default: a free one]"
)
@click.option("--open", "browse", is_flag=True, help="Show it in the browser.")
def ui(paths: tuple[Path, ...], port: int, browse: bool) -> None:
    """Watch recordings in a browser: the page of `recorder report`, live.

    Serves on the loopback, to whoever has the address it prints, until it is interrupted. Each PATH is a file,
    a directory or a glob, and need not be there yet: the page is renewed while recordings are written. Every
    stream can be looked at event by event, with its text.

    Needs the extra: pip install 'sse-recorder[report]'.

    \b
    recorder ui recordings/
    recorder ui recordings/ --port 8000 --open
    """
    try:
        from recorder.report.live import Source, serve
        from recorder.report.vega import library

        library()
    except ImportError as error:
        package = error.name or "vl-convert-python"
        raise Failure(
            f"recorder ui: {package} is not installed: pip install 'sse-recorder[report]'", Exit.USAGE
        ) from None

    def ready(address: str) -> None:
        note(f"{address} (control-C ends it)")
        if browse:
            webbrowser.open(address)

    source = Source(paths, _loader(paths), warn)
    with query_errors():
        source.renew()
    if not source.segments():
        note(f"{', '.join(map(str, paths))}: no recording there yet; waiting for one")
    serve(source, port=port, ready=ready, tell=warn)


def _loader(paths: Sequence[Path]) -> Callable[[Sequence[Path]], Tables]:
    """Makes tables of segments; each thing that is left out is told once, and a line not yet whole never."""
    told: set[Problem] = set()
    database = database_of(paths, None)

    def report(problem: Problem) -> None:
        if problem.kind not in ("torn", "empty") and problem not in told:
            told.add(problem)
            warn(problem)

    def load(segments: Sequence[Path]) -> Tables:
        return Tables(segments, salvage=True, report=report, payloads=False, database=database, note=note)

    return load
