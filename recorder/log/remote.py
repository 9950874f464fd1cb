"""A pipeline in a process of its own. The application's process hands over what it saw, and does no more.

What is made of a chunk costs several times what it takes to hand it over, and on a thread of the application's
that is time in which it does not have the GIL. The process is a child (`remote_main.py`) at the ends of two
pipes. It gets batches of items and answers each, in order, with its counts; it is not waited for, but for so many
batches. What is in its pipe is written though the application be killed, and its end is the end of the pipe.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeGuard

import msgspec
from msgspec import Struct

from recorder.core.capture import Mode
from recorder.core.lines import encodable
from recorder.core.records import Header
from recorder.core.redact import Secrets
from recorder.core.rules import Given
from recorder.version import __version__

from .items import Item, Note, Stats
from .pipeline import Failed
from .sink import Durability, Limits

AHEAD = 64
"""Batches that may be without an answer. The pipe holds no more than `_PIPE_BYTES` of them."""
_MARK = "RECORDER_WRITER"
"""A variable that is set in the process."""
_PIPE_BYTES = 1 << 20
_READ_BYTES = 1 << 16
_LENGTH_BYTES = 4


class Pattern(Struct, frozen=True):
    """A compiled pattern."""

    pattern: str
    flags: int


class Setup(Struct, frozen=True):
    """What a pipeline is made from, as plain data."""

    version: str
    """Of this package: it may have been replaced since it was imported here."""
    path: bytes
    """As the file system has it: any bytes may be in a name."""
    header: Header
    """But for the times and the segment's id."""
    secrets: list[str]
    durability: Durability
    limits: Limits
    capture: Mode
    rules: tuple[str | Pattern, ...]
    outlives_s: float = 60.0
    """How long the process may go on without the application: a disk may block for ever."""


def setups(
    writer: str,
    here: Mapping[str, object],
    *,
    header: Callable[[], Header],
    secrets: Secrets,
    durability: Durability,
    limits: Limits,
    capture: Mode,
    rules: Iterable[Given],
) -> Callable[[Path], Setup] | None:
    """Gives the setup of a pipeline to a path; None for a thread, which needs none.

    `here`: options that need the application's process, by name. Raises ValueError for those that are set, and for
    what is no `writer`.
    """
    if writer == "thread":
        return None
    if writer != "process":
        raise ValueError(f"writer is {writer!r}; it is 'thread' or 'process'")
    plain = [Pattern(rule.pattern, rule.flags) if isinstance(rule, re.Pattern) else rule for rule in rules]
    kept = tuple(rule for rule in plain if isinstance(rule, str | Pattern))
    refused = [name for name, value in here.items() if value]
    refused += ["a function in redact"] if len(kept) < len(plain) else []
    if refused:
        raise ValueError(
            f"writer='process' cannot call {' and '.join(refused)} of this process; use writer='thread'"
        )
    return lambda path: Setup(
        __version__, os.fsencode(path), header(), secrets.lasting, durability, limits, capture, kept
    )


class Learned(Struct, frozen=True, tag=True):
    """All values that are never to be written, beside those of the setup, the most recent last."""

    values: list[str]


_Handed = tuple[str, int, int, bytes | Note | Learned]


def is_item(handed: _Handed) -> TypeGuard[Item]:
    """Whether it is of a stream."""
    return type(handed[3]) is not Learned


class Batch(Struct, array_like=True):
    """Items in order, and what the application's side has counted. Without items: try again what was not written.

    `last`: seal the segment.
    """

    items: list[_Handed]
    stats: Stats
    last: bool = False


class Problem(Struct, array_like=True):
    """What went wrong, as `Failed` is told it."""

    what: str
    error: str
    internal: bool


class Answer(Struct, array_like=True):
    """How things stand after a batch; one comes before the first, when the process is ready."""

    stats: Stats
    failing: bool
    left: int
    problems: list[Problem]


class CannotStart(Exception):
    """The process ended before it was ready. `items`: all that it was given, and has done nothing with."""

    def __init__(self, why: str, items: list[Item]) -> None:
        super().__init__(why)
        self.items = items


class _Process:
    """The child, and the ends of its pipes that are ours. `shown`: to who looks for what it writes."""

    def __init__(self, shown: bytes) -> None:
        if getattr(sys, "frozen", False) or _MARK in os.environ:
            raise OSError("this Python cannot be started by itself")  # it would be the whole application again
        theirs, self._to = os.pipe()
        self._from, answers = os.pipe()
        self._answers = frames(self._from)
        with suppress(ImportError, OSError, AttributeError):
            import fcntl

            fcntl.fcntl(self._to, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            self._child = subprocess.Popen(  # noqa: S603 - our own module, by the interpreter that runs this
                [sys.executable or "python", "-P", "-m", "recorder.log.remote_main", shown],
                stdin=theirs,
                stdout=answers,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), _MARK: "1"},
                start_new_session=True,  # Ctrl-C is for the application: this one ends after it
            )
        except BaseException:
            self.let_go()
            raise
        finally:
            os.close(theirs)
            os.close(answers)

    def send(self, what: Setup | Batch) -> None:
        """Raises OSError when there is nobody at the other end."""
        try:
            data = _encode(what)
        except UnicodeEncodeError:  # half a surrogate pair; it would be escaped when written, too
            data = _encode(encodable(what))
        write_frame(self._to, data)

    def answer(self) -> Answer:
        """The next; waits for it. Raises EOFError when there is nobody at the other end."""
        frame = next(self._answers, None)
        if frame is None:
            raise EOFError
        return _decode(frame)

    def let_go(self) -> None:
        """Close the pipes: it ends when it has done what is in there."""
        for end in (self._to, self._from):
            with suppress(OSError):  # an application that became a daemon may have closed all it found
                os.close(end)

    def wait(self) -> int:
        return self._child.wait()

    def disown(self) -> None:
        """In the child of a fork: it is a child of the parent's."""
        self.let_go()
        self._child.returncode = 0


