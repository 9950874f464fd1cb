"""Many processes record into one directory while others read it: nothing torn, nothing twice, nothing missing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import recorder
from recorder.core.lines import decode_line
from recorder.core.records import Unknown
from recorder.testing import Received, Reply, Upstream, encode_event, message_events
from tests.cli.command import recorder as command
from tests.cli.test_program import ENVIRONMENT, PROGRAM

PROCESSES, STREAMS, THREADS = 8, 100, 4
MS = 1_000_000

WRITERS = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
import anthropic, recorder

url, path, writer, processes, streams, threads = *sys.argv[1:4], *map(int, sys.argv[4:])

def write(process):
    with recorder.Tap(path, writer=writer) as tap, anthropic.Anthropic(base_url=url, api_key="none") as plain:
        client = tap.wrap(plain)
        def ask(number):
            content = f"{process} {number}"
            with client.messages.create(
                model="claude-test", max_tokens=9, stream=True, messages=[{"role": "user", "content": content}]
            ) as stream:
                return sum(1 for _ in stream)
        with ThreadPoolExecutor(threads) as pool:
            assert all(pool.map(ask, range(streams)))

children = []
for process in range(processes):
    if not (child := os.fork()):  # the SDK takes long to import: once for all
        try:
            write(process)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    children.append(child)
sys.exit(sum(os.waitpid(child, 0)[1] for child in children))
"""


def events_of(asked: str) -> list[dict[str, object]]:
    """What is answered: of another length for each, one in ten with an event longer than any buffer of a file."""
    process, number = map(int, asked.split())
    words = [f" {asked} {n} 五\u2028" for n in range(3 + (7 * process + number) % 12)]
    if number % 10 == 0:
        words.append("long " * 20_000)
    return message_events(*words)


def answer(request: Received) -> Reply:
    asked = json.loads(request.body)["messages"][0]["content"]
    return Reply.sse(events_of(asked), first=50 * MS, gap=15 * MS)


class Reader:
    """Reads the lines of all files as they grow, knowing nothing of our readers."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[Path, int] = {}
        self.kinds: Counter[str] = Counter()
        self.torn = 0

    def look(self) -> None:
        for path in self._directory.glob("*.jsonl"):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                *lines, rest = file.read().split(b"\n")
            self._read[path] = self._read.get(path, 0) + sum(len(line) + 1 for line in lines)
            self.torn += bool(rest)
            for line in lines:
                self.kinds[json.loads(line)["kind"]] += 1  # raises for one that is torn
                assert not isinstance(decode_line(line), Unknown)


def query(directory: Path, meanwhile: Callable[[], None]) -> list[dict[str, Any]] | None:
    """`recorder sql`, as a process of its own; None before there is a file."""
    sql = "SELECT stream, outcome, events, ttft_s, output_tokens, bytes FROM streams"
    with (
        subprocess.Popen(
            [*PROGRAM, "sql", sql, directory, "--format", "json"],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        ThreadPoolExecutor(1) as reading,
    ):
        answer = reading.submit(process.communicate)
        while not answer.done():
            meanwhile()
            time.sleep(0.01)
    output, errors = answer.result()
    said = [line for line in errors.splitlines() if "torn last line" not in line]
    if process.returncode == 3:
        assert re.search("no recordings in this directory|no such file|empty file", said[0])
        return None
    assert (process.returncode, said) == (0, [])
    return json.loads(output)


def makes_sense(rows: list[dict[str, Any]], before: int) -> None:
    assert len({row["stream"] for row in rows}) == len(rows) >= before
    for row in rows:
        assert row["outcome"] in ("complete", "lost")  # no end yet
        if row["outcome"] == "complete":
            assert row["events"] == row["output_tokens"] + 5
            assert row["ttft_s"] >= 0.05
            assert row["bytes"] > 0


@contextmanager
def tailing(directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """`recorder tail`, and the file that it prints to."""
    output = directory.with_name("tail.jsonl")
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*PROGRAM, "tail", directory, "--format", "jsonl"],
            env=ENVIRONMENT,
            stdout=file,
            stderr=subprocess.PIPE,
        )
    assert process.stderr is not None
    try:
        assert b"waiting" in process.stderr.readline()
        yield process, output
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def rows_of(output: Path, until: int) -> list[dict[str, Any]]:
    """What tail printed of streams that ended, as soon as there are so many; it looks five times a second."""
    deadline = time.monotonic() + 20
    while True:
        rows = [json.loads(line) for line in output.read_bytes().splitlines()]
        ended = [row for row in rows if row["state"] != "stalled"]
        if len(ended) >= until or time.monotonic() > deadline:
            return ended
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the writers are forked")
@pytest.mark.parametrize("writer", ["thread", "process"])
def test_many_processes_write_one_directory_that_others_read(tmp_path: Path, writer: str) -> None:
    directory = tmp_path / "recordings"
    sizes = [str(size) for size in (PROCESSES, STREAMS, THREADS)]
    reader, answers, checks = Reader(directory), [0], 0
    with Upstream(answer) as upstream, tailing(directory) as (tail, output):
        writers = subprocess.Popen([sys.executable, "-c", WRITERS, upstream.url, directory, writer, *sizes])
        while writers.poll() is None:
            rows = query(directory, reader.look)
            if rows is not None:
                makes_sense(rows, answers[-1])
                answers.append(len(rows))
                name = ("ls", "verify", "stats")[checks % 3]
                result = command(name, directory)
                assert result.exit_code == 0, result.stderr
                assert all("torn last line" in line for line in result.stderr.splitlines())
                checks += 1
        assert writers.returncode == 0
        told = rows_of(output, PROCESSES * STREAMS)
        assert tail.poll() is None

    expected = {f"{process} {number}" for process in range(PROCESSES) for number in range(STREAMS)}
    recording = recorder.open(directory)
    streams = {stream.request.body["messages"][0]["content"]: stream for stream in recording.streams()}
    assert streams.keys() == expected
    assert recording.problems == []
    for asked, stream in streams.items():
        assert stream.body() == b"".join(encode_event(event) for event in events_of(asked))
        assert stream.timing().outcome == "complete"

    reader.look()
    events = sum(len(events_of(asked)) for asked in expected)
    del reader.kinds["footer"]  # how many there are is not the question here
    assert reader.kinds == {
        "header": PROCESSES, "request": len(expected), "response": len(expected), "event": events, "end": len(expected),
    }  # fmt: skip
    assert [row["state"] for row in told] == ["complete"] * len(expected)
    assert {row["stream"] for row in told} == {stream.id for stream in streams.values()}
    final = query(directory, reader.look)
    assert final is not None
    makes_sense(final, answers[-1])
    assert (len(final), {row["outcome"] for row in final}) == (len(expected), {"complete"})
    assert len(answers) > 1  # asked while they wrote
