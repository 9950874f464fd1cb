"""Tests marked `faults`, in real runs of pytest: once for each fault, each judged by what the application did."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from recorder.faults import standard
from recorder.testing import Reply, Upstream
from tests.plugins.runs import HEAD, Done, hello, outcome, run_pytest

pytestmark = pytest.mark.slow
Run = Callable[..., Done]
CAREFUL = """
def careful(text, client=client):
    while True:
        try:
            messages = [{"role": "user", "content": text}]
            with client.messages.stream(model="claude-test", max_tokens=9, messages=messages) as stream:
                if stream.get_final_message().stop_reason:
                    return stream.get_final_text()
        except Exception as error:
            if isinstance(error, anthropic.AnthropicError) and not isinstance(error, anthropic.APIError):
                raise
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return partial(run_pytest, tmp_path)


def write(directory: Path, code: str) -> None:
    (directory / "test_it.py").write_text(HEAD + CAREFUL + code)


def record(run: Run, tests: int) -> None:
    with hello(tests) as upstream:
        done = run("--record-mode=once", upstream=upstream)
        assert outcome(done) == f"{tests} passed", done.stdout
        assert len(upstream.received) == tests  # once each: nobody records under faults


def failed(done: Done) -> list[str]:
    return [line.removeprefix("FAILED ").split(" - ")[0] for line in done.stdout.splitlines() if "FAILED " in line]


def test_every_standard_fault_is_survived_or_told_with_the_line_that_repeats_it(tmp_path: Path, run: Run) -> None:
    write(
        tmp_path,
        """
@pytest.mark.faults
def test_careful():
    assert careful("hi") == "Hello"

@pytest.mark.faults("standard")
def test_trusting():
    ask("hi")
""",
    )
    record(run, 2)

    done = run("-n", "2", "-p", "xdist", COLUMNS="200")

    names = set(standard())
    unsurvived = {one.partition("[")[2].rstrip("]") for one in failed(done)}
    assert unsurvived >= {"cut_clean", "cut_dirty", "error_event", "overloaded", "hang"}
    assert unsurvived <= names
    assert outcome(done) == f"{len(unsurvived)} failed, {2 * len(names) - len(unsurvived)} passed", done.stdout
    assert all("test_trusting" in one for one in failed(done))
    summary = "FAILED test_it.py::test_trusting[cut_clean] - Failed: truncated_stream_accepted: 1"
    assert summary in done.stdout
    assert "truncated_stream_accepted: 1 attempt: truncated; a clean end without message_stop" in done.stdout
    assert "RemoteProtocolError" in done.stdout  # the test's own failure, with what was seen of it
    assert "not_recovered: 1 attempt: broken; the last stream broke" in done.stdout

    [again] = [line for line in done.stdout.splitlines() if "Again: " in line and "cut_clean" in line]
    program, *arguments = shlex.split(again.partition("Again: ")[2])
    repeated = run(*arguments)
    assert program == "pytest"
    assert outcome(repeated) == "1 failed"
    assert failed(repeated) == ["test_it.py::test_trusting"]
    assert "truncated_stream_accepted" in repeated.stdout
    both = run("test_it.py::test_trusting[cut_clean]", "test_it.py::test_careful[cut_clean]")
    assert outcome(both) == "1 failed, 1 passed"


KINDS = """
two = pytest.mark.faults("stall(at=3, seconds=30)", "cut_dirty(at=4, times=1) seed=7")

@two
@pytest.mark.parametrize("word", ["one", "two"])
def test_each(word):
    assert careful(word) == "Hello"

@two
@pytest.mark.recording("named.jsonl")
class TestClass:
    def test_method(self, recording):
        assert careful("in a class") == "Hello"
        assert recording.replay is None or recording.replay.injected

async def read(word):
    while True:
        try:
            return await ask_async(word)
        except Exception as error:
            if "NoMatch" in repr(error):
                raise

@two
@pytest.mark.asyncio
async def test_async():
    assert await read("async") == "Hello"

@two
@pytest.mark.anyio
async def test_anyio(anyio_backend):
    assert await read("anyio") == "Hello"
"""


def test_every_kind_of_test_runs_under_the_faults_it_names(tmp_path: Path, run: Run) -> None:
    write(tmp_path, KINDS)
    record(run, 6)

    done = run("-n", "2", "-p", "xdist", "-rA")

    assert outcome(done) == "12 passed", done.stdout
    assert "test_it.py::test_each[one-stall(at=3,seconds=30)]" in done.stdout
    assert "test_it.py::TestClass::test_method[cut_dirty(at=4,times=1) seed=7]" in done.stdout
    assert outcome(run("test_it.py::test_each[two-stall(at=3,seconds=30)]")) == "1 passed"
    assert "unused" not in done.stdout


