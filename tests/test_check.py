"""`recorder check`: real programs, run under faults by the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recorder.check import PLACEHOLDER_KEY
from recorder.faults import standard
from recorder.testing import Reply, message_events
from tests.cli.command import heed_interrupts
from tests.cli.command import recorder as command
from tests.replayer.streams import recorded

EXAMPLES = Path(__file__).parents[1] / "examples"
HEAD = "import os, sys, time, httpx2\nurl = os.environ['ANTHROPIC_BASE_URL'] + '/v1/messages'\n"
ASKS = """
def ask(text='hi', timeout=30):
    body = {'model': 'claude-test', 'max_tokens': 10, 'messages': [{'role': 'user', 'content': text}], 'stream': True}
    with httpx2.stream('POST', url, json=body, timeout=timeout) as response:
        response.raise_for_status()
        return b''.join(response.iter_bytes())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return recorded(tmp_path / "recording")


def program(tmp_path: Path, text: str) -> list[str]:
    """A program without the SDK: it starts in a tenth of the time."""
    file = tmp_path / "program.py"
    file.write_text(HEAD + ASKS + text)
    return [sys.executable, str(file)]


def test_a_table_says_what_was_survived(tmp_path: Path, path: Path) -> None:
    run = program(tmp_path, "print('Hello') if b'text_delta' in ask() else print('nothing')")

    result = command("check", "--recording", path, "--fault", "one_chunk", "--fault", "cut_clean(at=4)",
                     "--fault", "cut_dirty(at=4)", "--fault", "cut_thinking()", "--", *run)  # fmt: skip

    rows = [line.split(maxsplit=4) for line in result.stdout.splitlines()]
    assert rows[0] == ["fault", "exit", "s", "verdict", "evidence"]
    assert [(row[0], row[1], row[3]) for row in rows[1:]] == [
        ("one_chunk", "0", "recovered"),
        ("cut_clean(at=4)", "0", "truncated_stream_accepted"),
        ("cut_dirty(at=4)", "1", "not_recovered,partial_output_lost"),
        ("cut_thinking()", "0", "not_injected"),
    ]
    assert result.exit_code == 1
    assert result.stderr == "2 faults of 4 not survived.\n"


def test_json_has_the_evidence(tmp_path: Path, path: Path) -> None:
    run = program(
        tmp_path, "for n in range(3):\n try: print(ask()); break\n except httpx2.HTTPError: time.sleep(0.2)"
    )

    result = command("check", "--json", "--recording", path, "--fault", "cut_dirty(at=4, times=1)", "--", *run)

    [one] = json.loads(result.stdout)
    assert (result.exit_code, one["failed"], one["exit_code"]) == (0, False, 0)
    [finding] = one["verdict"]["findings"]
    assert finding["kind"] == "recovered"
    assert [attempt["outcome"] for attempt in finding["attempts"]] == ["broken", "complete"]
    assert finding["attempts"][1]["at_s"] - finding["attempts"][0]["ended_s"] >= 0.19


def test_without_a_recording_any_request_is_answered(tmp_path: Path) -> None:
    run = program(tmp_path, "assert b'message_stop' in ask('anything at all')")
    result = command("check", "--fault", "byte_by_byte", "--", *run)
    assert (result.exit_code, "recovered" in result.stdout) == (0, True)


def test_each_run_gets_the_recorded_answers_from_the_first_on(tmp_path: Path) -> None:
    path = recorded(tmp_path / "two", *(Reply.sse(message_events(text)) for text in ("one", "two")))
    seen = tmp_path / "seen"
    run = program(tmp_path, f"answer = ask(); open({str(seen)!r}, 'a').write('1' if b'one' in answer else '2')")

    result = command("check", "--recording", path, "--fault", "one_chunk", "--fault", "noise", "--", *run)

    assert (result.exit_code, seen.read_text()) == (0, "111")


def test_what_of_a_recording_cannot_be_read_is_warned_of(tmp_path: Path, path: Path) -> None:
    [file] = path.glob("*.jsonl")
    with file.open("ab") as torn:
        torn.write(b'{"kind":"req')
    result = command("check", "--recording", path, "--fault", "one_chunk", "--", *program(tmp_path, "ask()"))
    assert (result.exit_code, result.stderr.count("warning: ")) == (0, 1)


