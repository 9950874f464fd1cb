"""`recorder serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .errors import Exit
from .reading import path_argument
from .serving import check_listening, listen_options, replay_of, replay_options, told_replay


@click.command
@path_argument
@replay_options
@click.option("--once", is_flag=True, help="Serve each stream once, instead of any number of times.")
@listen_options
def serve(path: Path, once: bool, host: str, port: int, token: str | None, grace: float, **options: Any) -> Exit:
    """Answer any client from recordings, over HTTP.

    Prints its URL: give it to clients as their base URL, with any key. Requests are matched by method, path and
    body; one that was not recorded gets status 404, and what differs. /__recorder/health, journal and metrics say
    what was asked and what was served. Ends on SIGTERM or Ctrl-C.

    \b
    recorder serve recordings/ --port 8787
    recorder serve recordings/ --timing recorded --fault 'cut_dirty(at=40)'
    """
    from recorder.server.player import Player
    from recorder.server.serving import serve as serve_until_stopped

    check_listening(host, token)
    replay = replay_of(path, repeat=not once, **options)
    player = Player(replay)
    journal = serve_until_stopped(player, host=host, port=port, token=token, ready=click.echo, grace_s=grace)
    told_replay(replay, journal)
    return Exit.OK
