"""Recordings written by hand, to the nanosecond: what a test says was recorded, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from recorder.core.attempt import Attempt
from recorder.core.lines import encode_line
from recorder.core.records import FORMAT, ErrorInfo, Header
from recorder.core.redact import Secrets
from recorder.testing import encode_event, message_events

MS = 1_000_000
SSE = (("content-type", "text/event-stream"),)


def ask(prompt: str) -> dict[str, Any]:
    return {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": prompt}]}


class Call(Struct, kw_only=True, frozen=True):
    """One attempt. `at`: ns of each chunk since the send, an event each; five of them are no text."""

    prompt: str
    sent: int = 0
    attempt: int = 0
    headers_at: int | None = 0
    at: Sequence[int] = ()
    status: int = 200
    headers: tuple[tuple[str, str], ...] = SSE
    says: str = ""
    """What its texts begin with, instead of the prompt."""
    error: str | None = None
    """Of httpx2, instead of an end."""

    @property
    def texts(self) -> list[str]:
        return [f"{self.says or self.prompt}:{k}" for k in range(len(self.at) - 5)]

    @property
    def body(self) -> list[bytes]:
        if self.status >= 400:
            return [b'{"type":"error","error":{"type":"overloaded_error","message":"no"}}']
        return list(map(encode_event, message_events(*self.texts)))


def write(path: Path, calls: Iterable[Call]) -> Path:
    """One segment with these calls; calls with the same prompt are attempts of one."""
    lines = [
        encode_line(Header(format=FORMAT, v=1, segment="x", wall=1_700_000_000 * 10**9, mono=0, recorder="0"))
    ]
    for number, call in enumerate(calls):
        one = Attempt(stream=f"s{number}", call=call.prompt, attempt=call.attempt, secrets=Secrets())
        body = json.dumps({**ask(call.prompt), "stream": True}).encode()
        url = "https://api.anthropic.com/v1/messages"
        wall = 1_700_000_000 * 10**9 + call.sent
        records: list[Any] = [
            one.request(wall=wall, mono=call.sent, method="POST", url=url, headers=[], body=body)
        ]
        last = call.headers_at or 0
        if call.headers_at is not None:
            records.append(one.response(at=call.headers_at, status=call.status, headers=call.headers))
            for at, data in zip(call.at, call.body, strict=True):
                records += one.chunk(at, 0, data)
                last = at
        if call.error is not None:
            records += one.end(last, 0, "failed", ErrorInfo(type=f"httpx2.{call.error}", message="as recorded"))
        else:
            records += one.end(last, 0, "read")
        lines += map(encode_line, records)
    path.write_bytes(b"".join(lines))
    return path
