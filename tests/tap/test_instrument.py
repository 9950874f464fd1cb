"""`recorder.instrument`: every client of the process is recorded, once, and everything is put back."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import DefaultAioHttpClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import recorder
from recorder.log.verify import verify
from recorder.testing import Reply, Upstream, bedrock_reply, message_events
from recorder.testing.contract.colours import COLOURS, all_of, new_client, run, within
from tests.tap.calls import ASK, TEXTS, hello
from tests.tap.test_platforms import PLATFORMS, client

METHODS = ((httpx2.HTTPTransport, "handle_request"), (httpx2.AsyncHTTPTransport, "handle_async_request"))


def replaced() -> list[Any]:
    """What stands in the classes."""
    return [owner.__dict__[name] for owner, name in METHODS]


@pytest.fixture(autouse=True)
def _taken_off() -> Iterator[None]:
    before = replaced()
    yield
    recorder.uninstrument()
    assert all(now is then for now, then in zip(replaced(), before, strict=True))


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(hello) as one:
        yield one


def streams(path: Path) -> list[recorder.Stream]:
    return list(recorder.open(path).streams())


def ask(one: anthropic.Anthropic) -> str:
    with one.messages.stream(**ASK) as stream:
        return stream.get_final_text()


@pytest.mark.parametrize("colour", COLOURS)
def test_clients_made_before_and_after_are_recorded(colour: str, upstream: Upstream, tmp_path: Path) -> None:
    async def use() -> None:
        async with within(new_client(colour, upstream.url)) as before:
            recorder.instrument(tmp_path / "r")
            async with within(new_client(colour, upstream.url)) as after:
                for one in (before, after):
                    async with within(one.messages.stream(**ASK)) as stream:
                        assert "".join(await all_of(stream.text_stream)) == "".join(TEXTS)

    run(colour, use)
    recorder.uninstrument()

    found = streams(tmp_path / "r")
    assert [one.timing().outcome for one in found] == ["complete"] * 2
    assert all(one.url == f"{upstream.url}/v1/messages" for one in found)
    assert all(one.timing().sent_s is not None and one.timing().ttft_s is not None for one in found)
    assert b"sk-ant-test" not in b"".join(path.read_bytes() for path in (tmp_path / "r").iterdir())
    (segment,) = (tmp_path / "r").iterdir()
    assert [check.problems for check in verify([segment])] == [[]]


@pytest.mark.parametrize("name", ["bedrock by key", "vertex", "foundry"])
def test_clients_of_other_platforms_are_recorded_as_they_send(name: str, tmp_path: Path) -> None:
    platform = PLATFORMS[name]
    reply = bedrock_reply if name.startswith("bedrock") else Reply.sse
    with Upstream(lambda _: reply(message_events("Hel", "lo"))) as upstream:
        recorder.instrument(tmp_path / "r")
        with client(platform, upstream.url) as one, one.messages.create(**ASK, stream=True) as stream:
            assert len(list(stream)) > 3
        recorder.uninstrument()

    (made,) = streams(tmp_path / "r")
    assert (made.timing().outcome, made.timing().output_chars) == ("complete", 5)


def test_the_aiohttp_client_is_recorded(upstream: Upstream, tmp_path: Path) -> None:
    async def use() -> None:
        http = DefaultAioHttpClient()
        async with anthropic.AsyncAnthropic(base_url=upstream.url, api_key="k" * 20, http_client=http) as one:
            async with one.messages.stream(**ASK) as stream:
                assert await stream.get_final_text() == "".join(TEXTS)

    recorder.instrument(tmp_path / "r")
    run("asyncio", use)
    recorder.uninstrument()

    assert len(streams(tmp_path / "r")) == 1


def test_what_a_tap_of_the_application_sees_is_left_to_it(upstream: Upstream, tmp_path: Path) -> None:
    recorder.instrument(tmp_path / "all")
    with (
        recorder.Tap(tmp_path / "own") as own,
        recorder.Tap(tmp_path / "none", sample=0.0) as none,
        anthropic.Anthropic(base_url=upstream.url, api_key="k" * 20) as one,
        httpx2.Client(transport=recorder.TapTransport(own)) as http,
    ):
        ask(own.wrap(one))
        http.post(f"{upstream.url}/v1/messages", json=ASK, headers={"anthropic-version": "2023-06-01"})
        ask(none.wrap(one))
        ask(one)
    recorder.uninstrument()

    assert len(streams(tmp_path / "own")) == 2
    assert len(streams(tmp_path / "all")) == 1
    assert not (tmp_path / "none").exists()


def test_a_client_whose_tap_is_closed_is_recorded(upstream: Upstream, tmp_path: Path) -> None:
    with anthropic.Anthropic(base_url=upstream.url, api_key="k" * 20) as one:
        with recorder.Tap(tmp_path / "own") as own:
            wrapped = own.wrap(one)
        recorder.instrument(tmp_path / "all")
        ask(wrapped)
    recorder.uninstrument()

    assert len(streams(tmp_path / "all")) == 1


def test_requests_to_others_are_not_recorded(upstream: Upstream, tmp_path: Path) -> None:
    tap = recorder.instrument(tmp_path / "r")
    with httpx2.Client() as http:
        http.post(f"{upstream.url}/anything", json={})

    assert tap.stats().streams == 0


def test_twice_is_once_and_another_path_is_refused(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECORDER_DIR", str(tmp_path / "r"))
    tap = recorder.instrument()
    assert recorder.instrument() is recorder.instrument(tmp_path / "r") is tap
    with pytest.raises(RuntimeError) as raised:
        recorder.instrument(tmp_path / "other")
    with anthropic.Anthropic(base_url=upstream.url, api_key="k" * 20) as one:
        ask(one)
        recorder.uninstrument()
        recorder.uninstrument()
        ask(one)

    expected = f"this process is recorded to {tmp_path / 'r'} already; call recorder.uninstrument() first"
    assert str(raised.value) == expected
    assert len(streams(tmp_path / "r")) == 1
    assert tap.closed


def test_attempts_of_one_call_are_told_as_such(tmp_path: Path) -> None:
    replies = [Reply.json(529, {"type": "error"}, headers={"retry-after-ms": "1"}), Reply.sse(message_events("a"))]
    with Upstream(replies) as upstream, anthropic.Anthropic(base_url=upstream.url, api_key="k" * 20) as one:
        recorder.instrument(tmp_path / "r")
        ask(one)
        recorder.uninstrument()

    first, second = streams(tmp_path / "r")
    assert first.call == second.call
    assert (first.request.attempt, second.request.attempt) == (0, 1)


def test_many_threads_while_it_is_put_on_and_taken_off(upstream: Upstream, tmp_path: Path) -> None:
    """No call fails, and each is recorded whole, or not at all."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with anthropic.Anthropic(base_url=upstream.url, api_key="k" * 20, max_retries=0) as one:
                for _ in range(5):
                    assert ask(one) == "".join(TEXTS)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        recorder.instrument(tmp_path / "r")
        recorder.uninstrument()
    recorder.instrument(tmp_path / "r")
    for thread in threads:
        thread.join()
    recorder.uninstrument()

    assert failures == []
    assert {one.timing().outcome for one in streams(tmp_path / "r")} <= {"complete", "lost", "closed"}


