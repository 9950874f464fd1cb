"""What runs in the process of `remote.py`: `python -m recorder.log.remote_main PATH`, with PATH for `ps` to show.

It takes batches from stdin and answers each on stdout. Signals that end the application do not end it: its end is
the end of stdin, when all that was in there is written, or a minute later. Where cores are fewer than work it is
the one to wait.
"""

from __future__ import annotations

import os
import re
import secrets
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Generator
from functools import partial
from pathlib import Path

import msgspec
from msgspec.structs import replace

from recorder.core.capture import Capture
from recorder.core.records import Header
from recorder.core.redact import Secrets
from recorder.version import __version__

from .items import Item, Stats
from .pipeline import Pipeline
from .remote import Answer, Batch, Learned, Problem, Setup, frames, is_item, write_frame

NICENESS = 10
_TRY_S = 0.2


class _Work:
    """The pipeline, and what is said of it."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._problems: list[Problem] = []
        self._secrets = Secrets(setup.secrets)
        self._stats = Stats()
        self._beside = Stats()
        """What the application's side has counted."""
        rules = [rule if isinstance(rule, str) else re.compile(rule.pattern, rule.flags) for rule in setup.rules]
        capture = Capture(setup.capture, rules, failed=partial(self._failed, "its records have no text"))
        self.pipeline = Pipeline(
            Path(os.fsdecode(setup.path)),
            self._header,
            self._secrets,
            self._stats,
            durability=setup.durability,
            limits=setup.limits,
            clock=time.perf_counter_ns,
            failed=self._failed,
            capture=capture if capture.changes else None,
            beside=lambda: self._beside,
        )

    def do(self, batch: Batch) -> None:
        self._beside = batch.stats
        if batch.items:
            self.pipeline.take(self._items(batch))
        else:
            self.pipeline.retry()
        self._stats.writer_cpu_ns = time.process_time_ns()
        if batch.last:
            self.pipeline.close()

    def answer(self) -> Answer:
        problems, self._problems = self._problems, []
        return Answer(self._stats, self.pipeline.failing, self.pipeline.left, problems)

    def _items(self, batch: Batch) -> Generator[Item]:
        for item in batch.items:
            if is_item(item):
                yield item
            elif isinstance(item[3], Learned):
                for value in item[3].values:
                    self._secrets.learn(value)

    def _header(self) -> Header:
        now = {"wall": time.time_ns(), "mono": time.perf_counter_ns()}
        return replace(self._setup.header, segment=secrets.token_hex(8), **now)

    def _failed(self, what: str, error: Exception, *, internal: bool = False) -> None:
        said = "".join(traceback.format_exception(error)) if internal else str(error)
        self._problems.append(Problem(what, said, internal))


def _told(answer: bytes) -> bool:
    """Whether there is somebody to hear it. If not, there may still be batches that were sent before."""
    try:
        write_frame(1, answer)
    except BrokenPipeError:
        return False
    return True


def _end_after(outlives_s: float) -> None:
    """End this process so long after its application, whatever it waits for then."""
    pipe = select.poll()
    pipe.register(0, 0)  # for nothing but the end of the other side, which is told in any case
    pipe.poll()
    time.sleep(outlives_s)
    os._exit(1)


def main() -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(Batch).decode
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    given = frames(0)
    first = next(given, None)
    if first is None:
        return
    setup = msgspec.msgpack.decode(first, type=Setup)
    if setup.version != __version__:
        sys.exit(f"this is {__version__}")
    if hasattr(select, "poll"):
        threading.Thread(target=_end_after, args=(setup.outlives_s,), daemon=True).start()
    work = _Work(setup)
    heard = _told(encode(work.answer()))
    for batch in map(decode, given):
        work.do(batch)
        heard = heard and _told(encode(work.answer()))
        if batch.last:
            return
    deadline = time.monotonic() + setup.outlives_s / 2
    while work.pipeline.failing and time.monotonic() < deadline:
        time.sleep(_TRY_S)
        work.pipeline.retry()
    work.pipeline.abandon()  # as a process that was killed leaves it: without a footer


if __name__ == "__main__":
    main()
