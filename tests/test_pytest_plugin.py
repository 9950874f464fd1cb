"""The plugin, in real runs of pytest: what a marked test gets, and what the run says."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anthropic
import pytest

import recorder
from recorder.modes import Use
from tests.plugins.runs import HEAD, Done, hello, outcome, run_pytest

pytestmark = pytest.mark.slow
Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return partial(run_pytest, tmp_path)


def test_every_kind_of_test_is_recorded_once_and_answered_ever_after(tmp_path: Path, run: Run) -> None:
    (tmp_path / "test_kinds.py").write_text(
        HEAD
        + """
@pytest.mark.recording
def test_plain():
    assert ask("plain") == "Hello"

@pytest.mark.recording
@pytest.mark.parametrize("word", ["one", "two/../three"])
def test_each(word):
    assert ask(word) == "Hello"

@pytest.mark.recording("shared.jsonl")
class TestClass:
    def test_method(self):
        assert ask("in a class") == "Hello"

@pytest.mark.recording
class TestOfItsOwn:
    @pytest.mark.parametrize("word", ["one"])
    def test_method(self, word):
        assert ask("in a class, " + word) == "Hello"

    @pytest.mark.asyncio
    async def test_async(self):
        assert await ask_async("in a class") == "Hello"

@pytest.mark.recording(mode="once", ignore=["messages.content"])
def test_fixture(recording):
    assert recording.mode in ("rewrite", "replay")
    assert ask(f"pid {os.getpid()}") == "Hello"

@pytest.mark.recording
class TestUnittest(unittest.TestCase):
    def test_case(self):
        assert ask("unittest") == "Hello"

@pytest.mark.recording
class TestAsyncUnittest(unittest.IsolatedAsyncioTestCase):
    async def test_case(self):
        assert await ask_async("unittest") == "Hello"

@pytest.mark.recording
@pytest.mark.asyncio
async def test_async():
    assert await ask_async("async") == "Hello"

@pytest.mark.recording
@pytest.mark.anyio
async def test_anyio(anyio_backend):
    assert await ask_async("anyio") == "Hello"

def test_of_something_else(request):
    assert "recording" not in request.fixturenames
"""
    )
    with hello(12) as upstream:
        first = run("--record-mode=once", "-n", "2", "-p", "xdist", upstream=upstream)
        assert outcome(first) == "13 passed", first.stdout
        assert len(upstream.received) == 12

    second = run("-n", "2", "-p", "xdist")
    assert outcome(second) == "13 passed", second.stdout
    assert "unused" not in second.stdout
    recorded = sorted(os.fspath(one.relative_to(tmp_path)) for one in tmp_path.rglob("*.jsonl"))
    assert recorded == [
        "recordings/test_kinds/TestAsyncUnittest.test_case.jsonl",
        "recordings/test_kinds/TestOfItsOwn.test_async.jsonl",
        "recordings/test_kinds/TestOfItsOwn.test_method[one].jsonl",
        "recordings/test_kinds/TestUnittest.test_case.jsonl",
        "recordings/test_kinds/test_anyio[asyncio].jsonl",
        "recordings/test_kinds/test_anyio[trio].jsonl",
        "recordings/test_kinds/test_async.jsonl",
        "recordings/test_kinds/test_each[one].jsonl",
        "recordings/test_kinds/test_each[two_.._three].jsonl",
        "recordings/test_kinds/test_fixture.jsonl",
        "recordings/test_kinds/test_plain.jsonl",
        "shared.jsonl",
    ]


def test_a_miss_fails_at_once_and_names_the_command_that_fixes_it(tmp_path: Path, run: Run) -> None:
    code = HEAD + "\n@pytest.mark.recording\ndef test_it():\n    ask('OLD')\n"
    (tmp_path / "test_it.py").write_text(code)
    with hello(1) as upstream:
        run("--record-mode=once", upstream=upstream)
    (tmp_path / "test_it.py").write_text(code.replace("OLD", "new"))

    missed = run()

    assert outcome(missed) == "1 failed"
    assert '$.messages[0].content: "OLD" recorded, "new" asked' in missed.stdout
    assert "To record it: pytest 'test_it.py::test_it' --record-mode=append" in missed.stdout
    with hello(1) as upstream:
        assert outcome(run("test_it.py::test_it", "--record-mode=append", upstream=upstream)) == "1 passed"
    assert outcome(run("test_it.py::test_it")) == "1 passed"


def test_the_first_run_without_a_recording_says_how_to_make_it(tmp_path: Path, run: Run) -> None:
    (tmp_path / "test_it.py").write_text(HEAD + "\ndef test_it(recording):\n    ask('hi')\n")
    done = run()
    assert outcome(done) == "1 error"
    assert "no such recording; to record it: pytest 'test_it.py::test_it' --record-mode=append" in done.stdout


def test_a_rewrite_of_a_failing_test_is_kept_aside(tmp_path: Path, run: Run) -> None:
    (tmp_path / "test_it.py").write_text(
        HEAD
        + "\n@pytest.mark.recording('it.jsonl')\ndef test_it():\n    assert ask('hi') == os.environ['EXPECTED']\n"
    )
    with hello(3) as upstream:
        run("--record-mode=once", upstream=upstream, EXPECTED="Hello")
        before = (tmp_path / "it.jsonl").read_bytes()
        failed = run("--record-mode=rewrite", upstream=upstream, EXPECTED="something else")
        assert outcome(failed) == "1 failed"
        assert (tmp_path / "it.jsonl").read_bytes() == before
        assert len(list(recorder.open(tmp_path / "it.jsonl.failed").streams())) == 1
        run("--record-mode=rewrite", upstream=upstream, EXPECTED="Hello")
    assert (tmp_path / "it.jsonl").read_bytes() != before


@pytest.mark.parametrize("workers", ["0", "2"])
def test_streams_that_nothing_asks_for_are_told(tmp_path: Path, run: Run, workers: str) -> None:
    (tmp_path / "test_it.py").write_text(
        HEAD
        + """
