"""`recorder verify`."""

from __future__ import annotations

from pathlib import Path

import click

from recorder.log.verify import FileCheck
from recorder.log.verify import verify as check_segments

from .errors import Exit, tell, warn
from .output import Column, Format, Row, print_rows
from .reading import Problems, format_option, paths_argument, segments_of

COLUMNS = (
    Column("file"),
    *(Column(name, right=True) for name in ("lines", "streams", "events")),
    Column("sealed", spare=4),
    Column("lost", right=True, spare=1),
    Column("dropped_chunks", right=True, spare=2),
    Column("unknown", right=True, spare=3),
    Column("problems", right=True),
)


@click.command
@paths_argument
@format_option
def verify(paths: tuple[Path, ...], output: Format) -> Exit:
    """Check that recordings are whole and say what they contain.

    Reads everything, changes nothing: every line, the order of each stream's records, what they repeat of
    their payloads, the totals and the summary at each end, and that the body and its chunks come back.

    A file that its writer closed is sealed: its last line says how many bytes there are, and their SHA-256, so
    one changed bit is found. One that is not sealed is still written (live), or its writer was killed (no).

    Prints one row per file, and on stderr one line per problem; exits with 1 when there was one. A torn last
    line and a stream without an end (lost) are what a killed process leaves behind, and no problem.

    \b
    recorder verify recordings/
    """
    checks = check_segments(segments_of(paths))
    _tell(checks)
    print_rows(map(_row, checks), COLUMNS, output)
    return Exit.CHECK_FAILED if any(check.problems for check in checks) else Exit.OK


def _tell(checks: list[FileCheck]) -> None:
    """One line for each thing found. Raises RecordingError or Failure when no file could be read at all."""
    if not any(check.lines for check in checks):
        *_, last = checks
        for check in checks[:-1]:
            for problem in check.problems + check.warnings:
                warn(problem)
        if last.unreadable:
            raise last.unreadable
        problems = Problems()
        for warning in last.warnings:
            problems.report(warning)
        problems.finish()
    for check in checks:
        for warning in check.warnings:
            warn(warning)
        for problem in check.problems:
            tell("problem", str(problem))


def _row(check: FileCheck) -> Row:
    return {
        "file": str(check.path),
        "lines": check.lines,
        "streams": check.streams,
        "events": check.events,
        "sealed": "yes" if check.sealed else "live" if check.live else "no",
        "lost": check.lost,
        "dropped_chunks": check.gaps,
        "unknown": check.unknown,
        "problems": len(check.problems),
    }