SAYING = """
import contextlib

@pytest.mark.faults("cut_dirty(at=4)", allow="error_swallowed")
def test_allowed():
    with contextlib.suppress(Exception):
        ask("hi")

@pytest.mark.faults("cut_dirty(at=4)", allow=["error_swallowed"])
@pytest.mark.parametrize("shown", ["Hello", "Sorry"])
def test_output(recording, shown):
    recording.output = lambda: "".join(screen)
    screen = []
    try:
        ask("hi")
    except Exception:
        screen.append(shown)

@pytest.mark.faults("status(code=500, times=4)", max_attempts=3)
def test_too_many():
    assert careful("hi") == "Hello"

odd = [f'error_event(at=4, message="{word} \\\\"b\\\\"", times=1)' for word in ("Grüße", "Grüsse", "Größé")]

@pytest.mark.faults(*odd, odd[0])
def test_odd_words():
    assert careful("hi") == "Hello"
"""


def test_a_test_says_what_it_puts_out_and_what_it_allows(tmp_path: Path, run: Run) -> None:
    write(tmp_path, SAYING)
    record(run, 5)

    done = run()

    assert failed(done) == [
        "test_it.py::test_output[Sorry-cut_dirty(at=4)]",
        "test_it.py::test_too_many[status(code=500,times=4)]",
    ], done.stdout
    assert outcome(done) == "2 failed, 5 passed"
    assert "partial_output_lost: 1 attempt: broken; 5 characters had come" in done.stdout
    assert "too_many_retries: 5 attempts: refused" in done.stdout


def test_what_cannot_be_run_so_says_why(tmp_path: Path, run: Run) -> None:
    write(
        tmp_path,
        """
@pytest.mark.faults("cut_clean(at=4)")
def test_without_a_recording():
    ask("hi")

@pytest.mark.recording("named.jsonl")
@pytest.mark.faults("cut_clean(at=4, times=1)")
class TestUnittest(unittest.TestCase):
    def test_case(self):
        careful("hi")

@pytest.mark.recording("named.jsonl")
@pytest.mark.faults("cut_tool_input()", "standard")
def test_fits_nothing():
    client.messages.create(model="claude-test", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
""",
    )
    message = {"type": "message", "content": [], "role": "assistant", "usage": {}, "model": "m", "id": "1"}
    with Upstream([Reply.json(200, message)]) as upstream:
        run("--record-mode=once", "-k", "fits", upstream=upstream)
    with hello(1) as upstream:
        run("--record-mode=append", "-k", "case", upstream=upstream)

    done = run("-rs")

    assert (
        "no such recording; to record it: pytest 'test_it.py::test_without_a_recording' --record-mode"
        in done.stdout
    )
    assert "pytest cannot run a method of unittest.TestCase once for each fault" in done.stdout
    assert "no fault was injected: nothing was asked for, or nothing in it fits the fault" in done.stdout
    assert "nothing that the test asks for fits this fault" in done.stdout
    by_hand = run("test_it.py::TestUnittest", "--fault", "cut_clean(at=4, times=1)")
    assert outcome(by_hand) == "1 passed", by_hand.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("'cut_cleam()'", "fault 'cut_cleam' does not exist; did you mean cut_clean?"),
        ("'cut_clean(at=', seed=7", "faults does not take seed; it takes allow, max_attempts"),
    ],
)
def test_a_fault_that_does_not_exist_is_refused_before_any_test_runs(
    tmp_path: Path, run: Run, arguments: str, said: str
) -> None:
    write(tmp_path, f"\n@pytest.mark.faults({arguments})\ndef test_it(): ...\n")

    done = run()

    assert outcome(done) == "1 error"
    assert f"test_it.py::test_it: {said}" in done.stdout


def test_a_fault_of_the_command_line_is_refused_before_anything_runs(tmp_path: Path, run: Run) -> None:
    wrong = run("--fault", "stal()")
    recording = run("--fault", "stall(at=3, seconds=1)", "--record-mode=once")

    assert "ERROR: --fault: fault 'stal' does not exist; did you mean stall?" in wrong.stderr
    assert "ERROR: --fault replays what is recorded: leave out --record-mode=once" in recording.stderr
