"""`recorder demo`: one real run of it, and that it would notice if replay were not the same."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from recorder_cli.main import cli

import recorder
import recorder.demo
from recorder.demo import Run, Update, compare, fixtures, record
from recorder.demo import replay as replay_calls
from tests.cli.command import heed_interrupts

COMMAND = str(Path(sys.executable).with_name("recorder"))
KEY = "sk-ant-api03-this-key-must-not-be-used"
HOSTILE = {
    "ANTHROPIC_API_KEY": KEY,
    "ANTHROPIC_AUTH_TOKEN": KEY,
    "ANTHROPIC_BASE_URL": "http://192.0.2.1:9",
    "ANTHROPIC_CUSTOM_HEADERS": f"x-leak: {KEY}",
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://192.0.2.1:9"),
    "ALL_PROXY": "socks5://192.0.2.1:9",
}
"""An environment that would send the calls elsewhere, or to nowhere."""
GUARD = """
import os, sys

def guard(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] not in ("127.0.0.1", "::1"):
        where = f"connect {arguments[1]}"
    elif event == "socket.getaddrinfo" and arguments[0] not in ("127.0.0.1", "localhost", None):
        where = f"look up {arguments[0]}"
    else:
        return
    with open(os.environ["NETWORK_LOG"], "a") as log:
        print(where, file=log)

sys.addaudithook(guard)
with open(os.environ["NETWORK_LOG"], "a") as log:
    print("guarded", file=log)
"""

# The models of the recordings will be retired one day; the SDK says so at each call.
pytestmark = pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Where the demo ran, twenty times as fast, and what it said."""
    directory = tmp_path_factory.mktemp("demo")
    (directory / "guard").mkdir()
    (directory / "guard" / "sitecustomize.py").write_text(GUARD)
    environment = {
        **os.environ,
        **HOSTILE,
        "PYTHONPATH": str(directory / "guard"),
        "NETWORK_LOG": str(directory / "network.log"),
        "PYTHONIOENCODING": "utf-8",
    }
    command = [COMMAND, "demo", "--speed", "20"]
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, encoding="utf-8", timeout=60
    )
    return directory, done


def counts(output: str) -> dict[str, tuple[int, int]]:
    """What the comparison said: name -> (identical, of)."""
    found = re.findall(r"^ +(.+?) +(\d+)/(\d+) identical$", output, re.MULTILINE)
    return {name: (int(same), int(of)) for name, same, of in found}


