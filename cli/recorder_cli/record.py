"""`recorder record`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .errors import Exit, Failure, note, warn
from .serving import (
    PROGRAM,
    lost_line,
    nothing_asked,
    out_option,
    program_argument,
    record_options,
    recorded_line,
    recording_to,
)


@click.command(context_settings=PROGRAM)
@out_option
@record_options
@program_argument
def record(out: Path, command: tuple[str, ...], **options: Any) -> int:
    """Run a program, in any language, and record what it asks of Claude.

    Starts a record proxy on a free port of the loopback and sets ANTHROPIC_BASE_URL for the program (and
    ANTHROPIC_API_URL and ANTHROPIC_API_BASE, which langchain-anthropic and LiteLLM read). The program has its own
    terminal and its own signals; its exit code is that of this command.

    \b
    recorder record -- python app.py
    recorder record -o recordings/ -- node app.mjs
    """
    from recorder.server.run import CannotRun
    from recorder.server.serving import run_beside

    proxy, streams, tap = recording_to(out, **options)
    try:
        ran = run_beside(proxy, command)
    except CannotRun as error:
        raise Failure(str(error), Exit(error.code)) from None
    if not ran.journal.results:
        warn(nothing_asked(ran.url))
    note(recorded_line(streams, f"in {out}", lost_line(tap)))
    return ran.status
