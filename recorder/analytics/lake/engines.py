"""A lake asked by another engine, in DuckDB's words."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from recorder.analytics.dialects import CALLS, SETTINGS, translate
from recorder.analytics.export import TABLES
from recorder.analytics.report import Answer, QueryError
from recorder.log.files import RecordingError
from recorder.optional import need

from .state import objects, states
from .store import Store

CLICKHOUSE = "clickhouse://local"
_ANSWERS = {
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_decimals": 0,
    "output_format_json_quote_denormals": 0,
    "output_format_json_named_tuples_as_objects": 1,
}
_FILES = {"schema_inference_mode": "'union'", "schema_inference_make_columns_nullable": "1"}
"""Objects of several versions are read together, by name."""


def counting(store: Store) -> dict[str, list[str]]:
    """By table, the names of the objects that count. Raises StoreError, RecordingError where there are none."""
    found = list(states(store))
    if not any(state.holders for state in found):
        raise RecordingError(store.url, "no lake there", "recorder ship makes one")
    return {table: [name for state in found for name in objects(state, table)] for table in TABLES}


def view_of(table: str) -> str:
    """What the rows of a table are called there: of `calls` there may be some that do not count."""
    return "shipped_calls" if table == "calls" else table


@contextmanager
def local_files(store: Store) -> Generator[Path]:
    """The objects that count, table by table, as files of this disk: `DIRECTORY/TABLE/*.parquet`. Raises
    StoreError, and RecordingError where there are none."""
    with TemporaryDirectory(prefix="recorder-") as name:
        directory = Path(name)
        for table, names in counting(store).items():
            (directory / table).mkdir()
            for n, name in enumerate(names):
                _get(store, name, directory / table / f"{n}.parquet")
        yield directory


def _get(store: Store, name: str, target: Path) -> None:
    """A lake on this disk is read where it is."""
    if store.directory is not None:
        target.symlink_to(store.directory / name)
    else:
        store.fetch(name, target)


class ClickHouse:
    """ClickHouse's engine in this process, over a lake. Entering raises as `local_files` does, `query`
    Untranslatable and QueryError."""

    def __init__(self, store: Store) -> None:
        """Raises MissingPackage without chdb or sqlglot."""
        need("sqlglot", "clickhouse")
        self._chdb: Any = need("chdb.session", "clickhouse")
        self._store = store
        self._open = ExitStack()
        self._session: Any = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            directory = stack.enter_context(local_files(self._store))
            self._session = self._chdb.Session()
            stack.callback(self._session.close)
            self._make_views(directory, stack)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _make_views(self, directory: Path, stack: ExitStack) -> None:
        """In a database of its own: all sessions of a process share one engine."""
        name = f"lake_{secrets.token_hex(8)}"
        self._session.query(f"CREATE DATABASE {name}")
        self._session.query(f"USE {name}")
        stack.callback(self._session.query, f"DROP DATABASE {name}")
        for name, value in SETTINGS["clickhouse"].items():
            self._session.query(f"SET {name} = {_literal(value)}")
        settings = ", ".join(f"{name} = {value}" for name, value in _FILES.items())
        for table in TABLES:
            files = _literal(os.fspath(directory / table / "*.parquet"))
            query = f"SELECT * FROM file({files}, Parquet) SETTINGS {settings}"  # noqa: S608 - names of ours
            self._session.query(f"CREATE OR REPLACE VIEW {view_of(table)} AS {query}")
        self._session.query(f"CREATE OR REPLACE VIEW calls AS {translate(CALLS, 'clickhouse')}")

    def query(self, query: str) -> Answer:
        """Run a query that is written for DuckDB. Times come as text."""
        text = translate(query, "clickhouse")
        settings = ", ".join(f"{name} = {value}" for name, value in _ANSWERS.items())
        try:
            answer = json.loads(self._session.query(f"{text}\nSETTINGS {settings}", "JSONCompact").data())
        except RuntimeError as error:
            raise QueryError(_said(error)) from None
        columns = [(str(one["name"]), str(one["type"])) for one in answer["meta"]]
        return Answer(columns, iter([tuple(row) for row in answer["data"]]))


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _said(error: Exception) -> str:
    return str(error).partition(" (version ")[0].partition("Stack trace")[0].strip()
