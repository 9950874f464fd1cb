"""`recorder redact`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import get_args

import click

from recorder.core.capture import Mode
from recorder.core.redact import Secrets, environment_secrets
from recorder.core.rules import Given, RuleError, rule_of
from recorder.log.copy import copy_redacted

from .errors import note, warn
from .reading import salvage_option

rules_option = click.option(
    "--rule", "rules", multiple=True, help="A JSON path ($.metadata.user_id) or a regular expression."
)


@click.command
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--capture",
    "mode",
    type=click.Choice(get_args(Mode)),
    default="full",
    help="timing leaves all text out and keeps every metric.  [default: full]",
)
@rules_option
@salvage_option
def redact(source: Path, target: Path, mode: Mode, rules: tuple[str, ...], salvage: bool) -> None:
    """Copy recordings without secrets, to show them to others.

    IN is a file or a directory; OUT must not be there, and is, when the copy is whole. Keys are removed as they
    are when recording, those of this environment and everything that is shaped like an Anthropic key. Each
    --rule removes more: what a JSON path leads to in bodies and payloads, or what an expression finds in any
    string.

    \b
    recorder redact recordings/ shared/ --capture timing
    recorder redact run.jsonl shared.jsonl --rule '$.metadata' --rule '[0-9]{16}'
    """
    copied = copy_redacted(
        source,
        target,
        mode=mode,
        rules=[as_rule(rule) for rule in rules],
        secrets=Secrets(environment_secrets(os.environ)),
        salvage=salvage,
        report=warn,
        failed=rule_failed,
    )
    note(f"{target}: {copied.files} file(s), {copied.lines} lines")
    if copied.left_out:
        warn(f"{copied.left_out} record(s) of an unknown kind left out: they could hold anything")


def as_rule(given: str) -> Given:
    try:
        rule = given if given.startswith("$") else re.compile(given)
        rule_of(rule, 1)
    except re.error as error:
        raise click.BadParameter(f"{given!r} is no regular expression: {error}", param_hint="--rule") from None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--rule") from None
    return rule


def rule_failed(error: RuleError) -> None:
    warn(f"{error}; its records have no text")
