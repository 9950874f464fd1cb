"""`recorder replay`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .errors import Exit, Failure, note, warn
from .reading import path_argument
from .serving import (
    lost_line,
    nothing_asked,
    program_argument,
    recorded_line,
    recording_to,
    replay_of,
    replay_options,
    told_replay,
    upstream_option,
)
from .text import count

if TYPE_CHECKING:
    from recorder.server.journal import Journal
    from recorder.server.serving import Recording
    from recorder.server.using import Using

_MODES = ["replay", "once", "append", "rewrite", "record", "passthrough", "verify"]
_MODE = "Whether to replay, to record, or both; see above.  [default: $RECORDER_MODE, or replay]"
_HINT = "Record it: --mode append adds what is missing, --mode rewrite begins anew."


@click.command
@path_argument
@click.option("--mode", type=click.Choice(_MODES), help=_MODE)
@upstream_option
@replay_options
@program_argument
def replay(path: Path, mode: Any, upstream: str | None, command: tuple[str, ...], **options: Any) -> int:
    """Run a program, in any language, answered from recordings.

    As `recorder record`, but what was recorded answers: no network, and a placeholder for a key where none is set.
    Each stream is served once. Exits as the program does; with 1 when it succeeded, but asked for what was not
    recorded, or left streams unused.

    Other modes send to the upstream, with the program's own key, and those that write need a PATH that is one
    .jsonl file. `once` replays it, or records it when it is not there; `append` replays it and adds what is not in
    it; `rewrite` records it anew. What these three record takes effect when the program exits with 0, else it lies
    beside PATH as .failed. `record` adds to PATH in any case, `passthrough` records nothing, and `verify` neither,
    but exits with 1 when live answers have another structure than the recorded ones.

    \b
    recorder replay recordings/ -- python app.py
    recorder replay recordings/ --timing recorded --speed 4 -- node app.mjs
    recorder replay talk.jsonl --mode append -- node app.mjs
    """
    from recorder.server.run import CannotRun
    from recorder.server.serving import run_beside
    from recorder.server.using import Using
    from recorder.taking import Taking, mode_here

    try:
        taking = Taking(path, mode_here("replay", explicit=mode), hint=_HINT)
    except ValueError as error:
        raise Failure(str(error), Exit.USAGE) from None
    using = Using(
        taking,
        replay=partial(replay_of, path, repeat=False, **options),
        record=partial(_recording, path, upstream),
    )
    with using:
        try:
            ran = run_beside(using.answerer, command, placeholder=using.mode == "replay")
        except CannotRun as error:
            raise Failure(str(error), Exit(error.code)) from None
        using.passed = ran.status == 0
    if not ran.journal.results:
        warn(nothing_asked(ran.url))
    code = _told(using, path, ran.journal)
    return ran.status or code


def _recording(path: Path, upstream: str | None, file: Path | None) -> Recording:
    """To a file; without one nothing is recorded."""
    return (
        recording_to(path, upstream=upstream, sample=0.0)
        if file is None
        else recording_to(file, upstream=upstream)
    )


def _told(using: Using, path: Path, journal: Journal) -> Exit:
    """Say what came of it; the exit code says it, too."""
    if using.recording is None:
        assert using.replay is not None
        return told_replay(using.replay, journal)
    if using.mode == "passthrough":
        note(f"recorder: {count(sum(journal.results.values()), 'request')} passed on, nothing recorded")
        return Exit.OK
    _, streams, tap = using.recording
    note(recorded_line(streams, _where(using, path), lost_line(tap)))
    for line in using.drift:
        note(f"  {line}")
    return Exit.CHECK_FAILED if using.drift else Exit.OK


def _where(using: Using, path: Path) -> str:
    if using.mode == "verify":
        return f"live answers differ from {path}:" if using.drift else f"of the same structure as in {path}"
    kept = f"in {using.kept or path}"
    if using.mode == "append" and using.replay is not None:
        return f"{kept}; {count(len(using.replay.served), 'stream')} served from it"
    return kept
