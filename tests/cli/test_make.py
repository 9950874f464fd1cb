"""`recorder make`: what was written comes back through the real SDK, in times that a real stream has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import recorder as library
from recorder.core.synthetic import MODELS
from recorder.hygiene.script import ScriptError
from recorder.log.verify import verify
from recorder.testing import make_recording
from tests.cli.command import recorder

PROGRAM = [sys.executable, "-c", "from recorder_cli.main import run; run()"]
TEXT = (
    'The quick brown fox jumps over the lazy dog.\nThen it sleeps – "well", it says: 眠い 😴\u2028and is gone. '
    * 7
)

pytestmark = pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")


def ask(path: Path, prompt: str = "Hi", **more: Any) -> anthropic.types.Message:
    options = {"model": "claude-haiku-4-5", "max_tokens": 1024, **more}
    with library.replay(path).client() as client:
        messages: list[anthropic.types.MessageParam] = [{"role": "user", "content": prompt}]
        with client.messages.stream(messages=messages, **options) as stream:
            return stream.get_final_message()


def only(path: Path) -> library.Stream:
    [stream] = library.open(path).streams()
    return stream


def checked(path: Path) -> None:
    [check] = verify([path])
    assert (check.problems, check.warnings, check.sealed) == ([], [], True)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_text_comes_back_through_the_sdk(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    result = recorder("make", path, "--prompt", "Hi", "--text", TEXT, "--seed", "7")

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith(f"{path}: synthetic, 1 stream, ")
    assert result.stderr.endswith("s, seed 7\n")
    checked(path)
    message = ask(path)
    assert [block.text for block in message.content if block.type == "text"] == [TEXT]
    assert (message.stop_reason, message.model) == ("end_turn", "claude-haiku-4-5")
    assert only(path).header.source == "synthetic"
    footer = json.loads(path.read_text().splitlines()[-1])
    assert (footer["kind"], footer["stats"]["seed"], footer["stats"]["streams"]) == ("footer", 7, 1)


def test_the_text_may_come_from_a_file_or_from_standard_input(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(TEXT.encode())
    piped = [*PROGRAM, "make", str(tmp_path / "b.jsonl"), "--text-file", "-", "--prompt", "Hi"]

    recorder("make", tmp_path / "a.jsonl", "--text-file", file, "--prompt", "Hi")
    done = subprocess.run(piped, input=TEXT.encode(), capture_output=True, check=True)

    assert b"seed" in done.stderr
    for name in ("a.jsonl", "b.jsonl"):
        assert ask(tmp_path / name).content[0].to_dict()["text"] == TEXT


def test_the_same_seed_makes_the_same_streams(tmp_path: Path) -> None:
    made = [make_recording(tmp_path / f"{n}.jsonl", TEXT, seed=seed, wall=5) for n, seed in enumerate((3, 3, 4))]

    first, again, other = (only(one.path).records for one in made)
    assert first == again
    assert first != other
    drawn = {make_recording(tmp_path / f"x{n}.jsonl", "a").seed for n in range(4)}
    assert len(drawn) > 1


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-opus-4-5"])
def test_the_times_are_those_of_the_model(tmp_path: Path, model: str) -> None:
    numbers = MODELS[model.removeprefix("claude-")]
    paths = [make_recording(tmp_path / f"{n}.jsonl", TEXT * 9, model=model, seed=n).path for n in range(30)]
    timings = [only(path).timing() for path in paths]

    ttft = sorted(one.ttft_s or 0 for one in timings)[15]
    rate = sorted(one.output_tps or 0 for one in timings)[15]
    assert ttft == pytest.approx(2.718**numbers.ttft_mu, rel=0.35)
    assert rate == pytest.approx(numbers.rate, rel=0.35)
    assert sum(one.coalesced for one in timings) / sum(one.events for one in timings) == pytest.approx(
        0.2, abs=0.05
    )
    assert {(one.pings, one.consumer_bound, one.censored) for one in timings} == {(1, False, 0)}
    assert all((one.gap_max_s or 9) < 2 for one in timings)
    assert all((one.headers_s or 9) < (one.first_event_s or 0) < (one.ttft_s or 0) for one in timings)


SCRIPT = """\
{"prompt": "Weather in Paris?", "model": "claude-opus-4-5", "system": "Be brief.", "tags": {"case": "tools"}}
{"refused": 529}

