"""The writer: a bounded queue that the application's threads append to, and one thread that empties it.

The application's side of the queue makes no system call, takes no lock and never hands over the GIL: an inline
`os.write` costs a median of 3 µs, and 8 ms at the 90th percentile beside one busy thread, which keeps the
GIL that the system call gave up.

The thread sleeps on an event while no stream is open. While one is, it looks every `POLL_S`, because waking
it per event would cost the application a lock and a context switch per event; when nothing comes it looks
less often, but always within the 10 ms that may be lost to `kill -9`.

While the disk fails nothing is taken off the queue: the records wait there until it is full, and what finds
it full is dropped and counted, and stands in the log as a `gap`.

What is made of the items is a pipeline's work: on the same thread, or in a process of its own, to which the thread
hands them.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import threading
import time
import weakref
from collections.abc import Callable, Generator
from contextlib import suppress
from multiprocessing import util as multiprocessing_util
from pathlib import Path
from typing import Protocol, cast

from recorder.core.records import Header, StreamRecord
from recorder.core.redact import Secrets

from .files import SUFFIX, RecordingError
from .items import Dropped, Ended, Item, Later, Note, Sent, Stats
from .pipeline import Pipeline
from .queue import Queue
from .remote import CannotStart, RemotePipeline, Setup
from .sampling import Sampling
from .sink import Durability, Limits, check_path

log = logging.getLogger("recorder")

QUEUE_BYTES = 64 << 20
"""Default bound of the queue: half a minute of a stalled disk at 5,000 events/s."""
POLL_S = 0.002
REMOTE_POLL_S = 0.004
"""With a process, to which each batch costs a system call more."""
IDLE_POLL_S = 0.008
BATCH_BYTES = 1 << 20
RETRY_S = 1.0
"""How long a disk that failed is left alone."""
CLOSE_S = 5.0
"""How long `close` waits for a disk that blocks."""


_EXPECTED = (OSError, RecordingError)
"""Failures that are not ours: one line says it all, a traceback would not help."""


def check_interpreter() -> None:
    """Raises RuntimeError where no thread like the writer's is allowed: in an isolated subinterpreter."""
    try:
        probe = threading.Thread(target=int, daemon=True)
        probe.start()
    except RuntimeError as error:
        if "interpreter" in str(error):
            raise RuntimeError(
                f"recorder.Tap cannot record in this subinterpreter ({error}); make it in the main interpreter"
            ) from None
        return  # no more threads, for now: the writer tries again
    probe.join()


class Mutable(Protocol):
    """Who hands in the chunks of an attempt."""

    def mute(self) -> None:
        """Hand in nothing more."""


