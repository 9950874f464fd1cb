"""`recorder replay --mode`: what each mode sends, answers, keeps and refuses, with real programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorder_cli.main import cli

import recorder
from recorder.taking import MODES
from recorder.testing import Received, Reply, Upstream, message_events
from tests.cli.command import recorder as run_here
from tests.cli.test_serving import environment, ran

HELLO = message_events("Hello", "!")
ASK = """curl -sN "$ANTHROPIC_BASE_URL/v1/messages" -H "x-api-key: $ANTHROPIC_API_KEY" -d '{"model":"m","stream":true,"messages":"%s"}';"""


def asking(*questions: str, status: int = 0) -> tuple[str, str, str]:
    """A program that asks all of it and exits with that status."""
    return "sh", "-c", f"{''.join(ASK % one for one in questions)} exit {status}"


def answer(received: Received) -> Reply:
    return Reply.sse(message_events("You asked: ", received.json()["messages"]))


def questions(path: Path) -> list[str]:
    return [stream.request.body["messages"] for stream in recorder.open(path).streams()]


class Talk:
    """A recording, a program that is run beside it, and the upstream behind."""

    def __init__(self, path: Path, upstream: Upstream) -> None:
        self.path = path
        self.upstream = upstream
        self.environment = environment(upstream, RECORDER_MODE="", CI="")

    def __call__(self, mode: str, *questions: str, status: int = 0, code: int | None = None) -> str:
        """Run it; what it says beside, the file as it is called."""
        program = asking(*questions, status=status)
        done = ran(
            "replay", self.path.name, "--mode", mode, "--", *program, env=self.environment, cwd=self.path.parent
        )
        assert done.returncode == (status if code is None else code), done.stderr
        self.said = done.stdout
        return done.stderr

    @property
    def sent(self) -> list[str]:
        return [one.json()["messages"] for one in self.upstream.received]

    @property
    def files(self) -> list[str]:
        return sorted(one.name for one in self.path.parent.iterdir())


@pytest.fixture
def talk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Talk:
    (tmp_path / "there").mkdir()
    with Upstream(answer) as upstream:
        talk = Talk(tmp_path / "there" / "talk.jsonl", upstream)
        talk.environment["TMPDIR"] = str(tmp_path / "tmp")
        (tmp_path / "tmp").mkdir()
        yield talk
        assert list((tmp_path / "tmp").iterdir()) == []  # nothing is left behind


def test_once_records_the_first_time_and_replays_ever_after(talk: Talk) -> None:
    assert talk("once", "a").endswith(": complete 1; in talk.jsonl\n")
    first = talk.said

    told = talk("once", "a")

    assert told == "recorder: 1 request, 0 not recorded; 1 of 1 stream served, 0 unused; from talk.jsonl\n"
    assert talk.said == first != ""
    assert (talk.sent, talk.files) == (["a"], ["talk.jsonl"])
    assert talk.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_append_answers_what_it_has_and_adds_what_it_has_not(talk: Talk) -> None:
    assert talk("append", "a").endswith(": complete 1; in talk.jsonl\n")

    told = talk("append", "a", "b", "a")

    assert told.endswith(": complete 2; in talk.jsonl; 1 stream served from it\n")
    assert talk.sent == ["a", "b", "a"]
    assert questions(talk.path) == ["a", "b", "a"]
    assert "You asked: " in talk.said
    assert talk("append", "a") == "recorder: 0 streams; in talk.jsonl; 1 stream served from it\n"
    talk("replay", "b", "a", "a")
    assert talk.files == ["talk.jsonl"]


@pytest.mark.slow
def test_what_a_program_recorded_that_failed_lies_beside(talk: Talk) -> None:
    talk("record", "old")
    before = talk.path.read_bytes()

    for mode in ("append", "rewrite"):
        assert talk(mode, "new", status=3).endswith(
            "; in talk.jsonl.failed" + ("; 0 streams served from it\n" if mode == "append" else "\n")
        )
        assert talk.path.read_bytes() == before
        assert questions(talk.path.with_name("talk.jsonl.failed").rename(talk.path.with_name("failed.jsonl"))) == [
            "new"
        ]

    talk("rewrite", "new")
    assert questions(talk.path) == ["new"]
    talk("rewrite")  # nothing was asked: nothing takes its place
    assert questions(talk.path) == ["new"]


@pytest.mark.slow
def test_record_adds_in_any_case_and_passthrough_records_nothing(talk: Talk) -> None:
    talk("record", "a")
    assert talk("record", "b", status=3).endswith(": complete 1; in talk.jsonl\n")
    assert questions(talk.path) == ["a", "b"]
    before = talk.path.read_bytes()

    assert talk("passthrough", "c", "d") == "recorder: 2 requests passed on, nothing recorded\n"

    assert (talk.sent, talk.files) == (["a", "b", "c", "d"], ["talk.jsonl"])
    assert talk.path.read_bytes() == before
    talk.path.unlink()
    talk("passthrough", "e")
    assert talk.files == []


@pytest.mark.slow
def test_verify_tells_what_differs_and_keeps_the_recording(talk: Talk) -> None:
    talk("record", "a", "b")
    before = talk.path.read_bytes()
    assert talk("verify", "b", "a").endswith(": complete 2; of the same structure as in talk.jsonl\n")
    assert talk.sent == ["a", "b", "b", "a"]

    changed = message_events("Quite ", "other words")
    changed.insert(-1, {"type": "model_mood", "mood": "fine"})
    with Upstream([Reply.sse(changed)]) as talk.upstream:
        talk.environment["ANTHROPIC_BASE_URL"] = talk.upstream.url
        told = talk("verify", "a", code=1)

    [_, unasked] = recorder.open(talk.path).streams()
    what = f"  POST {talk.upstream.url}/v1/messages: "
    assert told.partition("\n")[0].endswith(": complete 1; live answers differ from talk.jsonl:")
    assert told.splitlines()[1:] == [
        f"{what}order: message_delta -> message_stop: recorded, not live",
        f"{what}order: message_delta -> model_mood: live, not recorded",
        f"{what}order: model_mood -> message_stop: live, not recorded",
        f"{what}field: model_mood $.mood: live, not recorded",
        f"{what}field: model_mood $.type: live, not recorded",
        f"  {unasked.id}: recorded, not asked for",
    ]
    assert talk.path.read_bytes() == before
    assert "recorded, not asked for" in talk("verify", code=1)
    assert talk.files == ["talk.jsonl"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "arguments", "sends"),
    [
        ({}, [], False),
        ({"RECORDER_MODE": "rewrite"}, [], True),
        ({"RECORDER_MODE": "rewrite"}, ["--mode", "replay"], False),
        ({"CI": "true"}, [], False),
        ({"CI": "true"}, ["--mode", "rewrite"], True),
    ],
)
def test_the_command_line_and_then_the_environment_say_the_mode(
    talk: Talk, given: dict[str, str], arguments: list[str], sends: bool
) -> None:
    talk("record", "a")
    done = ran(
        "replay",
        talk.path.name,
        *arguments,
        "--",
        *asking("a"),
        env=talk.environment | given,
        cwd=talk.path.parent,
    )
    assert done.returncode == 0, done.stderr
    assert talk.sent == (["a", "a"] if sends else ["a"])


@pytest.mark.slow
def test_the_upstream_is_the_one_that_is_named(talk: Talk) -> None:
    del talk.environment["ANTHROPIC_BASE_URL"]
    named = ["replay", talk.path.name, "--mode", "once", "--upstream", talk.upstream.url]
    done = ran(*named, "--", *asking("a"), env=talk.environment, cwd=talk.path.parent)
    assert (done.returncode, talk.sent) == (0, ["a"])


@pytest.mark.slow
def test_a_recording_that_cannot_be_read_is_not_overwritten(talk: Talk) -> None:
    talk.path.write_text("something else\n")
    for mode in ("append", "rewrite", "verify"):
        told = talk(mode, "a", code=3)
        assert told.count("\n") == 1
        assert talk.path.read_text() == "something else\n"
    assert talk.sent == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["there", "--mode", "rewrite"], 2, "there: rewrite writes one file: name one that ends in .jsonl"),
        (["no.jsonl", "--mode", "verify"], 3, "no such recording; record it: --mode append adds"),
        (["no.jsonl", "--mode", "all"], 2, "'all' is not one of 'replay', 'once'"),
        (["no.jsonl", "--mode", "once", "--upstream", "nowhere"], 2, "'nowhere' is no upstream"),
    ],
)
def test_wrong_usage_is_told_in_one_line(arguments: list[str], code: int, said: str) -> None:
    result = run_here("replay", *arguments, "--", "true")
    assert result.exit_code == code
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_command_has_the_modes_of_the_library() -> None:
    [option] = [one for one in cli.get_command(None, "replay").params if one.name == "mode"]  # type: ignore[arg-type, union-attr]
    assert tuple(option.type.choices) == MODES  # type: ignore[attr-defined]


def test_the_mode_of_the_environment_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDER_MODE", "all")
    result = run_here("replay", "no.jsonl", "--", "true")
    assert result.exit_code == 2
    assert "mode is 'all'; it is one of replay, once" in result.stderr
