"""`recorder import`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, get_args

import click

from recorder.core.redact import Secrets, environment_secrets
from recorder.interop import Format, Imported, import_file, names_of
from recorder.log.files import SUFFIX, RecordingError

from .errors import Exit, Failure, note, tell, warn
from .redact import as_rule, rule_failed, rules_option
from .text import count

_PATH = click.Path(path_type=Path)


@click.command("import")
@click.argument("files", metavar="FILE...", type=_PATH, nargs=-1, required=True)
@click.option("-o", "--output", "directory", type=_PATH, required=True, help="The directory of the recordings.")
@click.option("--from", "form", type=click.Choice(get_args(Format)), help="The format, where it cannot be seen.")
@click.option(
    "--all", "everything", is_flag=True, help="Also what is neither a call to Claude nor a stream of events."
)
@click.option("--request", type=_PATH, metavar="JSON", help="The body of the request, for files that have none.")
@click.option("--url", help="The URL of the request, for files that have none.")
@rules_option
def import_(
    files: tuple[Path, ...], directory: Path, request: Path | None, rules: tuple[str, ...], **options: Any
) -> Exit:
    """Make recordings of what other tools have kept.

    FILE (- is the standard input) is the body of an event stream as curl -N prints it, also with the headers of
    curl -i; what ant prints with --stream --format jsonl; a VCR cassette of vcrpy, pytest-recording and others
    (YAML, which needs PyYAML, or JSON); or a HAR. Each may be compressed by gzip. Keys are removed as they are
    when recording; each --rule removes more, as in recorder redact.

    Such files hold no times, or hardly any: metrics that need them are empty. A body without its request
    replays when --request says what was asked.

    \b
    recorder import tests/cassettes/*.yaml -o recordings/
    curl -N -d @ask.json ... | recorder import - -o recordings/ --request ask.json
    """
    options |= {
        "request": None if request is None else request.read_bytes(),
        "rules": [as_rule(rule) for rule in rules],
        "secrets": Secrets(environment_secrets(os.environ)),
        "failed": rule_failed,
    }
    done: list[Imported] = []
    refused: list[str] = []
    for source, name in zip(files, names_of(files), strict=True):
        try:
            done.append(import_file(source, directory / f"{name}{SUFFIX}", **options))
        except RecordingError as error:
            refused.append(str(error))
        except OSError as error:
            refused.append(f"{source}: {(error.strerror or str(error)).lower()}")
    return _tell(done, refused, directory)


def _tell(done: list[Imported], refused: list[str], directory: Path) -> Exit:
    """Raises Failure when nothing was imported."""
    if not done:
        *before, last = refused
        for line in before:
            warn(line)
        raise Failure(last, Exit.NOTHING_TO_READ)
    for line in refused:
        tell("error", line)
    streams, left_out = sum(one.streams for one in done), sum(one.left_out for one in done)
    note(f"{directory}: {count(streams, 'stream')} of {count(len(done), 'file')}")
    if left_out:
        note(f"{count(left_out, 'request')} left out, neither to Claude nor streams of events; --all takes them.")
    return Exit.NOTHING_TO_READ if refused else Exit.OK
