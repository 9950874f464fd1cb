"""`recorder scan` and `recorder redact`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import recorder as library
from recorder.core.attempt import Attempt
from recorder.core.lines import encode_line
from recorder.core.records import Header
from recorder.core.redact import Secrets
from recorder.log.reader import RecordingError
from recorder.log.scan import scan
from tests.cli.command import recorder
from tests.corpus import marker

FIXTURES = Path(__file__).parents[2] / "fixtures"
GITHUB = "ghp_" + "a1B2" * 9
HEADER = Header(format="sse-recording", v=1, segment="s", wall=1, mono=1, recorder="0")


def write(path: Path, *texts: str, prompt: str = "hello") -> Path:
    """A recording of one stream with a delta for each of `texts`."""
    attempt = Attempt(stream="s1", call="c", attempt=0, secrets=Secrets())
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": prompt}]}).encode()
    lines: list[Any] = [HEADER]
    lines.append(attempt.request(wall=1, mono=1, method="POST", url="/v1/messages", headers=[], body=body))
    lines.append(attempt.response(at=1, status=200, headers=[("content-type", "text/event-stream")]))
    for text in texts:
        value = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
        lines += attempt.chunk(2, 1, f"event: content_block_delta\ndata: {json.dumps(value)}\n\n".encode())
    lines += attempt.end(3, 1, "read")
    path.write_bytes(b"".join(map(encode_line, lines)))
    return path


def test_a_secret_in_a_line_is_named_and_not_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", "hello", prompt=f"use {GITHUB}")
    result = recorder("scan", path)

    assert (result.exit_code, result.stdout) == (1, f"{path}:2: github-token: ghp_… (40 characters)\n")
    clean = recorder("scan", write(tmp_path / "b.jsonl", "hello"))
    assert (clean.exit_code, clean.stdout, clean.stderr) == (0, "", "No secrets found.\n")


def test_a_secret_over_several_events_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", "x ", GITHUB[:5], GITHUB[5:20], GITHUB[20:] + ".", "y")

    assert recorder("scan", path).stdout == f"{path}:7: github-token: ghp_… (40 characters), over 3 events\n"


def test_keys_of_the_environment_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wonderful-secret")
    path = write(tmp_path / "a.jsonl", "my wonderful-secret")

    assert recorder("scan", path).stdout == f"{path}:4: environment: … (16 characters)\n"


def test_a_torn_line_is_looked_at_too(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", "hello")
    path.write_bytes(path.read_bytes() + b'{"kind":"event","text":"' + GITHUB.encode())

    assert [finding.rule for finding in scan(path)] == ["github-token"]


@marker
def test_real_streams_and_fixtures_have_none() -> None:
    corpus = Path(os.environ["RECORDER_CORPUS"])
    files = [*(corpus / "streams").glob("*.sse"), *(corpus / "errors").glob("*.json"), *FIXTURES.rglob("*.jsonl")]
    assert len(files) > 500
    assert [str(finding) for file in files for finding in scan(file)] == []


def test_a_copy_without_text_has_the_same_timings(tmp_path: Path) -> None:
    target = tmp_path / "shared"
    result = recorder("redact", FIXTURES, target, "--capture", "timing")

    assert result.exit_code == 0, result.stderr
    before = {stream.id: stream.timing() for stream in library.open(FIXTURES).streams()}
    assert {stream.id: stream.timing() for stream in library.open(target).streams()} == before
    assert recorder("verify", target).exit_code == 0
    files = [file for file in target.rglob("*") if file.is_file()]
    assert files
    with pytest.raises(RecordingError, match="nothing to replay"):
        library.replay(target)
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}


def test_rules_and_keys_are_removed_from_a_copy_also_over_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "TOKEN-0123456789")
    path = write(tmp_path / "a.jsonl", "it is TOKEN-012", "3456789.", "call 555-1234", prompt="I am Bob")
    target = tmp_path / "b.jsonl"
    result = recorder("redact", path, target, "--rule", "$.messages[*].content", "--rule", r"\d{3}-\d{4}")

    written = target.read_text()
    assert result.exit_code == 0, result.stderr
    for secret in ("TOKEN-0", "3456789", "555-1234", "Bob"):
        assert secret not in written
    assert written.count('"redacted":["api_key"]') == 2
    assert '"redacted":["$.messages[*].content"]' in written
    assert recorder("verify", target).exit_code == 0


def test_a_copy_is_never_written_over_anything_nor_left_half_done(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", "hello")
    before = path.read_bytes()
    result = recorder("redact", path, path)

    assert (result.exit_code, path.read_bytes()) == (3, before)
    assert "is there already" in result.stderr
    path.write_bytes(before.replace(b"\n", b"\nno record\n", 1))
    assert recorder("redact", path, tmp_path / "b.jsonl").exit_code == 4
    assert list(tmp_path.iterdir()) == [path]
    assert recorder("redact", path, tmp_path / "b.jsonl", "--salvage").exit_code == 0


@pytest.mark.parametrize("rule", ["$", "$.a[", "("])
def test_a_rule_that_is_none_is_wrong_usage(tmp_path: Path, rule: str) -> None:
    path = write(tmp_path / "a.jsonl", "hello")
    result = recorder("redact", path, tmp_path / "b.jsonl", "--rule", rule)

    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)


def test_records_of_an_unknown_kind_are_left_out_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", "hello")
    path.write_bytes(path.read_bytes() + b'{"kind":"mood","stream":"s1","says":"secret"}\n')
    result = recorder("redact", path, tmp_path / "b.jsonl")

    assert "secret" not in (tmp_path / "b.jsonl").read_text()
    assert "1 record(s) of an unknown kind left out" in result.stderr
