"""`recorder lake`."""

from __future__ import annotations

import click

from .lazy import LazyGroup

OVERVIEW = {
    "compact": "Merge the small objects of a lake.",
    "forget": "Take the streams with a tag out of a lake.",
}
"""What the help says of each: the first line of the command's own help (a test holds them equal)."""


class Lake(LazyGroup):
    """The commands of `recorder lake`."""

    overview = OVERVIEW
    prefix = "lake_"


@click.group(cls=Lake, invoke_without_command=True)
@click.pass_context
def lake(ctx: click.Context) -> None:
    """Look after a lake that `recorder ship` fills.

    \b
    recorder lake compact s3://bucket/lake                      many small objects to few
    recorder lake forget s3://bucket/lake --tag user=1234       delete what is of one user
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
