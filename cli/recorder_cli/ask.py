"""`recorder ask`."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import click

from recorder.analytics.questions import Question, questions

from .errors import Exit, Failure
from .output import Column, Format, print_rows
from .reading import format_option, salvage_option
from .sql import print_answer
from .tables import database_option, load, query_errors


@click.command
@click.argument("name", required=False)
@click.argument("paths", metavar="[PATH...]", type=click.Path(path_type=Path), nargs=-1)
@click.option("--show-sql", is_flag=True, help="Print the query instead of running it.")
@salvage_option
@database_option
@format_option
def ask(
    name: str | None, paths: tuple[Path, ...], show_sql: bool, salvage: bool, db: str | None, output: Format
) -> None:
    """Answer a question that is asked often.

    Without NAME it lists the questions. Each is one query, which --show-sql prints: for recorder sql, to be
    changed. A number does for its name.

    \b
    recorder ask                                  what can be asked
    recorder ask ttft recordings/
    recorder ask stalls recordings/ --format csv
    recorder ask gaps --show-sql
    """
    if name is None:
        print_rows(
            ({"": one.number, "question": one.name, "asks": one.asks} for one in questions()),
            [Column("", right=True), Column("question"), Column("asks")],
            output,
        )
        return
    question = _find(name)
    if show_sql:
        click.echo(question.sql, nl=False)
        return
    if not paths:
        raise Failure(f"no recordings named; recorder ask {question.name} recordings/", Exit.USAGE)
    with query_errors():
        print_answer(load(paths, salvage=salvage, payloads=False, db=db).query(question.sql), output)


def _find(name: str) -> Question:
    known = questions()
    for question in known:
        if name in (question.name, str(question.number)):
            return question
    near = get_close_matches(name, [question.name for question in known], n=1)
    hint = f"did you mean {near[0]}?" if near else "recorder ask lists them"
    raise Failure(f"no question {name!r}; {hint}", Exit.USAGE)
