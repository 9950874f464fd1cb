"""`recorder report`."""

from __future__ import annotations

from pathlib import Path

import click

from recorder.report.charts import write_charts
from recorder.report.data import gather
from recorder.report.page import page
from recorder.report.vega import MissingExtra

from .errors import Exit, Failure, note
from .reading import paths_argument, salvage_option, segments_of
from .tables import load, query_errors
from .text import count


@click.command
@paths_argument
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="FILE", help="The page, one HTML file.")
@click.option("--charts", type=click.Path(path_type=Path), metavar="DIR", help="Each chart as PNG and SVG.")
@click.option(
    "--details",
    type=click.IntRange(min=0),
    default=200,
    show_default=True,
    metavar="N",
    help="How many streams are there event by event: the slowest, stalled, failed, and others by chance.",
)
@click.option("--title", help="Of the page.  [default: the paths]")
@salvage_option
def report(
    paths: tuple[Path, ...], out: Path | None, charts: Path | None, details: int, title: str | None, salvage: bool
) -> None:
    """Draw recordings: one HTML file that works offline, or a picture of each chart.

    The page has every stream with its numbers, and some of them event by event, with a player that shows the
    text arriving as it did. It can be sent to others: it asks nothing of any network. It holds what was
    recorded, prompts and answers of those streams too; a recording made with capture="timing", or copied by
    `recorder redact --capture timing`, has none.

    Needs the extra: pip install 'sse-recorder[report]'. FILE is report.html unless --charts is given alone.

    \b
    recorder report recordings/ -o report.html
    recorder report recordings/ --charts pictures/
    """
    out = out or (None if charts else Path("report.html"))
    with query_errors():
        recorded = gather(load(paths, salvage=salvage, payloads=False), segments_of(paths), details)
    if not recorded.data.count:
        raise Failure(f"{', '.join(map(str, paths))}: no streams there to draw", Exit.NOTHING_TO_READ)
    try:
        if out is not None:
            _write(out, page(recorded, title=title or ", ".join(map(str, paths))))
            streams = count(recorded.data.count, "stream")
            note(f"{streams}, {len(recorded.details):,} of them event by event (--details)")
        if charts is not None:
            written = write_charts(recorded, charts)
            note(f"{charts}: {count(len(written), 'file')}")
    except MissingExtra as error:
        raise Failure(f"recorder report: {error}", Exit.USAGE) from None


def _write(out: Path, content: bytes) -> None:
    out.write_bytes(content)
    note(f"{out}: {len(content) / 2**20:.1f} MiB")
