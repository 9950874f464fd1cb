"""What the commands that change files have in common: one segment after the other, whatever happens to one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from .errors import Exit, failure_of, tell, warn
from .reading import segments_of

Command = TypeVar("Command", bound=Callable[..., Any])
Done = TypeVar("Done")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_of(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    """An option's value, a number and its unit: `30d`."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no duration; 30d, 12h, 90m and 45s are")
    return float(int(found[1]) * _UNITS_S[found[2]])


def dry_run_option(command: Command) -> Command:
    return click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")(command)


class Segments:
    """The segments of some paths, handled one by one. `code` says how that went."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Raises RecordingError for a path that names none."""
        self._found = segments_of(paths)
        self.code = Exit.OK

    def each(self, handle: Callable[[Path], Done]) -> Iterator[Done]:
        """What `handle` gives for each. One that it cannot handle is told, and the others go on."""
        for path in self._found:
            try:
                if not path.stat().st_size:
                    warn(f"{path}: empty file")
                else:
                    yield handle(path)
            except (OSError, ValueError) as error:
                failure = failure_of(error)
                if failure is None:
                    raise
                tell("error", str(failure))
                self.code = failure.code