{"thinking": "I should look it up."}
{"text": "One moment"}
{"wait": 2.5}
{"text": ", please."}
{"event": {"type": "brand_new", "payload": [1, 2]}}
{"tool": "get_weather", "input": {"city": "Paris", "days": [1, 2]}}
{"tool": "get_time", "input": {}}
{"request": {"messages": [{"role": "user", "content": "again"}], "max_tokens": 9, "model": "claude-haiku-4-5"}}
{"text": "As I said."}
{"stop_reason": "max_tokens"}
"""


def test_a_script_has_thinking_and_tools_and_waits_and_refusals(tmp_path: Path) -> None:
    path, script = tmp_path / "a.jsonl", tmp_path / "script.jsonl"
    script.write_text(SCRIPT)
    assert recorder("make", path, "--script", script).exit_code == 0
    checked(path)
    message = ask(path, "Weather in Paris?", model="claude-opus-4-5", system="Be brief.")

    thinking, text, weather, time = message.content
    assert (thinking.to_dict()["thinking"], text.to_dict()["text"]) == (
        "I should look it up.",
        "One moment, please.",
    )
    assert (weather.to_dict()["name"], weather.to_dict()["input"]) == (
        "get_weather",
        {"city": "Paris", "days": [1, 2]},
    )
    assert (time.to_dict()["name"], time.to_dict()["input"], message.stop_reason) == ("get_time", {}, "tool_use")
    refused, answered, again = sorted(library.open(path).streams(), key=lambda one: one.request.mono)
    assert [one.timing().outcome for one in (refused, answered, again)] == ["http_error", "complete", "complete"]
    assert (refused.call, refused.request.tags) == (answered.call, {"case": "tools"})
    assert answered.timing().stalls == 1
    assert [event.event for event in answered.events].count("brand_new") == 1
    assert ask(path, "again", max_tokens=9).stop_reason == "max_tokens"


@pytest.mark.parametrize(
    ("line", "outcome", "raises"),
    [('{"end": "truncated"}', "truncated", None), ('{"end": "failed"}', "failed", httpx2.RemoteProtocolError),
     ('{"end": "timeout"}', "timeout", httpx2.ReadTimeout), ('{"end": "lost"}', "lost", library.EndOfRecording),
     ('{"end": "closed"}', "closed", library.EndOfRecording),
     ('{"error": "overloaded_error", "message": "No"}', "error_event", anthropic.APIStatusError)],
)  # fmt: skip
def test_a_stream_ends_as_the_script_says(
    tmp_path: Path, line: str, outcome: str, raises: type[Exception] | None
) -> None:
    path = make_recording(
        tmp_path / "a.jsonl", script=[{"prompt": "Hi"}, {"text": "half an ans"}, json.loads(line)]
    ).path
    checked(path)

    assert only(path).timing().outcome == outcome
    if raises is None:
        assert ask(path).content[0].to_dict()["text"] == "half an ans"
    else:
        with pytest.raises(raises):
            ask(path)


def test_pings_come_in_a_long_silence(tmp_path: Path) -> None:
    script = [{"prompt": "Hi"}, {"text": "a"}, {"wait": 70}, {"text": "b"}]
    one = only(make_recording(tmp_path / "a.jsonl", script=script).path).timing()

    assert (one.pings, one.stalls, one.stalls_30) == (3, 1, 1)
    assert 69 < one.gap_max_s < 75 if one.gap_max_s else False


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec="utf-8"), min_size=1, max_size=300), seed=st.integers(0, 999))
def test_any_text_comes_back(tmp_path: Path, text: str, seed: int) -> None:
    path = tmp_path / "a.jsonl"
    path.unlink(missing_ok=True)
    make_recording(path, text, seed=seed)

    checked(path)
    assert (only(path).message() or {})["content"][0]["text"] == text


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "an empty script"),
        (["nonsense"], "1: not JSON"),
        (["[]"], "1: not an object"),
        (['{"text": "a"}'], "1: text before the first prompt"),
        (['{"prompt": "a"}', '{"txt": "a"}'], "2: says none of prompt, text"),
        (['{"prompt": 7}'], "1: prompt is 7; it is a string"),
        (['{"prompt": "a", "max_tokens": true}'], "1: max_tokens is true; it is a whole number"),
        (['{"prompt": "a", "end": "lost"}'], "1: 'end' does not go with prompt"),
        (['{"prompt": "a"}', '{"wait": -1}'], "2: wait is -1"),
        (['{"prompt": "a"}', '{"refused": 200}'], "2: refused is 200; it is a status from 400 to 599"),
        (['{"prompt": "a"}', '{"text": "a"}', '{"refused": 529}'], "3: refused after the answer has begun"),
        (['{"prompt": "a"}', '{"end": "well"}'], "2: end is 'well'; it is one of complete, truncated"),
        (['{"prompt": "a"}', '{"end": "lost"}', '{"text": "a"}'], "3: text after the end of its stream"),
        (['{"prompt": "a"}', '{"event": {"a": 1}}'], "2: event has no type"),
        (['{"request": {"model": "m"}}'], "1: request has no messages or no model"),
    ],
)
def test_a_script_that_cannot_be_meant_is_told_by_its_line(tmp_path: Path, lines: list[str], says: str) -> None:
    script = tmp_path / "script.jsonl"
    script.write_text("".join(f"{line}\n" for line in lines))

    result = recorder("make", tmp_path / "a.jsonl", "--script", script)

    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert f"{script}:{says}" in result.stderr.replace(f"{script}: ", f"{script}:")
    assert list(tmp_path.iterdir()) == [script]


def test_wrong_usage_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for code, arguments, says in (
        (2, [], "give one of --text, --text-file and --script"),
        (2, ["--text", "a", "--script", "b"], "give one of"),
        (2, ["--script", "b", "--prompt", "a"], "a script has its own prompts"),
        (3, ["--text-file", str(tmp_path / "none")], "no such file or directory"),
        (2, ["--text", "a", "--seed", "-1"], "Invalid value for '--seed'"),
    ):
        result = recorder("make", path, *arguments)
        assert (result.exit_code, len(result.stderr.splitlines())) == (code, 1), result.stderr
        assert says in result.stderr
    path.write_text("mine")
    assert recorder("make", path, "--text", "a").exit_code == 3
    assert path.read_text() == "mine"


def test_the_function_says_what_cannot_be_meant(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give one of the two"):
        make_recording(tmp_path / "a.jsonl")
    with pytest.raises(ScriptError, match="text before the first prompt"):
        make_recording(tmp_path / "a.jsonl", script=[{"text": "a"}])
