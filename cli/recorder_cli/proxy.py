"""`recorder proxy`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .errors import Exit, note
from .serving import (
    check_listening,
    listen_options,
    lost_line,
    out_option,
    record_options,
    recorded_line,
    recording_to,
)


@click.command
@out_option
@record_options
@listen_options
def proxy(out: Path, host: str, port: int, token: str | None, grace: float, **options: Any) -> Exit:
    """Record what any client asks, as a proxy in front of the API.

    Prints its URL: give it to clients as their base URL. Streams pass through as they come. Requests go to the
    upstream that is named here and nowhere else; keys go there and never to a file. /__recorder/health, journal
    and metrics say what it does. Ends on SIGTERM or Ctrl-C, once the streams in flight have ended.

    \b
    recorder proxy --port 8787
    recorder proxy --upstream https://gateway.example/anthropic --port 8787
    """
    from recorder.server.serving import serve

    check_listening(host, token)
    made = recording_to(out, **options)
    serve(made.proxy, host=host, port=port, token=token, ready=click.echo, grace_s=grace)
    note(recorded_line(made.streams, f"in {out}", lost_line(made.tap)))
    return Exit.OK
