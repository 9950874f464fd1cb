"""Does a program survive broken streams? Runs it once for each fault, against a server that injects it.

The program is any program that finds the API by `ANTHROPIC_BASE_URL`: a server on the loopback answers it from a
recording, over HTTP and at once, under the fault. It is judged by what it asks for, by its exit code, and by what
it writes to its standard output.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec
from msgspec import Struct

from recorder.child import environment_for
from recorder.log.reader import Report, find_segments
from recorder.log.streams import Stream, read_streams
from recorder.replayer.asked import asked
from recorder.replayer.errors import NoMatch
from recorder.replayer.faults.inject import Served
from recorder.replayer.faults.spec import Fault
from recorder.replayer.faults.verdict import Ended, Verdict, judge
from recorder.replayer.match import Shelf
from recorder.testing import Upstream
from recorder.testing.recorded import FaultyAnswers

PLACEHOLDER_KEY = "checked-no-key-needed"
_SHOWN = 200


class CheckError(Exception):
    """The program cannot be checked: one line says why, and what to do."""


class Run(Struct, frozen=True, kw_only=True):
    """One run of the program, under one fault."""

    name: str
    fault: str
    exit_code: int | None
    """None: it was killed when its time was up. Negative: a signal ended it."""
    seconds: float
    verdict: Verdict

    @property
    def failed(self) -> bool:
        """The fault was not survived. One that fits nothing asked for, or cannot be judged, is no failure."""
        return any(not one.good for one in self.verdict.findings)


def check(
    command: Sequence[str],
    faults: Mapping[str, Fault],
    *,
    recording: str | os.PathLike[str] | None = None,
    limit_s: float = 20.0,
    environment: Mapping[str, str] = os.environ,
    report: Report = lambda _: None,
) -> Iterator[Run]:
    """Runs `command` once without a fault, to know what it does then, and once under each of `faults`.

    Without a recording, every request is answered by a packaged synthetic stream. Raises CheckError for a program
    that cannot be started, asks for nothing, asks for what was not recorded, or fails without any fault;
    RecordingError for a recording that cannot be read; `report` is told what of it is left out.
    """
    fresh = _packaged if recording is None else _recorded(recording, report)
    clean = _Trial(command, fresh(), None, limit_s, environment)
    clean.expect_well()
    usual = {one.fingerprint for one in clean.served}
    for name, fault in faults.items():
        yield _Trial(command, fresh(), fault, limit_s, environment).run(name, fault, usual)


class _Trial:
    """The program, run once."""

    def __init__(
        self,
        command: Sequence[str],
        take: Callable[[Any], Stream],
        fault: Fault | None,
        limit_s: float,
        environment: Mapping[str, str],
    ) -> None:
        self._limit_s = limit_s
        self.killed_at: int | None = None
        self.no_match: NoMatch | None = None
        self.trouble: Exception | None = None
        """What went wrong in the server: the program sent what is no HTTP, or a bug of ours."""

        def take_or_note(request: Any) -> Stream:
            try:
                return take(request)
            except NoMatch as error:
                self.no_match = error
                raise

        answers = FaultyAnswers(take_or_note, fault)
        upstream = Upstream(answers, on_end=answers.over)
        seen = environment_for(environment, upstream.url, placeholder=PLACEHOLDER_KEY)
        began = time.perf_counter()
        try:
            with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
                self.exit_code = self._execute(command, seen, out, err)
                self.output, self.errors = _text(out), _text(err)
            with contextlib.suppress(TimeoutError):  # what left the process group may still be reading
                upstream.settle(timeout_s=5)
        finally:
            self.seconds = time.perf_counter() - began
            try:
                upstream.close()
            except NoMatch:
                pass  # noted above
            except Exception as error:
                self.trouble = error
        self.served: list[Served] = answers.served

    def _execute(
        self, command: Sequence[str], environment: Mapping[str, str], out: IO[bytes], err: IO[bytes]
    ) -> int | None:
        try:
            process = subprocess.Popen(  # noqa: S603 - to run it is what was asked for
                command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise CheckError(f"{command[0]}: cannot be run: {reason.lower()}; give a command after --") from None
        try:
            return process.wait(self._limit_s)
        except subprocess.TimeoutExpired:
            self.killed_at = time.perf_counter_ns()
            return None
        finally:
            _kill(process)

    def expect_well(self) -> None:
        """Raises CheckError when there is nothing to compare faults with."""
        if self.no_match is not None:
            said = str(self.no_match).splitlines()[0]
            raise CheckError(f"without a fault: {said}; record this program and give it as --recording")
        self._expect_no_trouble("without a fault")
        if self.exit_code is None:
            raise CheckError(f"without a fault, the program still runs after {self._limit_s:g} s; see --limit")
        if self.exit_code:
            said = (self.errors.strip() or "it wrote no error").splitlines()[-1][:_SHOWN]
            raise CheckError(f"without a fault, the program exits with {self.exit_code} already: {said}")
        if not self.served:
            raise CheckError("the program asked nothing of ANTHROPIC_BASE_URL: has it a base_url of its own?")

    def run(self, name: str, fault: Fault, usual: Collection[str]) -> Run:
        self._expect_no_trouble(f"under {name}")
        ended: Ended = "killed" if self.exit_code is None else "badly" if self.exit_code else "well"
        verdict = judge(
            self.served, real_time=True, ended=ended, output=self.output, killed_at=self.killed_at, usual=usual
        )
        if self.no_match is not None:  # it may have gone on in other words, which nothing here could answer
            line = f"asked for what was not recorded: {str(self.no_match).splitlines()[0]}"
            verdict = msgspec.structs.replace(verdict, findings=(), unknown=(line,))
        return Run(name=name, fault=str(fault), exit_code=self.exit_code, seconds=self.seconds, verdict=verdict)

    def _expect_no_trouble(self, when: str) -> None:
        if self.trouble is not None:
            said = f"{type(self.trouble).__name__}: {str(self.trouble).partition(chr(10))[0]}"
            raise CheckError(f"{when}: the server could not answer the program: {said}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The program and all that it has started."""
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended, and left nothing behind
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def _recorded(path: str | os.PathLike[str], report: Report) -> Callable[[], Callable[[Any], Stream]]:
    """Makes, for each run anew, what gives the streams that answer it: equal requests get theirs in order."""
    streams = list(read_streams(find_segments(path), report=report))

    def fresh() -> Callable[[Any], Stream]:
        shelf = Shelf(streams, os.fspath(path), repeat=True)
        return lambda request: shelf.take(asked(request))

    return fresh


def _packaged() -> Callable[[Any], Stream]:
    """Answers anything, by what kind of answer it asks for."""
    from recorder.demo import fixtures

    names = ("text", "thinking", "tool_use", "json")
    streams = {name: _only_stream(fixtures() / f"{name}.jsonl") for name in names}

    def take(request: Any) -> Stream:
        try:
            asked = msgspec.json.decode(request.content)
        except msgspec.DecodeError:
            asked = None
        fields: dict[str, Any] = asked if isinstance(asked, dict) else {}  # pyright: ignore
        if not fields.get("stream"):
            return streams["json"]
        thinks = fields.get("thinking") not in (None, {"type": "disabled"})
        return streams["thinking" if thinks else "tool_use" if fields.get("tools") else "text"]

    return take


def _only_stream(path: Path) -> Stream:
    return next(iter(read_streams(find_segments(path), report=lambda _: None)))
