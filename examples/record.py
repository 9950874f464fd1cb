"""Makes the recordings of the examples again: `python examples/record.py [DIRECTORY]`. No key, no network.

What Claude says here is **synthetic**: a scripted upstream on the loopback says it. The examples' own code asks,
the real SDK reads, a tap records. With a key, `pytest --record-mode=rewrite` records what Claude really says.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
from fastapi.testclient import TestClient

import recorder
from recorder.testing import Reply, Upstream, message_events

HERE = Path(__file__).parent
for example in ("in_pytest", "in_unittest", "in_fastapi", "agent_loop"):
    sys.path.insert(0, str(HERE / example))

import agent  # noqa: E402
import chat  # noqa: E402
import server  # noqa: E402
import summary  # noqa: E402
import test_agent  # noqa: E402
import test_server  # noqa: E402
import test_summary  # noqa: E402

MS = 1_000_000


def says(*texts: str) -> Reply:
    return Reply.sse(message_events(*texts), first=20 * MS, gap=4 * MS)


def calls(id: str, *pieces: str) -> Reply:  # noqa: A002 - the API's own word
    """A turn that calls the tool, its arguments in these pieces."""
    start, _, *_, end, stop = message_events(stop_reason="tool_use")
    block = {"type": "tool_use", "id": id, "name": "weather", "input": {}}
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": piece}}
        for piece in pieces
    ]
    content = [{"type": "content_block_start", "index": 0, "content_block": block}, *deltas]
    events = [start, *content, {"type": "content_block_stop", "index": 0}, end, stop]
    return Reply.sse(events, first=20 * MS, gap=4 * MS)


def record(
    path: Path, replies: list[Reply], ask: Callable[[Any], object], kind: Any = anthropic.Anthropic
) -> None:
    """`ask` with a client that these replies answer, and that is recorded."""
    path.unlink(missing_ok=True)
    with Upstream(replies) as upstream, recorder.Tap(path, source="synthetic") as tap:
        ask(tap.wrap(kind(base_url=upstream.url, api_key="none", max_retries=0)))
    path.chmod(0o644)  # a tap's files are its owner's alone
    print(f"{path.parent.parent.name}/{path.name}: {path.stat().st_size:,} bytes")


def converse(claude: anthropic.Anthropic) -> None:
    conversation = chat.Chat(claude)
    for text in ("I am Ada.", "Who am I?"):
        conversation.say(text)


def browse(claude: anthropic.AsyncAnthropic) -> None:
    server.app.dependency_overrides[server.claude] = lambda: claude
    with TestClient(server.app) as browser:
        test_server.events(browser)


def main() -> None:
    into = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    record(
        into / "in_pytest/recordings/summary.jsonl",
        [says("Recorded ", "streams, with ", "their times, ", "answer tests ", "offline.")],
        lambda claude: summary.summarise(claude, test_summary.TEXT, show=len),
    )
    record(
        into / "in_unittest/recordings/chat.jsonl",
        [says("Nice to ", "meet you", ", Ada."), says("You are ", "Ada.")],
        converse,
    )
    record(
        into / "in_fastapi/recordings/chat.jsonl",
        [says("Air scatters", " blue light", " more than", " red.")],
        browse,
        anthropic.AsyncAnthropic,
    )
    record(
        into / "agent_loop/recordings/umbrella.jsonl",
        [
            calls("toolu_1", '{"city": ', '"Ber', 'gen"}'),
            calls("toolu_2", '{"city"', ': "Lisbon"}'),
            says("In Bergen: ", "it rains ", "there."),
        ],
        lambda claude: agent.run(claude, test_agent.TASK, {"weather": test_agent.Weather()}),
    )


if __name__ == "__main__":
    main()
