"""`recorder tail`: a line for each stream when it ends and when it stalls; on a terminal, open streams live."""

from __future__ import annotations

import csv
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from recorder_cli.tail import lines
from recorder_cli.tail_screen import Layout

from recorder.core.lines import encode_line
from recorder.core.progress import Progress
from recorder.core.records import Record
from recorder.log.live import Live
from tests.cli import recordings
from tests.cli.command import heed_interrupts
from tests.cli.test_program import ENVIRONMENT, EVIL, PROGRAM

S = 1_000_000_000
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Stop(Exception):
    """The script is at its end."""


class Scripted:
    """Runs `lines` on a directory while steps are taken, a step for each time that it waits; clocks stand still."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "a.jsonl"
        self.now = recordings.WALL
        clocks = {"clock": lambda: self.now / S, "wall_clock": lambda: self.now}
        self.live = Live([directory], everything=False, report=print, is_there=lambda pid: True, **clocks)

    def write(self, *records: Record) -> None:
        with self.path.open("ab") as file:
            file.write(b"".join(map(encode_line, records)))

    def rows(self, *steps: Callable[[], object], step_s: float = 1) -> list[dict[str, Any]]:
        rest = iter(steps)

        def wait() -> None:
            step = next(rest, None)
            if step is None:
                raise Stop
            self.now += round(step_s * S)
            step()

        found: list[dict[str, Any]] = []
        try:
            for row in lines(self.live, (self.path,), lambda: self.now, wait):
                found.append(dict(row))
        except Stop:
            self.live.close()
        return found


def nothing() -> None:
    pass


def test_a_row_for_each_stream_when_it_ends(tmp_path: Path) -> None:
    script = Scripted(tmp_path)
    text, refused = recordings.text("01"), recordings.overloaded("02")
    script.write(recordings.header(), *recordings.text("00"))

    rows = script.rows(
        lambda: script.write(*text[:4]), lambda: script.write(*text[4:], *refused), nothing, step_s=0.1
    )

    assert rows == [
        {
            "stream": "01",
            "sent": "2026-11-21T01:05:00.000Z",
            "model": "claude-haiku-4-5-20251001",
            "state": "complete",
            "status": 200,
            "error_type": None,
            "ttft_s": 0.4,
            "duration_s": 0.755,
            "stalls": 0,
            "stall_s": 0.0,
            "output_chars": 33,
            "output_tokens": 8,
        },
        {
            "stream": "02",
            "sent": "2026-11-21T01:05:00.000Z",
            "model": "claude-haiku-4-5",
            "state": "http_error",
            "status": 529,
            "error_type": "overloaded_error",
            "ttft_s": None,
            "duration_s": 0.315,
            "stalls": 0,
            "stall_s": 0.0,
            "output_chars": 0,
            "output_tokens": None,
        },
    ]


def test_a_stall_is_told_once_when_it_begins_and_again_only_after_progress(tmp_path: Path) -> None:
    script = Scripted(tmp_path)
    one = recordings.stream("01", recordings.text_chunks(recordings.WORDS, step=5000))  # an output every 5 s
    first = next(n for n, record in enumerate(one) if getattr(record, "chars", 0)) + 1

    rows = script.rows(
        lambda: script.write(recordings.header(), *one[:first]),  # the first output, at 0.4 s
        *[nothing] * 4,
        lambda: script.write(*one[first : first + 1]),  # the second, at 5.4 s
        *[nothing] * 3,
    )

    assert [(row["state"], row["duration_s"], row["stall_s"], row["stalls"]) for row in rows] == [
        ("stalled", 3.0, 2.6, 1),
        ("stalled", 8.0, 2.6, 2),
    ]


def test_nothing_there_yet_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Scripted(tmp_path / "no" / "such").rows(nothing, nothing) == []

    assert re.fullmatch(r"\S+a\.jsonl: no recording there yet; waiting for one\n", capsys.readouterr().err)


class Running:
    """The real command on a directory."""

    def __init__(self, path: Path, *options: str, **streams: Any) -> None:
        self.path = path
        self.process = subprocess.Popen(
            [*PROGRAM, "tail", path, *options],
            env={**ENVIRONMENT, "TERM": "xterm-256color"},
            preexec_fn=heed_interrupts,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
        )

    def write(self, *streams: list[Record]) -> None:
        """Into a file that a process wrote which is there: this one."""
        header = replace(recordings.header(), pid=os.getpid())
        records = [header, *(record for stream in streams for record in stream)]
        self.path.mkdir(exist_ok=True)
        (self.path / "a.jsonl").write_bytes(b"".join(map(encode_line, records)))

    def line(self) -> str:
        """The next line, as soon as it is there."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode()

    def interrupt(self) -> tuple[int, str]:
        """Exit code, and what was said on stderr."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.stderr is not None
        said = self.process.stderr.read().decode()
        return self.process.wait(), said


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(*options: str, **streams: Any) -> Running:
        started.append(Running(tmp_path / "recordings", *options, **streams))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()
        for stream in (one.process.stdout, one.process.stderr):
            if stream is not None:
                stream.close()


def test_piped_it_prints_plain_lines_at_once_until_it_is_interrupted(run) -> None:
    tail = run()
    names = tail.line().split()
    assert names[:4] == ["stream", "sent", "model", "state"]
    tail.write(recordings.text(), recordings.truncated())
    for expected in (recordings.text(), recordings.truncated()):
        cells = tail.line().split()
        assert len(cells) == len(names)
        assert cells[0] == expected[0].stream
    assert "truncated" in cells
    code, said = tail.interrupt()
    assert code == 130
    assert said == f"{tail.path}: no recording there yet; waiting for one\n\n"


def test_all_begins_with_what_is_there(run) -> None:
    recordings.write(run().path / "old.jsonl", *recordings.every_kind())  # by a process that is not there
    tail = run("--all", "--format", "jsonl")
    states = [json.loads(tail.line())["state"] for _ in recordings.KINDS]
    assert states == [*(outcome for outcome in recordings.OUTCOMES if outcome != "lost"), "lost"]


def test_as_csv_the_lines_come_at_once_too(run) -> None:
    tail = run("--format", "csv")
    header = tail.line()
    tail.write(recordings.text())
    [row] = csv.DictReader([header, tail.line()])
    assert (row["stream"], row["state"], row["output_tokens"]) == ("7e470000a1b2c3d4", "complete", "8")


def test_a_reader_that_goes_away_is_noticed_before_there_is_anything_to_say(run) -> None:
    tail = run()
    tail.line()
    tail.process.stdout.close()
    assert tail.process.wait(10) == 141
    assert b"Traceback" not in tail.process.stderr.read()


def test_what_cannot_be_read_is_one_warning(run) -> None:
    path = run().path
    path.mkdir()
    (path / "bad.jsonl").write_bytes(b"none\n" * 3)
    tail = run("--all")
    tail.line()
    tail.write(recordings.text())
    tail.line()
    code, said = tail.interrupt()
    assert code == 130
    assert said == f"warning: {path}/bad.jsonl: not a recording (its first line is no header); left out\n\n"


def in_terminal(run: Callable[..., Running], columns: int, until: str, *streams: list[Record]) -> tuple[str, int]:
    """What a terminal of that width got until it showed a text, and the exit code; `streams` were there before."""
    pty = pytest.importorskip("pty")
    termios, fcntl = importlib.import_module("termios"), importlib.import_module("fcntl")
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, (24).to_bytes(2, "little") + columns.to_bytes(2, "little") + bytes(4))
    run("--format", "csv").write(*streams)
    tail = run("--all", stdin=side, stdout=side, stderr=side)
    os.close(side)
    shown = b""
    while until not in ESCAPES.sub("", shown.decode("utf-8", "ignore")):
        shown += os.read(main, 65536)
    tail.process.send_signal(signal.SIGINT)
    try:
        while data := os.read(main, 65536):
            shown += data
    except OSError:  # how a terminal says that nobody is left to write
        pass
    os.close(main)
    return shown.decode(), tail.process.wait()


@pytest.mark.parametrize("columns", [30, 80, 120])
def test_on_a_terminal_what_ended_stands_above_what_is_open_and_nothing_is_too_wide(run, columns: int) -> None:
    shown, code = in_terminal(run, columns, "1 open, 10 ended", *recordings.every_kind())

    assert code == 130
    text = ESCAPES.sub("", shown)
    rows = [line for line in re.split(r"[\r\n]+", text) if line]
    assert [line for line in rows if len(line) > columns] == []
    ended = [state for state in ("complete", "http 529", "truncated", "connect_failed") if state in text]
    assert len(ended) == 4 or columns < 40
    assert text.index("complete") < text.index("stall_s")
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")  # the cursor is back
    if columns == 120:
        assert "claude-haiku-4-5-20251001" in text
        assert "duration_s" in text


def test_no_control_character_of_a_recording_reaches_a_terminal(run) -> None:
    evil = EVIL[:-1]
    chunks = [
        (
            400,
            9,
            recordings.sse(recordings.message_start(f"m{evil}"), recordings.block_start(0, type="text", text="")),
        )
    ]
    records = [
        recordings.stream(f"{evil}1", chunks, tags={evil: evil}),
        recordings.stream(f"{evil}2", chunks, end=None, request={"model": evil}),
    ]
    shown, _ = in_terminal(run, 120, "1 open, 1 ended", *records)

    text = ESCAPES.sub("", shown.replace("\r\n", "\n").replace("\r", ""))
    assert "\\x1b[31mred" in text
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028]", text.replace("^C", "")) == []


def progress(records: list[Record]) -> Progress:
    first, *others = records
    stream = Progress(first, 0)
    for record in others:
        stream.take(record)
    return stream


@pytest.mark.parametrize("columns", [20, 40, 60, 77, 78, 79, 80, 90, 99, 115, 120, 200])
def test_a_line_is_never_wider_than_the_terminal(columns: int) -> None:
    layout = Layout(columns)
    now = recordings.WALL + 3600 * S
    header = layout.header()
    assert header.cell_len <= columns
    for kind in recordings.KINDS:
        records = kind()
        for end in range(1, len(records) + 1):
            for ended in (False, True):
                line = layout.line(progress(records[:end]), now, ended=ended)
                assert line.cell_len <= columns
                assert "\n" not in line.plain
    wide = progress(recordings.stream("五" * 20, recordings.text_chunks(["五"] * 9), model="五" * 30))
    assert layout.line(wide, now, ended=True).cell_len <= columns


def test_a_stall_is_yellow_and_a_long_one_red() -> None:
    open_stream = progress(recordings.text()[:6])
    at = recordings.WALL + open_stream.progress_at

    def styles(seconds: float) -> set[str]:
        return {
            str(span.style) for span in Layout(80).line(open_stream, at + round(seconds * S), ended=False).spans
        }

    assert not styles(2.0) & {"yellow", "bold red"}
    assert "yellow" in styles(2.1)
    assert "yellow" in styles(30.0)
    assert "bold red" in styles(30.1)


def test_it_imports_no_more_than_it_uses(run, tmp_path: Path) -> None:
    program = """
        import sys
        from recorder_cli.main import cli
        import recorder_cli.tail as tail
        def done(): raise KeyboardInterrupt
        tail.pause = done
        try: cli.main(["tail", sys.argv[1]])
        except SystemExit: pass
        print(*sys.modules, file=sys.stderr)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), tmp_path], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert "recorder.log.live" in done.stderr
    assert set(done.stderr.split()) & {"anthropic", "httpx2", "rich", "duckdb", "asyncio"} == set()


def test_a_directory_of_compressed_recordings_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "done.jsonl.zst").write_bytes(b"not looked into: what is in it was over when tail began")
    live = Live([tmp_path], everything=False, report=print)
    assert list(live.poll()) == []
    assert live.has_seen_any
    live.close()
