"""`recorder replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .errors import Exit, Failure, warn
from .reading import path_argument
from .serving import nothing_asked, player_of, program_argument, replay_options, told_replay


@click.command
@path_argument
@replay_options
@program_argument
def replay(path: Path, command: tuple[str, ...], **options: Any) -> int:
    """Run a program, in any language, answered from recordings.

    As `recorder record`, but what was recorded answers: no network, and a placeholder for a key where none is set.
    Each stream is served once. Exits as the program does; with 1 when it succeeded, but asked for what was not
    recorded, or left streams unused.

    \b
    recorder replay recordings/ -- python app.py
    recorder replay recordings/ --timing recorded --speed 4 -- node app.mjs
    """
    from recorder.server.run import CannotRun
    from recorder.server.serving import run_beside

    player = player_of(path, repeat=False, **options)
    try:
        ran = run_beside(player, command, placeholder=True)
    except CannotRun as error:
        raise Failure(str(error), Exit(error.code)) from None
    if not ran.journal.results:
        warn(nothing_asked(ran.url))
    code = told_replay(player, ran.journal)
    return ran.status or code
