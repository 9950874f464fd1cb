"""The command as a program: how fast it starts, what it imports, pipes, terminals, signals, its own mistakes."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from keyword import iskeyword
from pathlib import Path

import click
import pytest
from recorder_cli.errors import Exit
from recorder_cli.main import COMMANDS, EXIT_CODES
from recorder_cli.main import cli as application

from tests.cli import recordings
from tests.cli.command import COMMANDS as READING
from tests.cli.command import NO_SETTINGS, heed_interrupts, recorder

PROGRAM = [sys.executable, "-c", "from recorder_cli.main import run; run()"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in NO_SETTINGS}
SGR = re.compile(r"\x1b\[[0-9;]*m")
EVIL = "\x1b[31mred\x1b]0;title\x07 \x9b31m\u202eabc\x85\x00\r\ud83d"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return recordings.write(tmp_path / "a.jsonl", recordings.text())


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A stream that no pipe holds."""
    words = [f"word{n} " for n in range(3000)]
    return recordings.write(tmp_path / "long.jsonl", recordings.stream("10", recordings.text_chunks(words)))


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """Control characters wherever a recording has text."""
    chunks = [
        (400, 9, recordings.sse(recordings.message_start(f"m{EVIL[:-1]}"), recordings.block_start(0, type="text", text=""))),
        (500, 9, b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\x9b\xc2\x9b"}}\n\n'),
        (500, 9, recordings.sse(recordings.delta(0, "text_delta", text=EVIL[:-1]))),
        (600, 9, b": \x1b[31m\x9b\n\n"),
        (700, 9, recordings.sse(recordings.message_delta(3), recordings.STOP)),
    ]  # fmt: skip
    asked = {"model": EVIL, "messages": [{"role": EVIL, "content": EVIL}]}
    headers = [*recordings.SSE, ("via", EVIL[:-1])]
    stream = recordings.stream(
        f"e{EVIL[:-1]}", chunks, headers=headers, request=asked, tags={EVIL[:-1]: EVIL[:-1]}
    )
    return recordings.write(tmp_path / "evil.jsonl", stream)


def modules_after(arguments: Sequence[str | Path]) -> set[str]:
    program = (
        "import sys\nfrom recorder_cli.main import cli\n"
        "try: cli.main(sys.argv[1:])\nexcept SystemExit as end: assert not end.code, end.code\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    return set(done.stderr.splitlines()[-1].split())


def test_help_imports_nothing_but_click() -> None:
    modules = modules_after(["--help"])

    heavy = {"anthropic", "duckdb", "httpx2", "rich", "anyio", "msgspec", "asyncio"}
    assert modules & heavy == set()
    assert {name for name in modules if name.startswith("recorder.")} <= {"recorder.core", "recorder.core.visible"}


@pytest.mark.parametrize("command", ["ls", "show", "verify", "play", "stats", "sql"])
def test_no_command_imports_what_it_does_not_use(path: Path, command: str) -> None:
    modules = modules_after([*READING[command], path])

    unused = {"anthropic", "httpx2", "rich"} | ({"duckdb"} if command not in ("stats", "sql") else set())
    assert modules & unused == set()


def test_help_is_there_at_once() -> None:
    def took() -> float:
        """CPU seconds: what is promised of an idle machine, measured on a busy one."""
        before = os.times()
        subprocess.run([*PROGRAM, "--help"], check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(took() for _ in range(5)) < 0.15


def test_every_command_has_a_help_with_an_example_and_the_line_that_the_overview_has() -> None:
    overview = recorder("--help").stdout
    assert COMMANDS
    for name, line in COMMANDS.items():
        module = f"{name}_" if iskeyword(name) else name
        command = getattr(importlib.import_module(f"recorder_cli.{module}"), module)
        assert isinstance(command, click.Command)
        assert command.get_short_help_str(200) == line
        assert f"  {name} " in overview
        help_text = recorder(name, "-h").stdout
        assert help_text == recorder(name, "--help").stdout
        assert re.search(rf"^ +recorder {name}\b", help_text, re.MULTILINE), name
        undescribed = [
            one.name for one in command.params if isinstance(one, click.Option) and not (one.help or one.hidden)
        ]
        assert undescribed == []


def test_every_exit_code_is_in_the_help() -> None:
    documented = {int(code) for code in re.findall(r"^  (\d+) ", EXIT_CODES, re.MULTILINE)}

    assert documented == set(Exit)
    assert EXIT_CODES.splitlines()[2] in recorder("--help").stdout


def test_without_a_command_there_is_the_help() -> None:
    assert recorder().stdout == recorder("--help").stdout


def test_version() -> None:
    assert re.fullmatch(r"recorder \d\S*\n", recorder("--version").stdout)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lss"], "no such command 'lss'; did you mean ls?"),
        (["frobnicate"], "no such command 'frobnicate'; recorder -h"),
        (["--frob"], "No such option"),
        (["ls"], "Missing argument 'PATH...'"),
        (["ls", "a", "--format", "yaml"], "Invalid value for '--format'"),
        (["ls", "a", "--outcome", "great"], "Invalid value for '--outcome'"),
        (["play", "a", "--speed", "0"], "Invalid value for '--speed'"),
        (["sql", "FROM streams"], "Missing argument 'PATH...'"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], says: str) -> None:
    result = recorder(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {says}")
    assert result.stderr.count("\n") == 1
    assert " -h shows how it is used" in result.stderr


def test_a_mistake_of_ours_is_one_line_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oh\ndear")

    monkeypatch.setattr("recorder_cli.ls.rows_of", broken)

    result = recorder("ls", path)

    assert result.exit_code == 70
    assert result.stderr == "error: internal error: ZeroDivisionError: oh; recorder --debug shows where\n"
    with pytest.raises(ZeroDivisionError):
        recorder("--debug", "ls", path)


@pytest.mark.parametrize(
    "arguments",
    [["show", "--format", "jsonl"], ["show", "--full"], ["show", "--body"], ["sql", "FROM range(99999)"]],
)
def test_a_reader_that_goes_away_is_no_error(long: Path, arguments: list[str]) -> None:
    with subprocess.Popen(
        [*PROGRAM, *arguments, long], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def in_terminal(*arguments: str | Path, columns: int = 80, **environment: str) -> str:
    """What a terminal of that width gets, both outputs together."""
    pty, termios, fcntl = (
        pytest.importorskip("pty"),
        importlib.import_module("termios"),
        importlib.import_module("fcntl"),
    )
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, (40).to_bytes(2, "little") + columns.to_bytes(2, "little") + bytes(4))
    settings = {**ENVIRONMENT, "TERM": "xterm-256color", **environment}
    with subprocess.Popen([*PROGRAM, *arguments], env=settings, stdin=side, stdout=side, stderr=side) as process:
        os.close(side)
        output = b"".join(_read(main))
        os.close(main)
    assert process.returncode == 0, output
    return output.decode("utf-8").replace("\r\n", "\n")


def _read(main: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(main, 65536)
        except OSError:  # how a terminal says that nobody is left to write
            return
        if not data:
            return
        yield data


TO_TERMINAL = [
    ["ls"], ["ls", "--format", "json"], ["ls", "--format", "csv"], ["ls", "--format", "jsonl"], ["show"], ["show", "--full"],
    ["show", "--body"], ["show", "--events"], ["show", "--message"], ["show", "--request"], ["show", "--format", "json"],
    ["show", "--format", "csv"], ["play", "--speed", "1e9"], ["verify"], ["stats"], ["sql", "SELECT stream, tags, request, model FROM streams"],
    ["sql", "SELECT data, text FROM events", "--format", "csv"],
]  # fmt: skip


@pytest.mark.parametrize("arguments", TO_TERMINAL, ids=" ".join)
def test_no_control_character_of_a_recording_reaches_a_terminal(evil: Path, arguments: list[str]) -> None:
    place = 2 if arguments[0] == "sql" else 1

    output = SGR.sub("", in_terminal(*arguments[:place], evil, *arguments[place:]))

    assert output
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028]", output) == []


@pytest.mark.parametrize("columns", [60, 90, 200])
@pytest.mark.parametrize("arguments", [["ls"], ["verify"], ["stats"], ["sql", "FROM streams"]], ids=" ".join)
def test_a_table_is_as_wide_as_the_terminal_at_most(tmp_path: Path, arguments: list[str], columns: int) -> None:
    file = recordings.write(tmp_path / "all.jsonl", *recordings.every_kind())

    lines = SGR.sub("", in_terminal(*arguments, file, columns=columns)).splitlines()

    table = [line for line in lines if not line.startswith("No room for")]
    assert any("──" in line for line in table)
    if arguments[0] != "verify" or columns == 200:  # the name of a temporary file is long
        assert [line for line in table if len(line) > columns] == []


def test_a_terminal_too_narrow_says_what_it_left_out(tmp_path: Path) -> None:
    file = recordings.write(tmp_path / "all.jsonl", *recordings.every_kind())

    narrow, wide = in_terminal("ls", file), in_terminal("ls", file, columns=200)

    assert "No room for sent, status, events, tags; --format csv has all.\n" in narrow
    assert "No room" not in wide
    assert "claude-haiku-4-5-20251001" in wide


def test_colour_is_for_terminals_that_want_it(path: Path) -> None:
    piped = subprocess.run([*PROGRAM, "show", path], env=ENVIRONMENT, capture_output=True, check=True).stdout
    forced = subprocess.run(
        [*PROGRAM, "show", path], env={**ENVIRONMENT, "FORCE_COLOR": "1"}, capture_output=True, check=True
    ).stdout

    assert b"\x1b[" not in piped
    assert b"\x1b[1m" in forced
    assert "\x1b[1m" in in_terminal("show", path)
    assert "\x1b[2m" not in in_terminal("play", path, "--speed", "1e9", NO_COLOR="1")


def test_thinking_is_dimmed_on_a_terminal(tmp_path: Path) -> None:
    file = recordings.write(tmp_path / "a.jsonl", recordings.thinking())

    output = in_terminal("play", file, "--speed", "1e9")

    assert output.startswith("\x1b[2mLet me\x1b[0m\x1b[2m think.\x1b[0m\n\nFünf.\n")


def test_output_that_cannot_show_a_character_escapes_it(tmp_path: Path) -> None:
    file = recordings.write(
        tmp_path / "a.jsonl", recordings.stream("01", recordings.text_chunks(["Fünf ", "五 ", "."]))
    )
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}

    def output(*arguments: str) -> str:
        done = subprocess.run([*PROGRAM, *arguments, file], env=environment, capture_output=True, check=True)
        return done.stdout.decode("latin-1")

    assert output("play", "--speed", "1e9") == "Fünf \\u4e94 .\n"
    assert "\\u4e94" in output("show")
    assert json.loads(output("show", "--message"))["content"] == [{"type": "text", "text": "Fünf 五 ."}]


def test_control_c_ends_it_at_once_and_quietly(long: Path) -> None:
    with subprocess.Popen(
        [*PROGRAM, "play", long],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(5) == b"word0"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b"\n"
    assert process.returncode == 130


def test_the_application_is_what_the_entry_point_runs() -> None:
    assert isinstance(application, click.Group)
    done = subprocess.run([*PROGRAM, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == recorder("--version").stdout
