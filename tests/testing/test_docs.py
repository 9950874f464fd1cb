"""recorder.testing is documented: its README is run, and names everything that is public."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import recorder
from recorder import testing
from recorder.testing import contract

README = (Path(testing.__file__).parent / "README.md").read_text("utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
PUBLIC = [(home, name) for home in (testing, contract) for name in home.__all__]
FOR_ANNOTATIONS = {"Call", "Dispatched", "Saw", "Way", "Wrap"}
SAID_ELSEWHERE = {"bedrock_event", "bedrock_exception", "bedrock_frame", "check_scenario"}


@pytest.mark.slow
def test_the_readme_runs(tmp_path: Path) -> None:
    assert len(SNIPPETS) >= 9
    program = [sys.executable, "-W", "error", "-c", "\n".join(SNIPPETS)]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted({name for _, name in PUBLIC} - FOR_ANNOTATIONS - SAID_ELSEWHERE))
def test_the_readme_names_it(name: str) -> None:
    assert re.search(rf"\b{name}\b", README)


@pytest.mark.parametrize(("home", "name"), PUBLIC, ids=[name for _, name in PUBLIC])
def test_it_is_described_and_typed(home: Any, name: str) -> None:
    thing = getattr(home, name)
    if not callable(thing) or name in FOR_ANNOTATIONS:
        return
    assert inspect.getdoc(thing)
    if inspect.isfunction(thing):
        hints = inspect.signature(thing)
        assert hints.return_annotation is not inspect.Signature.empty
        assert all(one.annotation is not one.empty for one in hints.parameters.values())


def test_what_is_public_stays_so() -> None:
    """A name that goes, or a parameter, breaks other people's tests: say so in the changelog."""
    signatures = {
        f"{name}({', '.join(inspect.signature(getattr(home, name)).parameters)})"
        for home, name in PUBLIC
        if inspect.isfunction(getattr(home, name))
    }
    assert signatures >= {
        "answer_from(path, repeat)",
        "bedrock_event(payload, padding)",
        "bedrock_exception(kind, message)",
        "bedrock_frame(headers, body)",
        "bedrock_reply(events, first, gap, headers, end)",
        "check_calls(wrap, colour, calls, options)",
        "check_framing(parse, cases)",
        "check_lossless(record, bodies)",
        "check_record_of_replay(path)",
        "check_scenario(wrap, name, colour)",
        "check_transparent(wrap, scenarios, colours)",
        "chunkings(body, seed, random)",
        "encode_event(payload)",
        "gzip_steps(steps)",
        "message_events(texts, model, stop_reason)",
        "reply_of(stream, unknown_end)",
        "trace(wrap, colour, calls, options)",
    }
    assert {"ManualClock", "Received", "Reply", "Step", "Upstream"} <= set(testing.__all__)
    assert (Path(recorder.__file__).parent / "testing" / "README.md").is_file()
