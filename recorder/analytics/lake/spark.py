"""A lake asked by Spark, in DuckDB's words: a cluster's workers read the objects, or threads of this machine."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from tempfile import TemporaryFile
from typing import Any, Self, cast
from urllib.parse import urlsplit

from recorder.analytics.dialects import CALLS, SETTINGS, translate
from recorder.analytics.report import Answer, QueryError
from recorder.optional import need

from .engines import counting, local_files, view_of
from .store import Store

LOCAL = "spark://local"
WORKERS_S = 60.0
"""How long a cluster may take until one of its workers works for us."""
_CONNECT_S = 5.0
_MASTERS = re.compile(r"spark://[^/,\s]+:\d+(,[^/,\s]+:\d+)*")
_LOOPBACK = re.compile(r"localhost|127\.[\d.]+|\[?::1\]?")
_OURS = {
    "spark.app.name": "recorder",
    "spark.log.level": "ERROR",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
_HERE = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
"""Where nobody else need reach us."""
_LOGGERS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger", "py4j.clientserver", "py4j.java_gateway")
"""Which write to stderr what is raised as well."""
_GLOB = re.compile(r"([\\*?\[\]{}])")
_ZONED = re.compile(r"(?<![^<:,])timestamp(?![^>,])")
"""The type, in Spark's name of a type, and no field of this name."""


class NoEngine(Exception):
    """An engine that is not there, or cannot read this lake. One line: what is missing, and what to do."""


class Spark:
    """Spark over a lake: `spark://HOST:PORT` is a standalone cluster's master, `spark://local` this process and
    its cores. One at a time in a process. Entering raises NoEngine and as `counting` does, `query` Untranslatable
    and QueryError."""

    def __init__(self, store: Store, url: str, *, settings: Mapping[str, str] | None = None) -> None:
        """`settings`: Spark's, beside those of its own spark-defaults.conf. Raises MissingPackage without pyspark
        or sqlglot, NoEngine for what is no such URL."""
        need("sqlglot", "spark")
        need("pyspark", "spark")
        if url != LOCAL and not _MASTERS.fullmatch(url):
            raise NoEngine(f"{url}: it is spark://HOST:PORT, or {LOCAL}")
        if url != LOCAL and store.directory is None:
            raise NoEngine(
                f"{store.url}: the workers of {url} cannot read it, for pyspark brings no jars for object stores: "
                f"put it on a disk that all of them have, or ask {LOCAL}, which fetches it"
            )
        self._store = store
        self._url = url
        self._settings = settings or {}
        self._open = ExitStack()
        self.session: Any = None
        """Spark's own, with the views, while this is open."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            files = self._files(stack)
            self.session = stack.enter_context(_session(self._url, self._settings))
            with _errors(QueryError):
                for table, paths in files.items():
                    # mergeSchema: objects of several versions are read together, by name
                    rows = self.session.read.option("mergeSchema", "true").parquet(*paths)
                    rows.createOrReplaceTempView(view_of(table))
                self.session.sql(f"CREATE OR REPLACE TEMPORARY VIEW calls AS {translate(CALLS, 'spark')}")
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _files(self, stack: ExitStack) -> dict[str, list[str]]:
        """By table, the paths of the objects that count, as Spark takes them: not as patterns."""
        if self._store.directory is None:
            directory = stack.enter_context(local_files(self._store))
            found = {one.name: sorted(one.iterdir()) for one in directory.iterdir()}
        else:
            directory = self._store.directory
            found = {table: [directory / name for name in names] for table, names in counting(self._store).items()}
        return {
            table: ["file:" + _GLOB.sub(r"\\\1", os.fspath(path)) for path in paths]
            for table, paths in found.items()
        }

    def query(self, query: str) -> Answer:
        """Run a query that is written for DuckDB. All of the answer is fetched."""
        text = translate(query, "spark")
        with _errors(QueryError):
            frame = self.session.sql(text)
            fields = [(str(field.name), str(field.dataType.simpleString())) for field in frame.schema.fields]
            rows = _without_zones(frame, fields).collect()
        columns = [(name, "INTEGER" if kind == "int" else kind.upper()) for name, kind in fields]
        return Answer(columns, (tuple(map(_value, row)) for row in rows))


def _without_zones(frame: Any, columns: Sequence[tuple[str, str]]) -> Any:
    """pyspark gives a time that has a zone in that of this machine; without one, as in DuckDB, it is UTC's."""
    if not any(_ZONED.search(kind) for _, kind in columns):
        return frame
    column = need("pyspark.sql.functions", "spark").col
    names = [f"column_{n}" for n in range(len(columns))]
    kinds = [_ZONED.sub("timestamp_ntz", kind) for _, kind in columns]
    return frame.toDF(*names).select([column(name).cast(kind) for name, kind in zip(names, kinds, strict=True)])


