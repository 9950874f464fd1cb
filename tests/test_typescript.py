"""The TypeScript SDKs, live, recorded and replayed: the same text, the same events, the same errors.

`tests/typescript/install` gets them; .ci/run does so.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import recorder
from recorder.testing import Received, Reply, Upstream, message_events, reply_of

ROOT = Path(__file__).parents[1]
INSTALLED = ROOT / ".cache" / "typescript"
RECORDER = Path(sys.executable).with_name("recorder")
HELLO = message_events("Hello", " there", "!", model="claude-haiku-4-5")
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("node") is None, reason="needs node"),
    pytest.mark.skipif(
        not (INSTALLED / "node_modules").is_dir(), reason="needs what tests/typescript/install installs"
    ),
]


def _fixture(name: str) -> Reply:
    [stream] = recorder.open(ROOT / "fixtures" / f"{name}.jsonl").streams()
    return reply_of(stream)


CASES = {
    "text": _fixture("text"),
    "thinking": _fixture("thinking"),
    "tool_use": _fixture("tool_use"),
    "truncated": Reply.sse(HELLO[:4]),
    "error_event": Reply.sse([*HELLO[:4], OVERLOADED]),
    "cut": Reply.sse(HELLO[:4], end="cut"),
    "overloaded": Reply.error(529, "overloaded_error", "Overloaded"),
}


def answer(received: Received) -> Reply:
    [message] = received.json()["messages"]
    content = message["content"]
    return CASES[content if isinstance(content, str) else content[0]["text"]]


@pytest.mark.parametrize("program", ["anthropic.mjs", "ai.mjs"])
def test_it_sees_the_same_live_recorded_and_replayed(tmp_path: Path, program: str) -> None:
    for name in ("package.json", "node_modules"):
        (tmp_path / name).symlink_to(INSTALLED / name)
    shutil.copy(ROOT / "tests" / "typescript" / program, tmp_path)
    command = ["node", program, *CASES]

    def ran(*before: str, env: dict[str, str]) -> list[str]:
        done = subprocess.run(
            [*before, *command], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return re.sub(r'"id":"(aitxt|call|msg)-\w+",?', "", done.stdout).splitlines()

    offline = {**os.environ, "CI": ""}
    for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        offline.pop(name, None)
    with Upstream(answer, speed=20) as upstream:
        online = {**offline, "ANTHROPIC_BASE_URL": upstream.url, "ANTHROPIC_API_KEY": "sk-ant-none-at-all"}
        live = ran(env=online)
        recorded = ran(str(RECORDER), "record", "-o", "out", "--", env=online)
    replayed = ran(str(RECORDER), "replay", "out", "--", env=offline)

    seen = [json.loads(line) for line in live]
    assert [one["case"] for one in seen if "case" in one] == list(CASES)
    assert sum("error" in one for one in seen) >= 3
    assert len(seen) > 30
    assert recorded == live
    assert replayed == live
