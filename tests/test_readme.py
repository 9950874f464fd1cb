"""The README is true: its snippets run, in order, and so do its commands."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recorder.testing import Reply, Upstream, encode_event, message_events
from tests.cli.command import heed_interrupts
from tests.plugins.runs import run_pytest
from tests.replayer.streams import ASK, recorded

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = re.findall(r"^\$ (recorder .*?)(?:\s+#.*)?$", README, re.MULTILINE)
SHOWN = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
TESTED_ELSEWHERE = ("demo", "check", "tail", "diff", "ui", "record", "replay", "proxy", "serve")
MS = 1_000_000


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the snippets have run, and left their recordings."""
    path = tmp_path_factory.mktemp("readme")
    reply = Reply.sse(message_events("Hello", " there", "!", model="claude-haiku-4-5"), first=20 * MS, gap=5 * MS)
    with Upstream([reply]) as upstream:
        environment = {**os.environ, "ANTHROPIC_BASE_URL": upstream.url, "ANTHROPIC_API_KEY": "sk-ant-none-at-all"}
        done = subprocess.run(
            [sys.executable, "-c", "\n".join(SNIPPETS)], cwd=path, env=environment, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    assert "Hello there!" in done.stdout
    (path / "answer.sse").write_bytes(b"".join(map(encode_event, message_events("Hello"))))
    return path


def test_there_are_snippets_and_commands() -> None:
    assert len(SNIPPETS) >= 4
    assert len(COMMANDS) >= 9


@pytest.mark.parametrize(
    "command", [command for command in COMMANDS if command.split()[1] not in TESTED_ELSEWHERE]
)
def test_a_command_of_the_readme_runs(directory: Path, command: str) -> None:
    program, *arguments = shlex.split(command)
    executable = Path(sys.executable).with_name(program)

    done = subprocess.run([executable, *arguments], cwd=directory, capture_output=True, text=True)

    assert (done.returncode, done.stderr.count("error:")) == (0, 0), done.stderr
    assert done.stdout.strip() or done.stderr.strip()


def test_the_command_of_the_readme_that_does_not_end_goes_on_until_it_is_interrupted(directory: Path) -> None:
    [command] = [command for command in COMMANDS if "tail" in command]
    program, *arguments = shlex.split(command)
    with subprocess.Popen(
        [Path(sys.executable).with_name(program), *arguments],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().split()[:2] == [b"stream", b"sent"]
        process.send_signal(signal.SIGINT)
        assert process.communicate() == (b"", b"\n")
    assert process.returncode == 130


def test_the_diff_of_the_readme_is_what_one_sees(tmp_path: Path) -> None:
    """Of the recording that it makes, and of another one like it."""
    [make] = [command for command in COMMANDS if command.startswith("recorder make")]
    again = make.replace("hello.jsonl", "hello-again.jsonl").replace("can I", "may I").replace("seed 7", "seed 8")
    [(diff, shown)] = re.findall(r"\$ (recorder diff [^\n]*)\n(.*?)```", README, re.DOTALL)
    for command in (make, again, diff):
        program, *arguments = shlex.split(command)
        executable = Path(sys.executable).with_name(program)
        done = subprocess.run([executable, *arguments], cwd=tmp_path, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (1, shown)


def test_the_no_match_of_the_readme_is_what_one_sees(directory: Path) -> None:
    shown, _ = SHOWN
    program = """
import recorder
client = recorder.replay("recordings/").client()
client.messages.create(model="claude-haiku-4-5", max_tokens=64, stream=True,
    messages=[{"role": "user", "content": "Say goodbye"}])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=directory, capture_output=True, text=True)

    def stripped(text: str) -> str:
        text = re.sub(r"nearest, \w+…? ", "nearest, ID ", text)
        return re.sub(r"anthropic [\d.]+", "anthropic VERSION", text).strip()

    assert stripped(done.stderr).endswith(stripped(shown))


@pytest.mark.slow
def test_the_verdict_of_the_readme_is_what_one_sees(tmp_path: Path) -> None:
    recorded(tmp_path / "weather.jsonl")
    (tmp_path / "test_weather.py").write_text(
        f"""
import anthropic, pytest

@pytest.mark.recording("weather.jsonl")
@pytest.mark.faults
def test_half_an_answer_is_not_taken_for_one():
    with anthropic.Anthropic(api_key="none").messages.stream(**{ASK!r}) as stream:
        stream.get_final_message()
"""
    )
    done = run_pytest(tmp_path, "-k", "cut_clean")

    _, shown = SHOWN
    assert shown in done.stdout
