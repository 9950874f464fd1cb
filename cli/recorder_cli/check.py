"""`recorder check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .errors import Exit, Failure, note, warn
from .output import Column, on_terminal, print_rows, write_json
from .text import count, seconds

if TYPE_CHECKING:
    from recorder.check import Run
    from recorder.replayer.faults.spec import Fault

_FAULT = "A fault instead of the standard ones: the name of one, or a text. May be given again."
_RECORDING = "What answers the program.  [default: a packaged synthetic stream answers any request]"
_LIMIT = "Seconds after which a run is killed."
_COLUMNS = (
    Column("fault"),
    Column("exit", right=True),
    Column("s", seconds, right=True, spare=1),
    Column("verdict"),
    Column("evidence"),
)


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--recording", type=click.Path(path_type=Path), metavar="PATH", help=_RECORDING)
@click.option("--fault", "specs", multiple=True, metavar="FAULT", help=_FAULT)
@click.option("--limit", type=click.FloatRange(min=0, min_open=True), default=20.0, show_default=True, help=_LIMIT)
@click.option("--json", "as_json", is_flag=True, help="All that was found, as JSON.")
@click.argument("command", metavar="-- COMMAND...", nargs=-1, required=True)
def check(
    recording: Path | None, specs: tuple[str, ...], limit: float, as_json: bool, command: tuple[str, ...]
) -> Exit:
    """Run a program under broken streams, and say what it did.

    Runs the command once for each fault, with ANTHROPIC_BASE_URL at a server on the loopback that injects it
    (and a placeholder key if none is set), and once without, to see that it works. Judged are its requests and
    their times, its exit code and its standard output. Exits with 1 when a fault was not survived.

    Without --fault: refused, reset_before, overloaded, rate_limited, server_error, stall, hang, cut_clean,
    cut_dirty, reset, error_event, byte_by_byte, one_chunk, noise.

    \b
    recorder check -- python app.py
    recorder check --recording recordings/ --fault 'cut_dirty(at=12)' -- python app.py
    """
    from recorder.check import CheckError
    from recorder.check import check as run_under

    runs: list[Run] = []
    try:
        for run in run_under(command, _faults(specs), recording=recording, limit_s=limit, report=warn):
            runs.append(run)
            if on_terminal() and not as_json:
                note(f"{run.name}: {_verdict(run)}")
    except CheckError as error:
        raise Failure(str(error), Exit.USAGE) from None
    if as_json:
        write_json([_document(run) for run in runs], indent=2)
    else:
        print_rows(map(_row, runs), _COLUMNS)
        note(f"{count(sum(run.failed for run in runs), 'fault')} of {len(runs)} not survived.")
    return Exit.CHECK_FAILED if any(run.failed for run in runs) else Exit.OK


def _faults(specs: tuple[str, ...]) -> dict[str, Fault]:
    """Raises Failure for a text that is no fault."""
    from recorder.faults import FaultError, parse, standard

    named = standard()
    if not specs:
        return named
    try:
        return {spec: named.get(spec) or parse(spec) for spec in specs}
    except FaultError as error:
        raise Failure(str(error), Exit.USAGE) from None


def _row(run: Run) -> dict[str, Any]:
    verdict = run.verdict
    lines = [one.line for one in verdict.findings[:1]] or list(verdict.unknown) or [str(verdict)]
    return {
        "fault": run.name,
        "exit": "killed" if run.exit_code is None else run.exit_code,
        "s": run.seconds,
        "verdict": _verdict(run),
        "evidence": lines[0],
    }


def _verdict(run: Run) -> str:
    if not run.verdict.injected:
        return "not_injected"
    return ",".join(dict.fromkeys(one.kind for one in run.verdict.findings)) or "unknown"


def _document(run: Run) -> dict[str, Any]:
    import msgspec

    return {**msgspec.to_builtins(run), "failed": run.failed}