class RemotePipeline:
    """What `Pipeline` does, in another process. Of one thread alone.

    `stats` are the application's own counts, `told` those of the process. Its methods raise CannotStart when one
    ended before it was ready: nothing more is to be asked of it then. When it ends later `failing` is set, and
    `retry` starts another.
    """

    def __init__(self, setup: Setup, secrets: Secrets, stats: Stats, failed: Failed) -> None:
        self.failing = False
        self._setup = setup
        self._secrets = secrets
        self._stats = stats
        self._failed = failed
        self._process: _Process | None = None
        self._given: list[_Handed] | None = []
        """Before a process is ready: all that it was given."""
        self._learned: list[str] = []
        """What it was told of `secrets`."""
        self._unanswered: deque[tuple[int, int]] = deque()
        """Chunks and bytes of each batch that has no answer yet."""
        self._left = 0
        self._ended = Stats()
        """Of processes that are no more."""
        self._now = Stats()

    def __repr__(self) -> str:
        return f"<RemotePipeline to {os.fsdecode(self._setup.path)}>"

    @property
    def told(self) -> Stats:
        """What was counted in the other process."""
        return self._ended + self._now

    @property
    def settled(self) -> bool:
        """Every batch has its answer."""
        return not self._unanswered

    @property
    def left(self) -> int:
        """Lines that the disk has not taken, or that nobody knows of."""
        return self._left + sum(chunks for chunks, _ in self._unanswered)

    def take(self, items: Iterable[Item]) -> None:
        """Hand over a batch."""
        batch = self._with_learned(items)
        if self._given is not None:
            self._given += batch
        self._send(batch)
        while len(self._unanswered) > AHEAD and self._process is not None:
            self._hear()

    def retry(self) -> None:
        """Have what the disk did not take offered to it again, or start another process."""
        self.failing = False
        self._send([])
        self.settle()

    def settle(self) -> None:
        """Wait for every answer."""
        while self._unanswered and self._process is not None:
            self._hear()

    def close(self) -> None:
        """Have the segment sealed, and the process ended."""
        if self._process is not None:
            self._send([], last=True)
            self.settle()
        process, self._process = self._process, None
        if process is not None:
            process.let_go()
            process.wait()

    def abandon(self) -> None:
        """In the child of a fork: let go of the parent's process."""
        process, self._process = self._process, None
        if process is not None:
            process.disown()

    def _with_learned(self, items: Iterable[Item]) -> list[_Handed]:
        """Items, and before each what there is to know of secrets."""
        batch: list[_Handed] = []
        for item in items:
            if type(item[3]) is not bytes and (learned := self._secrets.learned) != self._learned:
                self._learned = learned
                batch.append(("", 0, 0, Learned(learned)))
            batch.append(item)
        return batch

    def _send(self, batch: list[_Handed], *, last: bool = False) -> None:
        chunks = [len(item[3]) for item in batch if isinstance(item[3], bytes)]
        try:
            if self._process is None:
                self._process = _Process(_shown(self._setup.path))
                self._process.send(self._setup)
                self._unanswered.append((0, 0))  # it says that it is ready
            self._unanswered.append((len(chunks), sum(chunks)))
            self._process.send(Batch(batch, self._stats, last))
        except OSError as error:
            self._lost(str(error))

    def _hear(self) -> None:
        assert self._process is not None
        try:
            answer = self._process.answer()
        except (EOFError, OSError, msgspec.MsgspecError) as error:
            self._lost(str(error))
            return
        self._given = None
        self._unanswered.popleft()
        self._now, self._left, self.failing = answer.stats, answer.left, answer.failing
        for problem in answer.problems:
            error = RuntimeError(problem.error) if problem.internal else OSError(problem.error)
            self._failed(problem.what, error, internal=problem.internal)

    def _lost(self, why: str) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.let_go()
            why = f"exit status {process.wait()}"
        given, self._given = self._given, []
        if given is not None:
            raise CannotStart(why, [item for item in given if is_item(item)])
        self._stats.dropped_chunks += sum(chunks for chunks, _ in self._unanswered)
        self._stats.dropped_bytes += sum(size for _, size in self._unanswered)
        self._unanswered.clear()
        self._ended, self._now, self._left = self.told, Stats(), 0
        self._learned = []
        self.failing = True
        self._failed("the writer's process ended; another is started", ChildProcessError(why))


def _shown(path: bytes) -> bytes:
    """For a command line, which cannot have everything that a name can be tried with."""
    return path.replace(b"\0", b"?")


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Answer).decode


def write_frame(fd: int, data: bytes) -> None:
    """Raises OSError when nobody is going to read it."""
    view = memoryview(len(data).to_bytes(_LENGTH_BYTES) + data)
    while view:
        view = view[os.write(fd, view) :]


def frames(fd: int) -> Generator[bytearray]:
    """One after the other as they come, until the pipe ends, in the middle of one perhaps."""
    came = bytearray()
    while True:
        while len(came) < (size := _LENGTH_BYTES + int.from_bytes(came[:_LENGTH_BYTES])):
            part = os.read(fd, _READ_BYTES)
            if not part:
                return
            came += part
        yield came[_LENGTH_BYTES:size]
        del came[:size]
