"""`recorder fixtures update`."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import click

from recorder.hygiene.review import changes, kept_aside, recordings_in
from recorder.log.reader import RecordingError

from .changes_text import how_options, print_changes
from .errors import Exit, Failure, warn


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option(
    "--mode",
    type=click.Choice(["rewrite", "append", "once"]),
    default="rewrite",
    show_default=True,
    help="append adds what is missing, once makes the files that are.",
)
@how_options
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("command", metavar="-- COMMAND...", nargs=-1, required=True)
def update(directory: Path, mode: str, brief: bool, full: bool, as_json: bool, command: tuple[str, ...]) -> int:
    """Record again by running the tests live, and say what changed.

    Runs the command with RECORDER_MODE=rewrite: what passes takes the place of its recording in DIR, what fails
    lies beside it as .failed. Then says what changed in DIR, in words, and exits with the status of the command.

    \b
    recorder fixtures update tests -- pytest tests/test_chat.py
    """
    if not directory.is_dir():
        raise RecordingError(directory, "no such directory")
    command = command[1:] if command[0] == "--" else command
    if not command:
        raise click.UsageError("say what runs the tests: -- pytest")
    with tempfile.TemporaryDirectory(prefix="recorder-") as kept:
        before = _kept(recordings_in(directory), Path(kept))
        aside = set(kept_aside(directory)[1].values())
        began = {path: path.stat().st_mtime_ns for path in aside}
        try:
            done = subprocess.run(command, env={**os.environ, "RECORDER_MODE": mode}, check=False)  # noqa: S603
        except OSError as error:
            raise Failure(f"{command[0]}: {(error.strerror or str(error)).lower()}", Exit.USAGE) from None
        for path in kept_aside(directory)[1].values():
            if path.stat().st_mtime_ns != began.get(path):
                warn(f"{path}: of a test that failed; recorder fixtures review --failed shows it")
        print_changes(changes(before, recordings_in(directory)), brief=brief, full=full, as_json=as_json)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def _kept(recordings: dict[str, Path], keep_in: Path) -> dict[str, Path]:
    """Copies of the recordings, by the same names."""
    copies: dict[str, Path] = {}
    for number, (name, path) in enumerate(recordings.items()):
        copies[name] = keep_in / f"{number}-{path.name}"
        shutil.copyfile(path, copies[name])
    return copies
