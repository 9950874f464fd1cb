"""`recorder fixtures trim`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from recorder.hygiene.status import status as look
from recorder.hygiene.trim import Trimmed
from recorder.hygiene.trim import trim as trim_file

from .errors import Exit, failure_of, note, tell
from .fixtures_status import used_by_option, used_of
from .keeping import dry_run_option
from .output import Column, Format, Row, print_rows
from .reading import format_option
from .text import count

COLUMNS = (Column("file"), Column("action"), Column("streams", right=True), Column("removed", spare=1))


@click.command
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@used_by_option
@click.option("--duplicates", is_flag=True, help="Streams with the request and the response of another one.")
@dry_run_option
@format_option
def trim(directory: Path, used_by: tuple[Path, ...], duplicates: bool, dry_run: bool, output: Format) -> Exit:
    """Take out what no test uses, or what is there twice.

    With --used-by, the streams that no test used: a file of which nothing is left is deleted, another is written
    again without them, and says so. With --duplicates, streams equal to one before: a test that asks the same
    twice needs both, so best together with --used-by, which spares what was used. Files that are damaged or
    being written are left alone, compressed ones unless they are deleted as a whole.

    \b
    pytest --record-used=used.json
    recorder fixtures trim tests/recordings --used-by used.json --dry-run
    recorder fixtures trim tests/recordings --used-by used.json
    """
    if not used_by and not duplicates:
        raise click.UsageError("say what is to go: --used-by FILE, --duplicates, or both")
    code = Exit.OK
    done: list[Trimmed] = []
    handle = partial(trim_file, unused=bool(used_by), duplicates=duplicates, dry_run=dry_run)
    for found in look(directory, used=used_of(used_by)):
        try:
            one = handle(found)
        except (OSError, ValueError) as error:
            failure = failure_of(error)
            if failure is None:
                raise
            tell("error", str(failure))
            code = failure.code
            continue
        done += [one] if one else []
    print_rows((_row(one, dry_run=dry_run) for one in done), COLUMNS, output)
    gone = sum(len(one.removed) for one in done)
    note(f"{count(gone, 'stream')} {'would be removed' if dry_run else 'removed'}.")
    return code


def _row(one: Trimmed, *, dry_run: bool) -> Row:
    action = f"{one.why}, left alone" if one.why else f"would be {one.action}" if dry_run else one.action
    return {"file": str(one.path), "action": action, "streams": len(one.removed), "removed": " ".join(one.removed)}
