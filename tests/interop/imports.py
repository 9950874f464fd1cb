"""What the tests of `recorder import` import, and what they ask of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import recorder
from recorder.log.verify import verify
from recorder.testing import encode_event, message_events
from tests.cli.command import recorder as command
from tests.tap.calls import ASK

BODY = b"".join(map(encode_event, message_events("Hel", "lo — ", "there"))).replace(b"}\n\n", b"}   \n\n")
"""With spaces that nobody would write again."""
TIMES = ("headers_s", "ttft_s", "duration_s", "gap_p50_s", "stalls", "stalled_s", "chunks", "coalesced", "wait_s")
KEY = "sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789"


def imported(directory: Path, *arguments: str | Path) -> list[recorder.Stream]:
    done = command("import", *arguments, "-o", directory / "out")
    assert (done.exit_code, done.stdout) == (0, ""), done.stderr
    assert [check.problems for check in verify(sorted((directory / "out").iterdir()))] == [[]] * len(
        list((directory / "out").iterdir())
    )
    return list(recorder.open(directory / "out").streams())


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def cassette(body: str = BODY.decode(), **of_response: Any) -> dict[str, Any]:
    """As vcrpy has it in memory."""
    request = {
        "method": "POST",
        "uri": "https://api.anthropic.com/v1/messages",
        "body": json.dumps({**ASK, "stream": True}),
        "headers": {"x-api-key": [KEY], "anthropic-version": ["2023-06-01"], "content-type": ["application/json"]},
    }
    response = {
        "status": {"code": 200, "message": "OK"},
        "headers": {"content-type": ["text/event-stream; charset=utf-8"], "request-id": ["req_1"]},
        "body": {"string": body},
        **of_response,
    }
    return {"version": 1, "interactions": [{"request": request, "response": response}]}


def has_no_times(stream: recorder.Stream) -> None:
    timing = stream.timing()
    assert {name: getattr(timing, name) for name in TIMES} == dict.fromkeys(TIMES)
    (row,) = recorder.open(stream.path).sql(f"SELECT wall, {', '.join(TIMES)} FROM streams").fetchall()
    assert set(row) == {None}
    rows = recorder.open(stream.path).sql("SELECT at_s, gap_s FROM events").fetchall()
    assert rows == [(None, None)] * len(rows) != []


def replayed(directory: Path, **options: Any) -> str:
    """What the real SDK makes of it."""
    with (
        recorder.replay(directory / "out", **options).client() as client,
        client.messages.stream(**ASK) as stream,
    ):
        return stream.get_final_text()
