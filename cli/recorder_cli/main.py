"""The command `recorder`: finds the command that was meant, runs it, and says in one line what went wrong.

A command's module is imported when it is used, so that `recorder --help` costs no more than click.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from .errors import Exit, Failure, failure_of, internal_error, is_closed_pipe, leave_quietly, tell
from .lazy import LazyGroup

COMMANDS = {
    "demo": "See it work: record, analyse and replay, offline.",
    "ls": "List the streams of recordings.",
    "show": "Show one stream: request, response, every event with its time, metrics.",
    "stats": "Latency, outcomes and stalls, overall and by model.",
    "plot": "Draw recordings in the terminal: how one metric is spread, or streams as timelines.",
    "tail": "Watch streams as they happen.",
    "sql": "Run a query over recordings as tables.",
    "ask": "Answer a question that is asked often.",
    "load": "Load recordings into a DuckDB file, or what is new of them.",
    "report": "Draw recordings: one HTML file that works offline, or a picture of each chart.",
    "ui": "Watch recordings in a browser: the page of `recorder report`, live.",
    "play": "Print the text of a stream as it arrived, in its own time.",
    "record": "Run a program, in any language, and record what it asks of Claude.",
    "replay": "Run a program, in any language, answered from recordings.",
    "proxy": "Record what any client asks, as a proxy in front of the API.",
    "serve": "Answer any client from recordings, over HTTP.",
    "scan": "Find secrets in recordings.",
    "redact": "Copy recordings without secrets, to show them to others.",
    "diff": "Compare two recordings: structure, text and timing of each stream.",
    "edit": "Copy a recording with changes: cut, trimmed, renamed, re-timed, streams left out.",
    "make": "Make a recording of an answer that you write, in realistic times.",
    "fixtures": "Look after the recordings of a test suite.",
    "import": "Make recordings of what other tools have kept.",
    "export": "Write recordings in the formats of other tools, or send them to a collector.",
    "ship": "Send segments to a lake of Parquet, each once, in an object store or on a disk.",
    "lake": "Look after a lake that `recorder ship` fills.",
    "verify": "Check that recordings are whole and say what they contain.",
    "check": "Run a program under broken streams, and say what it did.",
    "compact": "Compress recordings that are no longer written.",
    "prune": "Delete recordings whose last record is older than AGE.",
}
"""What `recorder --help` says of each: the first line of the command's own help (a test holds them equal)."""

EXIT_CODES = """\b
Exit codes:
  0    all is well
  1    the check failed: verify found problems, scan found secrets, check a
       fault that was not survived, diff a difference, fixtures status --check,
       stats --slo too little goodput, replay a request that was not recorded
       or a stream that was not asked for; a collector did not take what
       export sent, or an object store what ship or lake did
  2    wrong usage
  3    nothing to read there: no such path, an empty directory or file, not a
       recording, written by a newer version, permission denied, a full disk
  4    a corrupt line (--salvage reads the rest)
  5    the SQL query failed
  126  the program that record or replay is to run cannot be run
  127  it is not there; otherwise these two exit as it does
  70   a bug of ours (--debug shows where)
  130  interrupted
  141  the reader of the output went away
"""


class Commands(LazyGroup):
    """The commands of `recorder`."""

    overview = COMMANDS

    def invoke(self, ctx: click.Context) -> Exit | None:
        """Run the command that was asked for. Raises Failure for what a person can do something about."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except (click.ClickException, click.exceptions.Exit, click.Abort, Failure):
            raise
        except KeyboardInterrupt:
            click.echo(err=True)  # ends the line with ^C on it
            return Exit.INTERRUPTED
        except Exception as error:
            if isinstance(error, OSError) and is_closed_pipe(error):
                return leave_quietly()
            told = failure_of(error)
            if told is None and ctx.params["debug"]:
                raise
            raise told or internal_error(error) from error
        return code

    def main(self, *args: Any, **options: Any) -> NoReturn:
        """Run, say what went wrong, and exit; under click's test runner too."""
        try:
            code = super().main(*args, **{**options, "standalone_mode": False})
        except Failure as failure:
            tell("error", str(failure), keep="\n" if failure.code is Exit.SQL else "")
            code = failure.code
        except click.ClickException as error:
            context = error.ctx if isinstance(error, click.UsageError) else None
            path = context.command_path if context else "recorder"
            tell("error", f"{error.format_message().rstrip('.')}; {path} -h shows how it is used")
            code = Exit.USAGE
        except click.Abort:
            code = Exit.INTERRUPTED
        sys.exit(code or Exit.OK)


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from recorder.version import __version__

        click.echo(f"recorder {__version__}")
        ctx.exit()


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES,
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="The version.")
@click.option("--debug", is_flag=True, envvar="RECORDER_DEBUG", help="Show the traceback of an internal error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:  # noqa: ARG001 - read from the context, where an error is told
    """Record Claude streams event by event, query them with SQL, replay them in tests.

    \b
    recorder ls recordings/                       what is there
    recorder show recordings/ 7c2f                one stream, event by event
    recorder sql "FROM streams" recordings/       anything else
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def run() -> NoReturn:
    """The entry point."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - `>&-`: nowhere to write to
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that cannot show a character is no reason to fail
            stream.reconfigure(errors="backslashreplace")  # pyright: ignore
    cli.main(prog_name="recorder", windows_expand_args=os.name == "nt")