def test_runs_and_finds_all_of_it_identical(ran: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, done = ran
    assert (done.returncode, done.stderr) == (0, "")
    assert counts(done.stdout) == {
        "bodies: sent, recorded": (38, 38),
        "bodies: recorded, replayed": (38, 38),
        "event sequences": (32, 32),
        "exceptions": (8, 8),
        "final messages": (14, 14),
    }


def test_not_on_a_terminal_it_prints_plain_lines(ran: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, done = ran
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    assert len(re.findall(r"^ +\d+\.\d\d s  \w+, a?sync \w+ +\d+ events  \w+$", done.stdout, re.MULTILINE)) == 34
    assert len(re.findall(r"^(?:sonnet|haiku|opus)|  (?:sonnet|haiku|opus)-", done.stdout, re.MULTILINE)) == 38


def test_speaks_to_the_loopback_only_and_uses_no_key(ran: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    directory, done = ran
    assert (directory / "network.log").read_text() == "guarded\n"
    assert KEY not in done.stdout
    files = list((directory / "recorder-demo").rglob("*.jsonl"))
    assert len(files) == 2
    assert not any(KEY.encode() in file.read_bytes() for file in files)


def test_the_commands_that_it_names_work(ran: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    directory, done = ran
    commands = [shlex.split(line) for line in re.findall(r"^  (\S*recorder \w+ .+)$", done.stdout, re.MULTILINE)]
    assert [command[1] for command in commands] == ["ls", "play", "sql"]
    for command in commands:
        quick = ["--speed", "1000"] if command[1] == "play" else []
        run = subprocess.run([COMMAND, *command[1:], *quick], cwd=directory, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        assert run.stdout
    verified = subprocess.run([COMMAND, "verify", "recorder-demo"], cwd=directory, capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")


def test_will_not_mix_with_recordings_that_are_there(ran: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    directory, _ = ran
    command = [COMMAND, "demo", "--out", "recorder-demo"]
    run = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "error: recorder-demo: has recordings in it already; name another directory\n"


@pytest.mark.slow
def test_fits_a_terminal_of_80_columns(tmp_path: Path) -> None:
    terminal, inside = pty.openpty()
    termios.tcsetwinsize(inside, (24, 80))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    running = subprocess.Popen(
        [COMMAND, "demo", "--speed", "10"],
        cwd=tmp_path,
        env={**environment, "TERM": "xterm", "PATH": f"{Path(COMMAND).parent}:{os.environ['PATH']}"},
        stdin=inside,
        stdout=inside,
        stderr=inside,
    )
    os.close(inside)
    shown = b""
    while data := _read(terminal):
        shown += data
    os.close(terminal)
    assert running.wait() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert "text, sync stream" in text  # the panel with the text as it comes
    assert [line for line in re.split(r"[\r\n]+", text) if len(line) > 80] == []
    assert shown.count(b"\x1b[?25l") == shown.count(b"\x1b[?25h")  # the cursor is back


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # what Linux says when the other end is closed
        return b""


def test_an_interrupt_ends_it_at_once_and_quietly(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [COMMAND, "demo", "--speed", "0.01", "--out", "here"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    while not list(tmp_path.rglob("*.jsonl")) and running.poll() is None:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    output, errors = running.communicate(timeout=20)
    assert running.returncode == 130
    assert errors == "\n"
    assert "identical" not in output


def test_the_packaged_recordings_are_those_of_the_checkout() -> None:
    assert fixtures() == Path(recorder.__file__).parents[1] / "fixtures"


def tampered(live: Run) -> Run:
    """One word of one recorded stream is another."""
    (segment,) = live.recording.glob("*.jsonl")
    before = segment.read_bytes()
    after = before.replace(b"an idle connection survives", b"an idle connection survived", 1)
    assert before != after
    segment.write_bytes(after)
    return live


def test_a_recording_that_was_tampered_with_is_seen_in_everything_it_touches(tmp_path: Path) -> None:
    updates: list[Update] = []
    live = tampered(record(tmp_path / "live", speed=50, progress=updates.append))
    replayed = replay_calls(live, tmp_path / "replayed")

    checks = {check.name: check for check in compare(live, replayed)}

    sent, messages = checks["bodies: sent, recorded"], checks["final messages"]
    assert (sent.same, sent.of) == (37, 38)
    assert re.fullmatch(
        r"json, (a?sync) plain, attempt 1: byte \d+ of 631 and 631: b'.+', then b'.+'", *sent.differences
    )
    assert len(messages.differences) == 1
    assert messages.differences[0].startswith("json, ")
    assert checks["event sequences"].differences == checks["exceptions"].differences == []
    assert sum(update.state == "done" for update in updates) == 34


def test_a_call_that_ends_otherwise_in_replay_is_a_difference(tmp_path: Path) -> None:
    live = record(tmp_path / "live", speed=50)
    (segment,) = live.recording.glob("*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    cut = next(n for n, line in enumerate(lines) if b'"end":"failed"' in line)
    lines[cut] = lines[cut].replace(b'"end":"failed"', b'"end":"read"').replace(b'"error":{', b'"was":{', 1)
    segment.write_bytes(b"".join(lines))

    checks = {check.name: check for check in compare(live, replay_calls(live, tmp_path / "replayed"))}

    (difference,) = checks["exceptions"].differences
    assert re.match(r"cut, a?sync \w+: Failure\(type='httpx2\.RemoteProtocolError', .*, then None$", difference)


def test_a_difference_is_told_and_is_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recorder.demo, "replay", lambda live, path: replay_calls(tampered(live), path))

    with pytest.raises(SystemExit) as exit_:
        cli.main(["demo", "--speed", "50", "--out", str(tmp_path)], prog_name="recorder")

    output = capsys.readouterr().out
    assert exit_.value.code == 1
    assert counts(output)["bodies: sent, recorded"] == (37, 38)
    assert re.search(r"^     json, a?sync plain, attempt 1: byte \d+ of 631 and 631", output, re.MULTILINE)