@pytest.mark.parametrize(
    "order",
    [
        ("theirs", "ours", "ours off", "theirs off"),
        ("ours", "theirs", "theirs off", "ours off"),
        ("ours", "theirs", "ours off", "theirs off"),
    ],
)
def test_beside_opentelemetry_in_any_order(order: tuple[str, ...], upstream: Upstream, tmp_path: Path) -> None:
    otel = pytest.importorskip("opentelemetry.instrumentation.httpx", reason="needs what is newer than our lowest")
    """Its instrumentation of httpx2 wraps the same methods."""
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    steps = {
        "theirs": lambda: otel.HTTPX2ClientInstrumentor().instrument(tracer_provider=provider),
        "theirs off": lambda: otel.HTTPX2ClientInstrumentor().uninstrument(),
        "ours": lambda: recorder.instrument(tmp_path / "r"),
        "ours off": recorder.uninstrument,
    }
    before = replaced()
    recorded = traced = 0
    with anthropic.Anthropic(base_url=upstream.url, api_key="k" * 20) as one:
        active: set[str] = set()
        for step in order:
            steps[step]()
            active ^= {step.removesuffix(" off")}
            assert ask(one) == "".join(TEXTS)
            recorded += "ours" in active
            traced += "theirs" in active

    assert len(streams(tmp_path / "r")) == recorded > 0
    assert len(spans.get_finished_spans()) == traced > 0
    assert all(now is then for now, then in zip(replaced(), before, strict=True))