class Writer:
    """Takes what the tap saw, from any thread, and has the records appended to a segment, from its own.

    `remote` gives what a pipeline for a path is made from, in a process of its own; None: on the writer's thread,
    by `capture` and `sampling`.
    """

    def __init__(
        self,
        path: Path,
        header: Callable[[], Header],
        secrets: Secrets,
        *,
        queue_bytes: int = QUEUE_BYTES,
        durability: Durability = "write",
        limits: Limits | None = None,
        clock: Callable[[], int] = time.perf_counter_ns,
        capture: Callable[[StreamRecord], StreamRecord] | None = None,
        sampling: Sampling | None = None,
        remote: Callable[[Path], Setup] | None = None,
    ) -> None:
        if durability not in ("write", "fsync"):
            raise ValueError(f"durability is {durability!r}; it is 'write' or 'fsync'")
        self.path = path
        self.stats = Stats()
        """What is counted on this side of the pipeline, and by one on the writer's thread."""
        self._secrets = secrets
        self._new_local = lambda: Pipeline(
            self.path,
            header,
            secrets,
            self.stats,
            durability=durability,
            limits=limits or Limits(),
            clock=clock,
            failed=self._failed,
            capture=capture,
            sampling=sampling,
        )
        self._remote = remote
        self._sampling = sampling
        self._limit = Queue.limit_of(queue_bytes)
        self._reset()
        with suppress(OSError):  # not now, perhaps later: the writer tries every second, and says so
            check_path(path)
        _writers.add(self)
        atexit.register(self.close)
        # A child of `multiprocessing` ends without atexit, by finalizers of its own; it clears them as it starts.
        multiprocessing_util.register_after_fork(self, Writer._close_with_child)
        if multiprocessing.parent_process() is not None:
            self._close_with_child()

    def _close_with_child(self) -> None:
        multiprocessing_util.Finalize(self, self.close, exitpriority=100)

    def _reset(self) -> None:
        self.queue = Queue(self._limit)
        # Reentrant: the garbage collector may close a body, and so get to `put`, while this thread holds it.
        self._lock = threading.RLock()
        self._watches: weakref.WeakSet[Mutable] = weakref.WeakSet()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._idle = False
        self._flushing = False
        self._closing = False
        self._open: set[str] = set()
        """Streams that have not ended. The writer's thread alone keeps count of them."""
        self._pipeline = self._new_pipeline()
        self._busy = False
        """What was taken off the queue is not all on the disk yet."""
        self._failure: Exception | None = None
        if self._sampling is not None:
            self._sampling.reset()
        self._told: set[str] = set()
        """What was logged, which is once."""

    def _new_pipeline(self) -> Pipeline | RemotePipeline:
        if self._remote is None:
            return self._new_local()
        return RemotePipeline(self._remote(self.path), self._secrets, self.stats, self._failed)

    @property
    def totals(self) -> Stats:
        """What was recorded and what was lost so far."""
        return self.stats + self._pipeline.told

    def count_dropped(self, size: int) -> None:
        """Note a chunk of `size` bytes that found no room. What comes after `close` is no loss of ours."""
        if not self._closing:
            self.stats.dropped_chunks += 1
            self.stats.dropped_bytes += size

    def lets_in(self) -> bool:
        """Whether there is room for another attempt. If not, the writer being closed aside, that is counted."""
        if self.queue.has_room():
            return True
        self.stats.dropped_streams += 0 if self._closing else 1
        return False

    def put_request(self, stream: str, sent: Later, watch: Mutable) -> bool:
        """Queue the start of an attempt, which `sent` makes; False when there is no room, or the writer is closed.

        `watch` is muted in the child of a fork: from there on the attempt is the parent's to record. It is not
        kept alive.
        """
        if not self.lets_in():
            return False
        self._watches.add(watch)
        self.put(stream, 0, 0, sent)
        return True

    def put(self, stream: str, at: int, wait: int, item: Later | Ended | Dropped) -> None:
        """Queue anything else about an attempt that was let in: a few small items, so there is always room."""
        if self._closing:
            return
        self.queue.put(stream, at, wait, item)
        if self._thread is None:
            self._start()
        elif self._idle:
            self._wake.set()

    def flush(self, timeout: float = CLOSE_S) -> bool:
        """Wait until all that was queued before is written; False when it took longer than `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while (self.queue.items or self._busy) and time.monotonic() < deadline:
            self._flushing = True
            if self._thread is None or not self._thread.is_alive():
                break
            if self._idle:
                self._wake.set()
            time.sleep(POLL_S / 2)
        self._flushing = False
        return not self.queue.items and not self._busy

    def close(self) -> None:
        """Write what is queued and stop. Nothing is recorded afterwards; streams go on undisturbed."""
        atexit.unregister(self.close)
        with self._lock:
            self._closing = True
            self.queue.limit = 0
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            self._wake.set()
            thread.join(CLOSE_S)
            left = len(self.queue.items) + self._pipeline.left
            if left and "left" not in self._told:
                self._told.add("left")
                self.stats.lost_records += left
                log.error("recorder: %s: closed while the disk takes nothing; %d records lost", self.path, left)
        if self._failure is not None and "PYTEST_CURRENT_TEST" in os.environ:
            failure, self._failure = self._failure, None
            raise failure

    @property
    def closed(self) -> bool:
        """Nothing is recorded any more."""
        return self._closing

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None or self._closing:
                return
            try:
                thread = threading.Thread(target=self._run, name="recorder-writer", daemon=True)
                thread.start()
            except RuntimeError as error:  # no more threads, for now, or none in this interpreter: tried again
                self._failed("cannot start the writer's thread; records wait in memory", OSError(*error.args))
            else:
                self._thread = thread

    def _run(self) -> None:
        self._stand_back()
        pause = IDLE_POLL_S
        while True:
            closing = self._closing
            self.stats.writer_cpu_ns = time.thread_time_ns()
            if self._pipeline.failing:
                self._wake.wait(RETRY_S)
                self._wake.clear()
                self._do(lambda pipeline: pipeline.retry())
                if closing and self._pipeline.failing:
                    break
            elif self.queue.items:
                self._drain()
                pause = POLL_S if self._remote is None else REMOTE_POLL_S
            elif not self._pipeline.settled and (closing or self._flushing or not self._open):
                self._do(lambda pipeline: pipeline.settle())
            elif closing:
                break
            elif self._open:
                time.sleep(pause)
                pause = min(pause * 2, IDLE_POLL_S)
            else:
                self._idle = True
                self._wake.clear()
                if not self.queue.items and not self._closing:
                    self._wake.wait()
                self._idle = False
                self._stand_back()
        while not self._closed_pipeline():
            pass

    def _stand_back(self) -> None:
        """What woke the thread is a request that the application is about to send: its turn first."""
        if not self._closing:
            time.sleep(POLL_S)

    def _drain(self) -> None:
        """Hand what is queued to the pipeline."""
        self._busy = True
        self.stats.queue_high_water = max(self.stats.queue_high_water, len(self.queue.items))
        self._do(lambda pipeline: pipeline.take(self._taken()))

    def _do(self, what: Callable[[Pipeline | RemotePipeline], None]) -> None:
        """Something with the pipeline; in this process from now on when the other cannot be started."""
        try:
            what(self._pipeline)
        except CannotStart as error:
            self._failed("cannot start a process to write; a thread does instead", ChildProcessError(str(error)))
            self._remote, self._pipeline = None, self._new_local()
            self._pipeline.take(error.items)
        except Exception as error:
            self._internal_error(error)
        self._busy = self._pipeline.failing or not self._pipeline.settled

    def _closed_pipeline(self) -> bool:
        """False when it was found not to be there, and another one is."""
        pipeline = self._pipeline
        self._do(lambda pipeline: pipeline.close())
        return self._pipeline is pipeline

    def _taken(self) -> Generator[Item]:
        """What is queued, item by item, as notes and chunks."""
        queue, items = self.queue, self.queue.items
        size = 0
        while items and size < BATCH_BYTES:
            queued = queue.take()
            item = queued[3]
            if isinstance(item, bytes):
                size += len(item)
                yield cast("Item", queued)
            elif (note := self._note(queued[0], item)) is not None:
                yield *queued[:3], note

    def _note(self, stream: str, item: Later | Ended | Dropped) -> Note | None:
        """What it says, once it is made; None when it cannot be."""
        try:
            note = item.make() if isinstance(item, Later) else item
        except Exception as error:
            self._internal_error(error)
            return None
        if isinstance(note, Sent):
            self._open.add(stream)
        elif isinstance(note, Ended):
            self._open.discard(stream)
        elif isinstance(note, Dropped):
            self._tell_dropped()
        return note

    def _internal_error(self, error: Exception) -> None:
        self._failed("internal error; some records are lost", error, internal=True)

    def _failed(self, what: str, error: Exception, *, internal: bool = False) -> None:
        if internal:
            self._failure = error
        if what not in self._told:
            self._told.add(what)
            surprise = internal or not isinstance(error, _EXPECTED)
            log.error("recorder: %s: %s: %s", self.path, what, error, exc_info=error if surprise else None)
        self.stats.errors += 1

    def _tell_dropped(self) -> None:
        """A disk that blocks raises nothing: without this nobody would hear of what is missing."""
        if not self._told:
            log.error("recorder: %s: the queue was full, records were dropped; stats() counts them", self.path)
        self._told.add("dropped")

    def _after_fork(self) -> None:
        """In the child of a fork: what is queued is the parent's to write; our records go to our own file."""
        closing, watches, parents = self._closing, list(self._watches), self._pipeline
        self.stats = Stats()
        if self.path.suffix == SUFFIX:
            self.path = self.path.with_name(f"{self.path.stem}-{os.getpid()}{SUFFIX}")
        self._reset()
        self._closing = closing
        self.queue.limit = 0 if closing else self._limit
        for watch in watches:
            watch.mute()
        with suppress(OSError):  # the parent's thread may have just closed it
            parents.abandon()  # its lock would outlive the parent


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for writer in list(_writers):
        writer._after_fork()  # pyright: ignore[reportPrivateUsage]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
