"""`recorder fixtures review`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from recorder.hygiene.review import changes, kept_aside, recordings_in, since
from recorder.log.reader import RecordingError

from .changes_text import how_options, print_changes


@click.command
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--against", metavar="REV", default="HEAD", show_default=True, help="A revision of git, or a directory."
)
@click.option(
    "--failed", is_flag=True, help="What failed runs recorded and was kept aside, against what is there."
)
@how_options
def review(directory: Path, against: str, failed: bool, brief: bool, full: bool, as_json: bool) -> None:
    """Say what changed in a directory of recordings, in words.

    Compares what is there with what git has, with another directory, or (--failed) with what `rewrite` kept of
    the runs of tests that failed. One line for each file that is new, removed or changed, and below it what
    changed in structure and text; --full has the times, too. A file with equal streams in other bytes is the same.

    \b
    recorder fixtures review tests/recordings
    recorder fixtures review tests/recordings --against main --brief
    """
    if not directory.is_dir():
        raise RecordingError(directory, "no such directory")
    with tempfile.TemporaryDirectory(prefix="recorder-") as kept:
        if failed:
            before, after = kept_aside(directory)
        elif Path(against).is_dir():
            before, after = recordings_in(Path(against)), recordings_in(directory)
        else:
            before, after = since(directory, against, Path(kept))
        print_changes(changes(before, after), brief=brief, full=full, as_json=as_json)
