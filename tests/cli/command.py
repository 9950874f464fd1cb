"""The command, run in this process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner, Result
from recorder_cli.main import cli

NO_SETTINGS = dict.fromkeys(["FORCE_COLOR", "NO_COLOR", "COLUMNS", "RECORDER_DEBUG"])
"""What would change the output is taken out of the environment."""
COMMANDS = {
    "ls": ["ls"],
    "show": ["show"],
    "stats": ["stats"],
    "sql": ["sql", "FROM streams"],
    "play": ["play", "--speed", "1e9"],
    "verify": ["verify"],
}
"""Every command that reads recordings, ready for a path."""


def heed_interrupts() -> None:
    """For `preexec_fn`: a child of a job in the background ignores SIGINT, as its parent does."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def recorder(*arguments: str | os.PathLike[str]) -> Result:
    """Run it; an exception that is not the exit is raised here."""
    try:
        runner = CliRunner(mix_stderr=False)  # pyright: ignore - click 8.1
    except TypeError:
        runner = CliRunner()
    result = runner.invoke(cli, [os.fspath(one) for one in arguments], prog_name="recorder", env=NO_SETTINGS)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@contextmanager
def permissions_apply() -> Iterator[None]:
    """Root may do everything: be nobody for a while."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def contents(directory: Path) -> dict[Path, bytes]:
    """Every file below, to see later that nothing was changed, added or removed."""
    return {path: path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def rows(output: str) -> list[dict[str, str]]:
    """A table in plain text, by its header; the last column may hold spaces."""
    head, *lines = output.splitlines()
    names = head.split()
    return [dict(zip(names, line.split(None, len(names) - 1), strict=False)) for line in lines]
