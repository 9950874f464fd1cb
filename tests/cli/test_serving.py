"""`recorder record`, `replay`, `proxy` and `serve`, as processes, with programs of several kinds."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

import recorder
from recorder.testing import Received, Reply, Upstream, message_events
from tests.analytics.collector import collector, plain
from tests.cli.command import recorder as run_here

MS = 1_000_000
RECORDER = Path(sys.executable).with_name("recorder")
HELLO = message_events("Hello", " there", "!", model="claude-haiku-4-5")
KEY = "sk-ant-api03-not-a-real-key-0123456789"
PYTHON = """
import anthropic, sys
with anthropic.Anthropic().messages.stream(model="claude-haiku-4-5", max_tokens=64,
        messages=[{"role": "user", "content": sys.argv[1]}]) as stream:
    print(stream.get_final_text())
"""
BODY = (
    '{"model":"claude-haiku-4-5","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"Say hello"}]}'
)
CURL = f"""curl -sN "$ANTHROPIC_BASE_URL/v1/messages" -H "x-api-key: $ANTHROPIC_API_KEY" -d '{BODY}'"""


def answer(received: Received) -> Reply:
    return Reply.sse(HELLO, gap=5 * MS)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(answer) as one:
        yield one


def environment(upstream: Upstream | None = None, **more: str) -> dict[str, str]:
    given = {**os.environ, **more}
    for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY", "RECORDER_TOKEN"):
        given.pop(name, None)
    if upstream is not None:
        given |= {"ANTHROPIC_BASE_URL": upstream.url, "ANTHROPIC_API_KEY": KEY}
    return given | more


def ran(
    *arguments: str | Path, env: dict[str, str], cwd: Path, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [RECORDER, *arguments], env=env, cwd=cwd, input=stdin, capture_output=True, text=True, timeout=120
    )


def test_a_program_is_recorded_and_replayed_unmodified(tmp_path: Path, upstream: Upstream) -> None:
    (tmp_path / "app.py").write_text(PYTHON)
    program = [sys.executable, "app.py", "Say hello"]

    live = ran("record", "-o", "out", "--", *program, env=environment(upstream), cwd=tmp_path)

    assert (live.returncode, live.stdout) == (0, "Hello there!\n"), live.stderr
    assert re.fullmatch(
        r"recorder: 1 stream, ttft p50 0\.\d{3} s p95 0\.\d{3} s: complete 1; in out\n", live.stderr
    ), live.stderr
    sent = dict(upstream.received[0].headers)
    assert (sent.get("authorization") or sent["x-api-key"]).endswith(KEY)  # older SDKs send the latter
    assert KEY not in "".join(path.read_text() for path in (tmp_path / "out").iterdir())

    replayed = ran("replay", "out", "--timing", "recorded", "--", *program, env=environment(), cwd=tmp_path)

    assert (replayed.returncode, replayed.stdout) == (0, live.stdout), replayed.stderr
    assert replayed.stderr == "recorder: 1 request, 0 not recorded; 1 of 1 stream served, 0 unused; from out\n"
    assert len(upstream.received) == 1

    other = ran("replay", "out", "--", *program[:-1], "Say goodbye", env=environment(), cwd=tmp_path)

    assert other.returncode == 1
    assert '$.messages[0].content: "Say hello" recorded, "Say goodbye" asked' in other.stderr
    assert other.stderr.endswith("recorder: 1 request, 1 not recorded; 0 of 1 stream served, 1 unused; from out\n")


@pytest.mark.slow
def test_a_shell_script_with_curl_is_recorded_and_replayed(tmp_path: Path, upstream: Upstream) -> None:
    live = ran("record", "--", "sh", "-c", CURL, env=environment(upstream), cwd=tmp_path)
    assert live.returncode == 0, live.stderr
    assert live.stdout.count("event: ") == len(HELLO)

    twice = ran("replay", "recordings", "--", "sh", "-c", f"{CURL}; {CURL}", env=environment(), cwd=tmp_path)

    assert twice.stdout.startswith(live.stdout)
    assert "served as often already" in twice.stdout
    assert twice.returncode == 1  # the script succeeded, but asked for more than was recorded
    [stream] = recorder.open(tmp_path / "recordings").streams()
    assert stream.body().decode() == live.stdout


@pytest.mark.slow
def test_a_collector_is_sent_metrics(tmp_path: Path, upstream: Upstream) -> None:
    with collector() as taken:
        command = ("record", "-o", tmp_path / "r", "--otlp", taken.url, "--", "sh", "-c", CURL)
        assert ran(*command, env=environment(upstream), cwd=tmp_path).returncode == 0
    [ttft] = [one for one in taken.metrics if one.name == "gen_ai.client.operation.time_to_first_chunk"]
    [point] = ttft.histogram.data_points
    assert (point.count, plain(point.attributes)["gen_ai.response.model"]) == (1, "claude-haiku-4-5")


def test_its_status_its_input_and_its_signal_are_the_programs_own(tmp_path: Path, upstream: Upstream) -> None:
    env = environment(upstream)
    told = ran(
        "record", "--", "sh", "-c", "read line; echo got $line; exit 7", env=env, cwd=tmp_path, stdin="this\n"
    )
    assert (told.returncode, told.stdout) == (7, "got this\n")
    assert "nothing was asked of http://127.0.0.1:" in told.stderr
    assert ran("record", "--", "sh", "-c", "kill -KILL $$", env=env, cwd=tmp_path).returncode == 137
    missing = ran("record", "--", "no-such-program", env=env, cwd=tmp_path)
    assert missing.returncode == 127
    assert missing.stderr == (
        "error: no-such-program: cannot be run: no such file or directory; give a command after --\n"
    )
    assert ran("record", "--", tmp_path, env=env, cwd=tmp_path).returncode == 126


@pytest.mark.parametrize(
    "name",
    [
        "SIGTERM",
        "SIGINT",
        pytest.param("SIGHUP", marks=pytest.mark.slow),
        pytest.param("SIGUSR1", marks=pytest.mark.slow),
    ],
)
def test_signals_are_forwarded(tmp_path: Path, upstream: Upstream, name: str) -> None:
    script = f"trap 'echo caught; exit 3' {name[3:]}; echo ready; while :; do sleep 0.05; done"
    with subprocess.Popen(
        [RECORDER, "record", "--", "sh", "-c", script],
        env=environment(upstream), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(getattr(signal, name))
        assert process.stdout.readline() == "caught\n"
        process.communicate(timeout=60)
    assert process.returncode == 3


@pytest.mark.slow
def test_the_program_has_the_terminal_and_its_ctrl_c_once(tmp_path: Path, upstream: Upstream) -> None:
    script = "trap 'n=$((n+1)); echo caught $n' INT; tty -s && echo on a terminal; read a; sleep 0.3; echo end $n"
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(RECORDER, [str(RECORDER), "record", "--", "sh", "-c", script], environment(upstream))
    try:
        said = _until(terminal, b"on a terminal")
        os.write(terminal, b"\x03")
        said += _until(terminal, b"caught 1")
        os.write(terminal, b"\n")
        said += _until(terminal, b"streams")
    finally:
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert b"caught 2" not in said
    assert b"end 1" in said


def _until(terminal: int, wanted: bytes) -> bytes:
    said = b""
    while wanted not in said:
        try:
            said += os.read(terminal, 1024)
        except OSError as error:
            raise AssertionError(said) from error
    return said


@contextmanager
def server(*arguments: str | Path, env: dict[str, str], cwd: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen(
        [RECORDER, *arguments], env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.slow
def test_a_proxy_records_until_it_is_stopped_and_serve_replays_it(tmp_path: Path, upstream: Upstream) -> None:
    slow = Reply.sse(HELLO, gap=100 * MS)
    with Upstream([slow]) as upstream:
        env = environment()
        with server("proxy", "--upstream", upstream.url, "-o", "out", env=env, cwd=tmp_path) as (process, url):
            assert httpx2.get(f"{url}/__recorder/health").json()["upstream"] == upstream.url
            with httpx2.stream("POST", f"{url}/v1/messages", content=BODY) as response:
                parts = response.iter_raw()
                body = next(parts)
                process.send_signal(signal.SIGTERM)
                body += b"".join(parts)  # what is in flight ends as if nothing had happened
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors.startswith("recorder: 1 stream, ttft p50 ")
    with server("serve", "out", env=env, cwd=tmp_path) as (process, url):
        assert [httpx2.post(f"{url}/v1/messages", content=BODY).content for _ in range(2)] == [body, body]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (
        0, "recorder: 2 requests, 0 not recorded; 1 of 1 stream served, 0 unused; from out\n",
    )  # fmt: skip


def is_served(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/__recorder/health").is_success
    except httpx2.TransportError:
        return False


@pytest.mark.slow
def test_a_second_signal_ends_a_stream_that_does_not(tmp_path: Path) -> None:
    with Upstream([Reply.sse(HELLO[:3], end="hang")]) as upstream:
        env = environment()
        with server("proxy", "--upstream", upstream.url, "-o", "out", env=env, cwd=tmp_path) as (process, url):
            with (
                pytest.raises(httpx2.RemoteProtocolError),
                httpx2.stream("POST", f"{url}/v1/messages", content=BODY) as response,
            ):
                parts = response.iter_raw()
                next(parts)
                process.send_signal(signal.SIGTERM)
                while is_served(url):  # it takes no more requests
                    time.sleep(0.01)
                process.send_signal(signal.SIGTERM)
                for _ in parts:
                    pass
            process.communicate(timeout=60)
    assert process.returncode == 0
    [stream] = recorder.open(tmp_path / "out").streams()
    assert stream.end is not None
    assert stream.end.end == "closed"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["proxy", "--host", "0.0.0.0"], "can be reached by others: give --token"),
        (["serve", ".", "--host", "::"], "can be reached by others: give --token"),
        (["proxy", "--token", "short"], "a token has 8 or more"),
        (["proxy", "--upstream", "nowhere"], "'nowhere' is no upstream"),
        (["serve", ".", "--fault", "nonsense"], "nonsense"),
        (["record"], "Missing argument"),
    ],
)
def test_wrong_usage_is_told_in_one_line(arguments: list[str], said: str) -> None:
    result = run_here(*arguments)
    assert result.exit_code in (2, 3)
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_port_that_is_taken_is_told(tmp_path: Path, upstream: Upstream) -> None:
    port = upstream.url.rpartition(":")[2]
    told = ran("proxy", "--port", port, "-o", "out", env=environment(), cwd=tmp_path)
    assert told.returncode == 3
    assert "address already in use" in told.stderr
    assert told.stderr.count("\n") == 1
