"""`recorder diff`: what differs between recordings, and what does not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from recorder.hygiene.diff import PARTS
from recorder.testing import make_recording
from tests.cli import recordings
from tests.cli.command import contents, recorder

FIXTURES = Path(__file__).parents[2] / "fixtures"
WORDS = ["A", " stream", " is", " a", " sequence", " of", " events", "."]


def diff(before: Path, after: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    result = recorder("diff", before, after, "--json", *arguments)
    return result.exit_code, json.loads(result.stdout)


def differences(before: Path, after: Path, *arguments: str) -> dict[str, Any]:
    """By name, of the only pair of streams."""
    code, found = diff(before, after, *arguments)
    assert code == 1
    [pair] = found["changed"]
    return {
        one["name"]: {k: v for k, v in one.items() if k not in ("name", "part")} for one in pair["differences"]
    }


def one(path: Path, words: list[str] = WORDS, *, start: int = 400, step: int = 50, **options: Any) -> Path:
    return recordings.write(
        path, recordings.stream("5a5a", recordings.text_chunks(words, start=start, step=step), **options)
    )


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.jsonl")), ids=lambda path: path.stem)
def test_a_recording_is_the_same_as_itself_and_as_its_copy(tmp_path: Path, path: Path) -> None:
    recorder("redact", path, tmp_path / "copy.jsonl")
    recorder("edit", path, tmp_path / "renamed.jsonl", "--tag", "a=b")

    for other in (path, tmp_path / "copy.jsonl", tmp_path / "renamed.jsonl"):
        result = recorder("diff", path, other)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr.endswith("the same.\n")


def test_every_kind_of_stream_is_the_same_as_itself(tmp_path: Path) -> None:
    path = recordings.write(tmp_path / "a.jsonl", *recordings.every_kind())
    before = contents(tmp_path)

    assert diff(path, path) == (0, {"same": len(recordings.KINDS), "changed": [], "removed": [], "added": []})
    assert contents(tmp_path) == before


def test_words_are_compared_and_not_bytes(tmp_path: Path) -> None:
    before = one(tmp_path / "a.jsonl")
    after = one(tmp_path / "b.jsonl", ["A", " river", " is", " a", " sequence", " of", " events", "."])

    result = recorder("diff", before, after)

    assert (result.exit_code, result.stderr) == (1, "0 streams the same, 1 differs.\n")
    assert result.stdout == (
        'POST /v1/messages "What is a stream?"  5a5a\n'
        "  text       block 0, text: 1 of 7 words changed\n"
        "               A [-stream-] {+river+} is a sequence …\n"
    )


def test_the_same_words_in_other_deltas_are_the_same_words(tmp_path: Path) -> None:
    before = one(tmp_path / "a.jsonl")
    after = one(tmp_path / "b.jsonl", ["A str", "eam is a", " sequence of ev", "ents."])

    found = differences(before, after, "--only", "structure,text")

    assert found == {
        "text_delta events": {"before": 8, "after": 4},
        "output_tokens": {"before": 8, "after": 4},
    }


def test_the_structure(tmp_path: Path) -> None:
    whole = recordings.write(tmp_path / "a.jsonl", recordings.text())
    cut = recordings.write(tmp_path / "b.jsonl", recordings.failed())
    headers = [*recordings.SSE, ("retry-after", "3")]
    other = recordings.write(tmp_path / "c.jsonl", recordings.text(headers=headers))
    request = json.loads(bytes(recordings.text()[0].data))  # type: ignore[union-attr]
    block = recordings.block_start(0, type="tool_use", id="toolu_1", name="look", input={})
    tool = recordings.stream("7", [(400, 9, recordings.sse(recordings.message_start(), block, recordings.STOP))], request=request)  # fmt: skip
    used = recordings.write(tmp_path / "d.jsonl", tool)

    assert differences(whole, cut, "--only", "structure") == {
        "outcome": {"before": "complete", "after": "failed (connection_error)"},
        "stop_reason": {"before": "end_turn"},
        "usage": {"removed": ["output_tokens"]},
        "events": {"removed": ["content_block_stop", "message_delta", "message_stop"]},
    }
    assert differences(whole, other, "--only", "structure") == {"headers": {"added": ["retry-after"]}}
    found = differences(whole, used, "--only", "structure")
    assert found["blocks"] == {"before": "text", "after": "tool_use look"}
    assert "content_block_start(tool_use)" in found["events"]["added"]


def test_the_fields_of_payloads_are_compared_where_both_have_such_an_event(tmp_path: Path) -> None:
    start = recordings.message_start()
    start["message"] = {**start["message"], "container": {"id": "c"}}
    before, after = (
        recordings.write(tmp_path / f"{n}.jsonl", recordings.stream("7", [(400, 9, recordings.sse(first, recordings.STOP))]))
        for n, first in enumerate((recordings.message_start(), start))
    )  # fmt: skip

    assert differences(before, after) == {
        "fields": {"added": ["message_start $.message.container", "message_start $.message.container.id"]}
    }


def test_times_are_told_with_their_ratio_and_may_be_tolerated(tmp_path: Path) -> None:
    before = one(tmp_path / "a.jsonl")
    recorder("edit", before, tmp_path / "b.jsonl", "--scale", "1.1")

    result = recorder("diff", before, tmp_path / "b.jsonl")

    assert "  timing     headers_s: 0.300 → 0.330 (+0.030 s, ×1.1)\n" in result.stdout
    assert "ttft_s: 0.400 → 0.440 (+0.040 s, ×1.1)\n" in result.stdout
    assert diff(before, tmp_path / "b.jsonl", "--tolerance", "0.1")[0] == 0
    assert diff(before, tmp_path / "b.jsonl", "--tolerance", "0.09")[0] == 1
    assert diff(before, tmp_path / "b.jsonl", "--only", "structure,text")[0] == 0


def test_equal_requests_are_paired_in_the_order_sent_and_the_rest_is_told(tmp_path: Path) -> None:
    def stream(name: str, words: list[str], sent: int, prompt: str = "q") -> Any:
        request = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
        return recordings.stream(name, recordings.text_chunks(words), sent=sent, request=request)

    before = recordings.write(tmp_path / "a.jsonl", stream("a2", ["x", "2"], 20), stream("a1", ["x", "1"], 10))
    after = recordings.write(
        tmp_path / "b.jsonl", stream("b1", ["x", "1"], 5), stream("b3", ["x", "3"], 50), stream("b2", ["x", "2"], 30),
        stream("b4", ["y", "z"], 60, "another"),
    )  # fmt: skip

    code, found = diff(before, after)
    result = recorder("diff", after, before)

    assert (code, found["same"], found["changed"], found["removed"]) == (1, 2, [], [])
    assert [one["stream"] for one in found["added"]] == ["b3", "b4"]
    assert result.stdout == (
        '- POST /v1/messages "q"  b3, complete\n- POST /v1/messages "another"  b4, complete\n'
    )
    assert result.stderr == "2 streams the same, 2 only in A.\n"


def test_a_retry_is_paired_with_the_same_attempt(tmp_path: Path) -> None:
    refused, answered = recordings.overloaded("01"), recordings.text("02", sent=900, attempt=1)
    before = recordings.write(tmp_path / "a.jsonl", refused, answered)
    after = recordings.write(tmp_path / "b.jsonl", recordings.text("03", attempt=1))
    alone = recordings.write(tmp_path / "c.jsonl", recordings.text("04"))

    code, found = diff(before, after)
    assert (code, found["same"], [one["stream"] for one in found["removed"]]) == (1, 1, ["01"])
    assert diff(after, alone)[0] == 0, "an equal request, though of another attempt"


def test_fields_of_the_request_can_be_ignored(tmp_path: Path) -> None:
    before, after = (
        one(tmp_path / f"{n}.jsonl", request={"model": "m", "messages": [], "metadata": {"run": n}})
        for n in (1, 2)
    )

    assert diff(before, after)[1]["same"] == 0
    assert diff(before, after, "--ignore", "metadata.run") == (0, {"same": 1, "changed": [], "removed": [], "added": []})  # fmt: skip


def test_a_copy_without_text_differs_in_nothing_but_what_it_has(tmp_path: Path) -> None:
    recorder("redact", FIXTURES, tmp_path / "timing", "--capture", "timing")
    ignore = [word for name in ("messages", "system", "tools") for word in ("--ignore", name)]

    code, found = diff(FIXTURES, tmp_path / "timing", *ignore)

    assert (code, found) == (0, {"same": 10, "changed": [], "removed": [], "added": []})


def test_plain_answers_are_compared_too() -> None:
    path = FIXTURES / "json.jsonl"

    assert diff(path, path)[1]["same"] == 1


def test_the_parts_are_named_in_the_help() -> None:
    help_text = recorder("diff", "-h").stdout

    assert all(part in help_text for part in PARTS)


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    good = one(tmp_path / "a.jsonl")
    bad, empty = tmp_path / "bad.jsonl", tmp_path / "empty.jsonl"
    bad.write_bytes(good.read_bytes().replace(b"\n", b"\nno record\n", 1))
    empty.touch()
    for code, arguments in (
        (2, [good]),
        (2, [good, good, "--only", "words"]),
        (2, [good, good, "--tolerance", "-1"]),
        (3, [good, tmp_path / "none"]),
        (3, [tmp_path / "none", good]),
        (3, [good, empty]),
        (4, [bad, good]),
    ):
        result = recorder("diff", *arguments)
        assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (code, "", 1), result.stderr
    assert recorder("diff", bad, good, "--salvage").exit_code == 0
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(good.read_bytes()[:-3])
    result = recorder("diff", good, torn)
    assert result.exit_code == 1
    assert "torn last line" in result.stderr
    assert "outcome: complete → lost" in result.stdout


def test_long_answers_are_abbreviated_unless_one_wants_all(tmp_path: Path) -> None:
    words = [f"word{n}" for n in range(300)]
    others = [word if n % 9 else "other" for n, word in enumerate(words)]
    before = make_recording(tmp_path / "a.jsonl", " ".join(words), seed=1).path
    after = make_recording(tmp_path / "b.jsonl", " ".join(others), seed=1).path

    short, full = (recorder("diff", before, after, "--only", "text", *more).stdout for more in ([], ["--full"]))

    assert "block 0, text: 34 of 300 words changed\n" in short
    assert "… and 29 more places; --full shows all" in short
    assert full.count("[-") == 34
    assert all(len(line) <= 120 for line in short.splitlines())


def test_two_long_recordings_are_compared_in_a_moment(tmp_path: Path) -> None:
    for name, last in (("a", "x"), ("b", "y")):
        script: list[Any] = []
        for n in range(10):
            script += [{"prompt": f"q{n}"}, {"text": "some words and others " * 800 + last}]
        make_recording(tmp_path / f"{name}.jsonl", script=script, seed=1)
    start = time.process_time()

    code, found = diff(tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--only", "text")

    assert (code, len(found["changed"])) == (1, 10)
    assert time.process_time() - start < 5


@pytest.mark.parametrize("full", [[], ["--full"]])
def test_no_control_character_of_a_recording_reaches_a_terminal(tmp_path: Path, full: list[str]) -> None:
    evil = f"\x1b[31mred\x1b]0;title\x07\x9b31m\u202eabc\x85\x00\r{'x' * 300}"
    request = {"model": "m", "messages": [{"role": "user", "content": evil}]}
    before, after = (
        one(tmp_path / f"{name}.jsonl", ["a", f" {evil} {name}", " b"], request=request) for name in ("1", "2")
    )
    program = [sys.executable, "-c", "from recorder_cli.main import run; run()", "diff", before, after, *full]
    done = subprocess.run(program, env={**os.environ, "FORCE_COLOR": "1"}, capture_output=True, text=True)

    output = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    assert done.returncode == 1
    assert "\\x1b[31mred" in output
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028]", output) == []