def _value(value: Any) -> Any:
    """Rows in a row become mappings."""
    if isinstance(value, list):
        return [_value(one) for one in cast("list[Any]", value)]
    fields: Sequence[str] | None = getattr(value, "__fields__", None)
    return value if fields is None else {name: _value(one) for name, one in zip(fields, value, strict=True)}


@contextmanager
def _session(url: str, settings: Mapping[str, str]) -> Generator[Any]:
    hosts = [] if url == LOCAL else [urlsplit(f"//{one}") for one in url.removeprefix("spark://").split(",")]
    if hosts:
        _check_master(url, [(str(host.hostname), int(host.port or 0)) for host in hosts])
    with _uninterrupted():
        gateway = _gateway()
    spark, sql = need("pyspark", "spark"), need("pyspark.sql", "spark")
    configuration = spark.SparkConf(loadDefaults=False).setMaster("local[*]" if url == LOCAL else url)
    near = all(_LOOPBACK.fullmatch(str(host.hostname)) for host in hosts)
    for name, value in {**_OURS, **SETTINGS["spark"], **(_HERE if near else {}), **settings}.items():
        configuration.set(name, value)
    with _quiet(), ExitStack() as stack:
        with _errors(lambda said: NoEngine(f"{url}: {said}")), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of a pandas that we do not use
            with _uninterrupted():
                context = spark.SparkContext(conf=configuration, gateway=gateway)
                stack.callback(_stop, context)
            session = sql.SparkSession(context)
            if url != LOCAL:
                _await_workers(context, url)
        yield session


def _stop(context: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # after control-C in the middle of a message
        context.stop()


@cache
def _gateway() -> Any:
    """A JVM for this process, as pyspark has one: it ends with it. What it writes is not for the terminal."""
    home = os.environ.get("JAVA_HOME")
    if shutil.which(f"{home}/bin/java" if home else "java") is None:
        where = f" in JAVA_HOME={home}" if home else ""
        raise NoEngine(f"no Java{where}, and Spark needs 17 or newer: apt-get install openjdk-17-jre-headless")
    with TemporaryFile() as log:
        try:
            launch = need("pyspark.java_gateway", "spark").launch_gateway
            return launch(popen_kwargs={"stdout": log, "stderr": log})
        except need("pyspark.errors", "spark").PySparkRuntimeError:
            log.seek(0)
            lines = log.read().decode(errors="replace").splitlines()
    said = [line.strip() for line in lines if re.search("Error|Exception", line)] or lines or ["it says nothing"]
    raise NoEngine(f"Java did not start Spark, which needs 17 or newer: {said[0]}")


def _check_master(url: str, hosts: Sequence[tuple[str, int]]) -> None:
    """Spark itself would try for a minute, and not say why."""
    refusals: list[object] = []
    for host in hosts:
        try:
            socket.create_connection(host, _CONNECT_S).close()
        except OSError as error:
            refusals.append(error.strerror or error)
        else:
            return
    raise NoEngine(f"{url}: no master there: {refusals[0]}")


def _await_workers(context: Any, url: str) -> None:
    """Without one a query would wait for ever, and the reason would stand in a log."""
    until = time.monotonic() + WORKERS_S
    while len(context._jsc.sc().statusTracker().getExecutorInfos()) < 2:  # one is the driver
        if time.monotonic() > until:
            raise NoEngine(
                f"{url}: no worker took work within {WORKERS_S:.0f} s: it needs one with a free core, "
                f"{context.getConf().get('spark.executor.memory', '1g')} of memory and Spark {context.version}"
            )
        time.sleep(0.1)


@contextmanager
def _uninterrupted() -> Generator[None]:
    """Control-C waits until Spark has begun: a JVM that nobody has heard of yet would stay for ever, and a context
    takes the signal for itself, never gives it back, and trips over its own message then."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)
    if came:
        raise KeyboardInterrupt


@contextmanager
def _quiet() -> Generator[None]:
    """What is raised is not on stderr, too, and control-C is no error."""
    with ExitStack() as stack:
        for logger in map(need("pyspark.logger", "spark").PySparkLogger.getLogger, _LOGGERS):
            stack.callback(setattr, logger, "disabled", logger.disabled)
            logger.disabled = True
        root = logging.getLogger()
        root.addFilter(_is_not_of_py4j)
        stack.callback(root.removeFilter, _is_not_of_py4j)
        yield


def _is_not_of_py4j(record: logging.LogRecord) -> bool:
    return "py4j" not in record.pathname


@contextmanager
def _errors(make: Callable[[str], Exception]) -> Generator[None]:
    """What Spark raises, in one line."""
    java, python = need("py4j.protocol", "spark").Py4JError, need("pyspark.errors", "spark").PySparkException
    try:
        yield
    except (java, python, ValueError) as error:
        raise make(_said(error)) from None


def _said(error: Exception) -> str:
    """Its first line that says anything; of what Java raised, without where Python was."""
    lines = [line.strip() for line in str(getattr(error, "java_exception", error)).splitlines() if line.strip()]
    return lines[0].rstrip(";") if lines else type(error).__name__
