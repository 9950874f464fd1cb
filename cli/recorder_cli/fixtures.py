"""`recorder fixtures`."""

from __future__ import annotations

import click

from .lazy import LazyGroup

OVERVIEW = {
    "status": "Say what state the recordings of a test suite are in.",
    "trim": "Take out what no test uses, or what is there twice.",
    "update": "Record again by running the tests live, and say what changed.",
    "review": "Say what changed in a directory of recordings, in words.",
}
"""What the help says of each: the first line of the command's own help (a test holds them equal)."""


class Fixtures(LazyGroup):
    """The commands of `recorder fixtures`."""

    overview = OVERVIEW
    prefix = "fixtures_"


@click.group(cls=Fixtures, invoke_without_command=True)
@click.pass_context
def fixtures(ctx: click.Context) -> None:
    """Look after the recordings of a test suite.

    \b
    recorder fixtures status tests/recordings         what is stale, unused, secret
    recorder fixtures update tests -- pytest          record again, and say what changed
    recorder fixtures review tests/recordings         what a commit changed, in words
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