def test_the_help_names_the_standard_faults() -> None:
    said = " ".join(command("check", "--help").stdout.split())
    assert f"Without --fault: {', '.join(standard())}." in said


@pytest.mark.slow
def test_what_hangs_is_killed_with_all_that_it_started(tmp_path: Path, path: Path) -> None:
    pids = tmp_path / "pids"
    run = program(
        tmp_path,
        "import subprocess\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pids)!r}, 'a').write(f'{{child.pid}}\\n')\n"
        "ask(timeout=None)\n",
    )
    began = time.monotonic()
    result = command("check", "--recording", path, "--limit", "4", "--fault", "hang(at=4)", "--", *run)

    assert "killed" in result.stdout
    assert "no_read_timeout" in result.stdout
    assert result.exit_code == 1
    assert time.monotonic() - began < 60
    for pid in map(int, pids.read_text().split()):
        assert not alive(pid)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_the_key_is_a_placeholder_unless_there_is_one(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = program(tmp_path, "assert os.environ['ANTHROPIC_API_KEY'] == sys.argv[1]; ask()")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    arguments = ["check", "--recording", path, "--fault", "one_chunk", "--", *run]
    assert command(*arguments, PLACEHOLDER_KEY).exit_code == 0
    monkeypatch.setenv("ANTHROPIC_API_KEY", "mine")
    assert command(*arguments, "mine").exit_code == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("raise SystemExit('oh no')", "without a fault, the program exits with 1 already: oh no"),
        ("pass", "the program asked nothing of ANTHROPIC_BASE_URL"),
        ("ask('never recorded')", "no recorded request is equal"),
        ("ask(); time.sleep(60)", "without a fault, the program still runs after 2 s; see --limit"),
    ],
)
def test_a_program_that_cannot_be_checked_is_told_in_one_line(
    tmp_path: Path, path: Path, text: str, says: str
) -> None:
    result = command("check", "--recording", path, "--limit", "2", "--", *program(tmp_path, text))

    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says", "code"),
    [
        (["--", "/no/such/program"], "/no/such/program: cannot be run: no such file or directory", 2),
        (["--fault", "boom()", "--", "true"], "fault 'boom' does not exist", 2),
        (["--recording", "/no/such", "--", "true"], "/no/such", 3),
        ([], "Missing argument", 2),
    ],
)
def test_wrong_use_is_one_line(arguments: list[str], says: str, code: int) -> None:
    result = command("check", *arguments)
    assert result.exit_code == code
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_what_a_program_asks_for_under_a_fault_alone_is_not_judged(tmp_path: Path, path: Path) -> None:
    run = program(
        tmp_path, "try: ask()\nexcept httpx2.HTTPError:\n try: ask('go on')\n except httpx2.HTTPError: pass"
    )
    result = command("check", "--recording", path, "--fault", "cut_dirty(at=4)", "--", *run)
    assert "unknown  asked for what was not recorded" in result.stdout
    assert result.exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("retry_as_in_the_guides", {"cut_clean": "truncated_stream_accepted", "cut_dirty": "not_recovered,partial_output_lost"}),
        ("loop_taken_as_complete", {"cut_clean": "truncated_stream_accepted", "error_event": "error_swallowed,partial_output_lost"}),
        ("ask_until_whole", {"cut_clean": "recovered", "reset": "recovered"}),
    ],
)  # fmt: skip
def test_the_examples_do_what_the_readme_says(name: str, expected: dict[str, str]) -> None:
    faults = [part for fault in expected for part in ("--fault", fault)]
    result = command("check", *faults, "--", sys.executable, str(EXAMPLES / f"{name}.py"))

    found = {line.split()[0]: line.split()[3] for line in result.stdout.splitlines()[1:]}
    assert found == expected


def test_an_interrupt_leaves_nothing_running(tmp_path: Path, path: Path) -> None:
    pids = tmp_path / "pids"
    run = program(tmp_path, f"open({str(pids)!r}, 'a').write(str(os.getpid()))\ntime.sleep(600)")
    main = [sys.executable, "-c", "from recorder_cli.main import run; run()"]
    with subprocess.Popen(
        [*main, "check", "--recording", str(path), "--", *run],
        stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts,
    ) as process:
        while not (pids.exists() and pids.read_text()):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(2)
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 130
    assert b"Traceback" not in said
    assert not alive(int(pids.read_text()))