def test_a_replay_inside_and_outside(upstream: Upstream, tmp_path: Path) -> None:
    with anthropic.Anthropic(base_url=upstream.url, api_key="k" * 20) as one:
        recorder.instrument(tmp_path / "r")
        ask(one)
        recorder.uninstrument()
        with recorder.replay(tmp_path / "r"):
            recorder.instrument(tmp_path / "of the replay")
            ask(one)
        ask(one)
        recorder.uninstrument()

    assert len(streams(tmp_path / "of the replay")) == 2
    assert len(upstream.received) == 2


PROGRAM = """
import sys, threading, anthropic
assert __name__ == "__main__" and sys.modules["__main__"].__dict__ is globals()
import beside
with anthropic.Anthropic(api_key="k" * 20).messages.stream(
    model="m", max_tokens=5, messages=[{"role": "user", "content": "hi"}]
) as stream:
    print(stream.get_final_text(), *sys.argv[1:])
threading.Thread(target=lambda: print(sys.modules["__main__"].beside.NAME)).start()
if "fail" in sys.argv:
    raise ValueError("as it is")
sys.exit(3)
"""


def run_instrumented(directory: Path, upstream: Upstream, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ANTHROPIC_BASE_URL": upstream.url, "RECORDER_DIR": "r"}
    command = [sys.executable, "-m", "recorder.instrument", *arguments]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("code/app.py",), ("-m", "code.app"), ("-m", "code.package")])
def test_a_program_runs_as_ever_and_is_recorded(
    arguments: tuple[str, ...], upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "code" / "package").mkdir(parents=True)
    beside = "code/beside.py" if arguments[0] != "-m" else "beside.py"
    (tmp_path / beside).write_text("NAME = 'still there'")
    (tmp_path / "code" / "app.py").write_text(PROGRAM)
    (tmp_path / "code" / "__init__.py").touch()
    (tmp_path / "code" / "package" / "__init__.py").touch()
    (tmp_path / "code" / "package" / "__main__.py").write_text(PROGRAM)

    done = run_instrumented(tmp_path, upstream, *arguments, "a", "-b")

    assert (done.returncode, done.stdout, done.stderr) == (3, "Hello wörld a -b\nstill there\n", "")
    (one,) = streams(tmp_path / "r")
    assert one.timing().outcome == "complete"


@pytest.mark.slow
def test_a_program_that_fails_shows_its_own_traceback(upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PROGRAM)
    (tmp_path / "beside.py").write_text("NAME = 1")

    done = run_instrumented(tmp_path, upstream, "app.py", "fail")

    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [line for line in lines if line.startswith("  File")] == ['  File "app.py", line 11, in <module>']
    assert lines[-1] == "ValueError: as it is"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "error: usage: python -m recorder.instrument [-m MODULE | SCRIPT] ARGUMENTS..."),
        (("-m",), "error: usage: python -m recorder.instrument [-m MODULE | SCRIPT] ARGUMENTS..."),
        (("none.py",), "error: none.py: no such file or directory; name a Python program"),
        (("-m", "nosuch.module"), "error: no module named nosuch"),
        (("-m", "sys"), "error: no module named sys that can be run"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_line(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        importlib.import_module("recorder.instrument").main(arguments)

    assert (exit_.value.code, capsys.readouterr().err) == (2, f"{said}\n")


@pytest.mark.slow
def test_the_module_can_be_called_where_it_took_the_place_of_the_function() -> None:
    program = "import recorder.instrument; tap = recorder.instrument('r'); print(tap); recorder.uninstrument()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.stdout.startswith("<recorder.Tap"), done.stderr
