"""`recorder scan`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from recorder.core.redact import environment_secrets
from recorder.log.scan import scan as scan_file

from .errors import Exit, note
from .reading import paths_argument, segments_of
from .text import visible


@click.command
@paths_argument
def scan(paths: tuple[Path, ...]) -> Exit:
    """Find secrets in recordings.

    Looks for keys of Anthropic, AWS, GitHub, Google, Slack, OpenAI and Azure, private keys, JSON web tokens,
    bearer and basic credentials, logins in URLs, and the values of the environment's own keys
    (ANTHROPIC_API_KEY, AWS_SECRET_ACCESS_KEY, ...): in every line, and in the text that the events of a block
    spell out together.

    Prints file:line, the rule, and how the secret begins, never the secret; exits with 1 when there was one.

    \b
    recorder scan recordings/
    """
    known = environment_secrets(os.environ)
    found = 0
    for segment in segments_of(paths):
        for finding in scan_file(segment, known):
            found += 1
            click.echo(visible(str(finding)))
    if not found:
        note("No secrets found.")
    return Exit.CHECK_FAILED if found else Exit.OK
