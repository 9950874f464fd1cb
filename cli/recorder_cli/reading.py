"""What every command that reads recordings has in common: its arguments, and what is said of bad input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import click

from recorder.log.reader import Problem, RecordingError, find_segments
from recorder.log.streams import Stream, read_streams
from recorder.recording import Recording

from .errors import Exit, Failure, note, warn
from .output import FORMATS

Command = TypeVar("Command", bound=Callable[..., Any])
_PATH = click.Path(path_type=Path)


def paths_argument(command: Command) -> Command:
    return click.argument("paths", metavar="PATH...", type=_PATH, nargs=-1, required=True)(command)


def path_argument(command: Command) -> Command:
    return click.argument("path", metavar="PATH", type=_PATH)(command)


def salvage_option(command: Command) -> Command:
    return click.option("--salvage", is_flag=True, help="Read on past corrupt lines.")(command)


def format_option(command: Command) -> Command:
    text = "table is plain text when it does not go to a terminal.  [default: table]"
    choice = click.Choice(FORMATS)
    return click.option("--format", "output", type=choice, default="table", help=text)(command)


def segments_of(paths: Iterable[Path]) -> list[Path]:
    """The segments that the paths name, each once. Raises RecordingError for a path that names none."""
    return list(dict.fromkeys(segment for path in paths for segment in find_segments(path)))


def streams_of(paths: Iterable[Path], *, salvage: bool) -> Iterator[Stream]:
    """The streams there, each when its end was read; warns of what is left out.

    Raises RecordingError, and Failure when nothing at all could be read.
    """
    problems = Problems()
    try:
        for stream in read_streams(segments_of(paths), salvage=salvage, report=problems.report):
            problems.tell()
            yield stream
    except RecordingError:
        problems.tell()
        raise
    problems.finish()


def one_stream(path: Path, prefix: str | None, *, salvage: bool) -> Stream:
    """The stream whose id starts with `prefix`, or the only one there.

    Raises RecordingError when there is none, Failure when there are several and none is named.
    """
    if prefix is not None:
        recording = Recording(path, salvage=salvage)
        try:
            return recording.stream(prefix)
        finally:
            for problem in recording.problems:
                warn(problem)
    streams = list(islice(streams_of([path], salvage=salvage), 2))
    if not streams:
        raise Failure(f"{path}: no streams there", Exit.NOTHING_TO_READ)
    if len(streams) > 1:
        raise Failure(f"{path}: more than one stream there; name one (recorder ls shows their ids)", Exit.USAGE)
    return streams[0]


class Problems:
    """What was noticed while reading: warnings, or the error itself where there is nothing but one problem."""

    def __init__(self) -> None:
        self._held: list[Problem] | None = []
        """Until something could be read."""

    def report(self, problem: Problem) -> None:
        if self._held is None:
            warn(problem)
        else:
            self._held.append(problem)

    def tell(self) -> None:
        """Something could be read: what was and will be noticed are warnings."""
        held, self._held = self._held or [], None
        for problem in held:
            warn(problem)

    def finish(self) -> None:
        """Raises Failure when nothing could be read, and something was noticed."""
        if self._held is None:
            return
        *others, last = [None, *self._held]
        for problem in others:
            if problem:
                warn(problem)
        if last is None:
            note("No streams there.")
        else:
            raise Failure(f"{last}; nothing else to read there", Exit.NOTHING_TO_READ)
