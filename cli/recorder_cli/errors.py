"""What goes wrong, told in one line on stderr, and the exit code that says it to a script."""

from __future__ import annotations

import errno
import os
import sys
from enum import IntEnum

import click

from .text import visible


class Exit(IntEnum):
    """Exit codes, as `recorder --help` lists them."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    NOTHING_TO_READ = 3
    CORRUPT = 4
    SQL = 5
    INTERNAL = 70
    CANNOT_RUN = 126
    NOT_FOUND = 127
    INTERRUPTED = 130
    PIPE_CLOSED = 141


class Failure(Exception):
    """The command cannot do what it was asked: one line, and an exit code."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.code = code


def warn(text: object) -> None:
    """One line on stderr about something that was left out."""
    tell("warning", str(text))


def note(text: str) -> None:
    """One line on stderr that is no more than good to know."""
    click.echo(visible(text), err=True)


def tell(kind: str, text: str, *, keep: str = "") -> None:
    click.echo(f"{kind}: {visible(text, keep=keep)}", err=True)


def failure_of(error: Exception) -> Failure | None:
    """`error` in one line, or None when it is a bug of ours."""
    from recorder.log.reader import CorruptError, RecordingError

    match error:
        case CorruptError():
            return Failure(str(error), Exit.CORRUPT)
        case RecordingError():
            return Failure(str(error), Exit.NOTHING_TO_READ)
        case OSError() if error.strerror:
            where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
            return Failure(f"{where}{error.strerror.lower()}", Exit.NOTHING_TO_READ)
        case _:
            return None


def internal_error(error: Exception) -> Failure:
    said = str(error).partition("\n")[0]
    name = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return Failure(f"internal error: {name}; recorder --debug shows where", Exit.INTERNAL)


def is_closed_pipe(error: OSError) -> bool:
    return isinstance(error, BrokenPipeError) or error.errno == errno.EPIPE


def leave_quietly() -> Exit:
    """The reader of our output has gone (`| head`): nothing more can be said, not even by the exit flush."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    return Exit.PIPE_CLOSED