two = pytest.mark.recording("two.jsonl")
@two
def test_first():
    ask("first")
@two
def test_second():
    ask(os.environ.get("SECOND", "first"))
"""
    )
    with hello(3) as upstream, Use(tmp_path / "two.jsonl", "record"):
        client = anthropic.Anthropic(api_key="live", base_url=upstream.url)
        for text in ("first", "second", "third"):
            messages: list[anthropic.types.MessageParam] = [{"role": "user", "content": text}]
            with client.messages.stream(model="claude-test", max_tokens=9, messages=messages) as stream:
                stream.until_done()
    args = ("-n", workers, "-p", "xdist")

    lax = run(*args, SECOND="second")
    strict = run(*args, "--record-strict", SECOND="second")
    some = run(*args, "--record-strict", "-k", "second", SECOND="second")

    assert (lax.returncode, strict.returncode, some.returncode) == (0, 1, 0), strict.stdout
    assert "unused recordings" in lax.stdout
    [line] = [line for line in strict.stdout.splitlines() if line.startswith("two.jsonl: ")]
    assert line.endswith("/v1/messages)")
    assert "unused recordings" not in some.stdout


def test_in_ci_nothing_is_sent_unless_the_command_line_says_so(tmp_path: Path, run: Run) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nrecord_mode = once\n")
    (tmp_path / "test_it.py").write_text(
        HEAD + "\ndef test_it(recording):\n    assert recording.mode\n    ask('hi')\n"
    )
    with hello(1) as upstream:
        refused = run(upstream=upstream, CI="true")
        assert outcome(refused) == "1 error"
        assert not upstream.received
        assert outcome(run("--record-mode=once", upstream=upstream, CI="true")) == "1 passed"
    assert outcome(run(CI="true")) == "1 passed"


def test_the_plugin_loads_nothing_for_tests_that_do_not_use_it(tmp_path: Path, run: Run) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\n\ndef test_it():\n    loaded = {'anthropic', 'httpx2', 'msgspec', 'duckdb', 'recorder.modes'}\n"
        "    assert 'recorder.pytest_plugin' in sys.modules\n    assert not loaded & set(sys.modules)\n"
    )
    done = run()
    assert outcome(done) == "1 passed", done.stdout


def test_a_marker_that_cannot_be_meant_is_refused(tmp_path: Path, run: Run) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n@pytest.mark.recording('a', 'b')\ndef test_it(): ...\n"
        "@pytest.mark.recording(mode='always')\ndef test_mode(): ...\n"
    )
    done = run()
    assert outcome(done) == "2 errors"
    assert "recording takes one path, or none" in done.stdout
    assert "mode is 'always'; it is one of replay" in done.stdout
