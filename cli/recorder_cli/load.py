"""`recorder load`."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import Exit, Failure
from .reading import paths_argument, salvage_option
from .tables import database_of, database_option, query_errors
from .tables import load as load_tables


@click.command
@paths_argument
@salvage_option
@database_option
@click.option("--keep", is_flag=True, help="With --db: keep the rows of recordings that are deleted.")
def load(paths: tuple[Path, ...], salvage: bool, db: str | None, keep: bool) -> None:
    """Load recordings into a DuckDB file, or what is new of them.

    It is the file that recorder sql, stats and ask keep beside the recordings and bring up to date themselves, or
    the one that --db names, for any DuckDB client. Each record is in it once, however often it is loaded, while
    the recordings are written, and after being interrupted. It holds no text of a prompt or an answer.

    \b
    recorder load recordings/ --db streams.duckdb
    """
    database = database_of(paths, db)
    if database is None:
        raise click.UsageError("there is no file to load into; name one with --db")
    with query_errors():
        tables = load_tables(paths, salvage=salvage, payloads=False, db=db, keep=keep, bar_from=1)
    if not tables.kept:
        raise Failure(f"{database.file}: not brought up to date", Exit.NOTHING_TO_READ)
    events, calls = tables.query("SELECT sum(events)::BIGINT, count(DISTINCT call) FROM streams").rows.__next__()
    click.echo(f"{database.file}: {calls:,} calls, {tables.streams:,} streams, {events or 0:,} events")
