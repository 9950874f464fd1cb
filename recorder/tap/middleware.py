"""The tap on the Anthropic SDK, as the middleware that the SDK has for such things.

Middleware runs once per HTTP attempt, inside the SDK's retry loop, so every attempt is a stream of its own.
It sees a request before it is built, so 0 on the time line is when the SDK begins to build it, a fraction of
a millisecond before the HTTP client has it; what the HTTP client did then, and when, `phases.py` finds out. Of a
call that does not stream, whose body the SDK reads before we see it, the body has the time at which it had
been read, as one chunk. `TapTransport` sits lower and sees the chunks.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

import httpx2
import msgspec
from anthropic import Middleware

from recorder.core.capture import Capture, Mode
from recorder.core.records import Header, StreamRecord
from recorder.core.rules import Given
from recorder.core.semconv import DEFAULT
from recorder.log.items import Later, Sent, Stats
from recorder.log.remote import setups
from recorder.log.sampling import HELD_BYTES, Keep, Sampling
from recorder.log.sink import ROTATE_BYTES, ROTATE_S, Durability, Limits
from recorder.log.writer import QUEUE_BYTES, Writer, check_interpreter

from . import credentials, tagging
from .body import AsyncBody, SyncBody, watch_response
from .calls import call_of
from .chain import Client, client_behind
from .eager import ahead_of
from .heading import header_of
from .metrics import CallMetrics, MeterProvider
from .observing import observing
from .parts import Asked, asked_of, json_of
from .phases import Connection, install, recording
from .watch import Watch

if TYPE_CHECKING:
    from anthropic import APIRequest, APIResponse, AsyncAPIResponse, AsyncCallNext, CallNext

log = logging.getLogger("recorder")

Arrival = Literal["pull", "eager"]
"""Who reads a stream from the transport, and when: the application when it likes, or the tap at once."""
Where = Literal["thread", "process"]
"""Where records are made and written: on a thread of the application's process, or in a process of its own."""


class Tap(Middleware):
    """Records what the clients it is put on send and receive.

        tap = recorder.Tap("recordings/")
        client = tap.wrap(Anthropic())          # or Anthropic(middleware=[tap])

    One tap serves any number of clients, sync and async, in any number of threads and tasks, and goes on in
    the child of a fork, in a segment of its own. A `path` that ends in `.jsonl` is a file to append to; any
    other is a directory, to which each process adds its own segments: a new one when the last has
    `rotate_bytes` or is `rotate_s` seconds old (None: never). A stream may go on in the next one.

    `redact`: JSON paths, patterns and functions that say what else is not to be written (`core/rules.py`).
    `capture="timing"` writes no prompt, no output and no free text, and keeps every metric. `sample` is the share
    of calls that are recorded; of the others those streams for which `keep`, given their `Timing` when they
    end, returns true: until then they are held in memory, in at most `held_bytes`.

    `tags` are written with every call. `queue_bytes` bounds what waits for a slow disk; past it records are
    dropped and counted (`stats()`), never waited for. What is written survives the end of the process; with
    `durability="fsync"` a power cut as well. With `arrival="eager"` a reader of the tap's own, a thread or a task
    for each event stream, reads up to 1 MiB ahead of the application: arrivals then have their true times
    however slow it is. With `pull` nothing is read before the application asks, and what was there before is
    recorded as such. `observe` is called on the writer's thread with every record, before `capture` and `redact`
    see it; what it raises is logged once. `clock` and `wall_clock` give ns, `new_id` stream ids.

    With `writer="process"` records are made and written in a child process, which leaves the GIL to the
    application. Its functions cannot be called there: `keep`, `observe`, `metrics`, functions in `redact` and
    clocks need the thread. Where no process can be started a thread writes, and that is logged.

    `metrics`, a meter provider of OpenTelemetry's, is given what calls come to as they end: their duration, time
    to first token, gaps and tokens, in the names of version `semconv` of the conventions. They are of the calls
    that are looked at, which without `keep` are those of the sample.

    Raises ValueError for an unknown option, RecordingError when `path` is a file with something else in it, or
    compressed, and RuntimeError in an isolated subinterpreter. Nothing else raises: when records cannot be
    written the application goes on, why is logged once (logger `recorder`), and `stats()` tells.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        tags: Mapping[str, str] | None = None,
        source: str | None = None,
        queue_bytes: int = QUEUE_BYTES,
        durability: Durability = "write",
        rotate_bytes: int | None = ROTATE_BYTES,
        rotate_s: float | None = ROTATE_S,
        arrival: Arrival = "pull",
        redact: Iterable[Given] = (),
        capture: Mode = "full",
        sample: float = 1.0,
        keep: Keep | None = None,
        held_bytes: int = HELD_BYTES,
        observe: Callable[[StreamRecord], None] | None = None,
        metrics: MeterProvider | None = None,
        semconv: str = DEFAULT,
        writer: Where = "thread",
        clock: Callable[[], int] = time.perf_counter_ns,
        wall_clock: Callable[[], int] = time.time_ns,
        new_id: Callable[[], str] = lambda: os.urandom(8).hex(),
    ) -> None:
        check_interpreter()
        if arrival not in ("pull", "eager"):
            raise ValueError(f"arrival is {arrival!r}; it is 'pull' or 'eager'")
        self._arrival, self._source = arrival, source
        self._tags = {str(name): str(value) for name, value in (tags or {}).items()}
        self._clock, self._wall_clock, self.new_id = clock, wall_clock, new_id
        self._keys = credentials.Keys()
        self._told: set[str] = set()
        self._sampling = Sampling(sample, keep, failed=self._keep_failed, held_bytes=held_bytes)
        self._metrics = CallMetrics(metrics, clock, semconv) if metrics else None
        observers = [one for one in (observe, self._metrics and self._metrics.take) if one]
        rules, limits = list(redact), Limits(rotate_bytes=rotate_bytes, rotate_s=rotate_s)
        captured = Capture(capture, rules, failed=self._rule_failed)
        own_clocks = clock is not time.perf_counter_ns or wall_clock is not time.time_ns
        self._writer = Writer(
            Path(path).absolute(),
            self._header,
            self._keys.secrets,
            queue_bytes=queue_bytes,
            durability=durability,
            limits=limits,
            clock=clock,
            capture=observing(observers, captured, self._observer_failed),
            sampling=self._sampling if sample < 1 else None,
            remote=setups(
                writer,
                {"keep": keep, "observe": observe, "metrics": metrics, "a clock": own_clocks},
                header=self._header,
                secrets=self._keys.secrets,
                durability=durability,
                limits=limits,
                capture=capture,
                rules=rules,
            ),
        )

    def __repr__(self) -> str:
        return f"<recorder.Tap {os.fspath(self.path)!r}{' closed' if self._writer.closed else ''}>"

    @property
    def path(self) -> Path:
        """Where the records go."""
        return self._writer.path

    def wrap(self, client: Client) -> Client:
        """A copy of `client` that is recorded; it shares the HTTP client of the original, which is not."""
        self._keys.learn_client(client)
        return client if self in client.middleware else client.with_middleware(self)

    def stats(self) -> Stats:
        """What was recorded and what was lost so far."""
        sampling = self._sampling
        return msgspec.structs.replace(
            self._writer.totals, sampled_out=sampling.sampled_out, given_up=sampling.given_up
        )

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until everything seen so far is in the file; False when `timeout` seconds were not enough."""
        return self._writer.flush(timeout)

    def close(self) -> None:
        """Write what is left and stop recording. Streams that are still being read go on, unrecorded.

        Called at interpreter exit when it was not before.
        """
        self._writer.close()
        if self._metrics is not None:
            self._metrics.settle()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def handle(self, request: APIRequest, call_next: CallNext) -> APIResponse[Any]:
        watch = self._begin(request, call_next)
        if watch is None:
            with self.passing_over():
                return call_next(request)
        try:
            with recording(watch.connection):
                response = call_next(request)
        except BaseException as error:
            self.failed(watch, error)
            raise
        self._watch(response, watch, SyncBody)
        return response

    async def handle_async(self, request: APIRequest, call_next: AsyncCallNext) -> AsyncAPIResponse[Any]:
        watch = self._begin(request, call_next, shared=True)
        if watch is None:
            with self.passing_over():
                return await call_next(request)
        try:
            with recording(watch.connection):
                response = await call_next(request)
        except BaseException as error:
            self.failed(watch, error)
            raise
        self._watch(response, watch, AsyncBody)
        return response

    def begin(self, **asked: Unpack[Asked]) -> Watch | None:
        """Start to record an attempt that is about to be sent; None when there is no room for it."""
        watch = self._new_watch()
        if watch is None:
            return None
        watch.announced(self._sent(watch, tagging.current(), asked))
        return watch if watch.flows else None

    def _new_watch(self) -> Watch | None:
        """For an attempt that is about to be sent; None when there is no room for it."""
        if not self._writer.lets_in():
            return None
        return Watch(self.new_id(), self._writer, self._clock, self._clock(), self._wall_clock())

    def _sent(self, watch: Watch, tags: dict[str, str], asked: Asked) -> Later:
        sent = Sent(
            stream=watch.stream,
            call=asked["call"] or watch.stream,
            attempt=asked["attempt"],
            wall=watch.wall,
            mono=watch.sent,
            method=asked["method"].upper(),
            url=asked["url"],
            headers=asked["headers"],
            body=asked["body"],
            tags={**self._tags, **tags} or None,
            parts=tuple(asked.get("parts", ())),
        )

        def make() -> Sent:
            if "before" in asked:
                asked["before"]()
            return sent

        return Later(make, sent.size)

    def wants(self, call: str) -> bool:
        """Whether anything of this call is recorded, so far as its id tells."""
        return self._sampling.wants(call)

    @property
    def closed(self) -> bool:
        """Nothing is recorded any more."""
        return self._writer.closed

    @contextmanager
    def passing_over(self) -> Generator[None]:
        """What is sent inside is not recorded, and not by `instrument` either, unless the tap is closed."""
        if self.closed:
            yield
            return
        with recording(Connection(self._clock, self._clock())):
            yield

    def learn(self, values: Iterable[str]) -> None:
        """Never write these values, until many others were learned."""
        self._keys.learn(values)

    def body_of(self, response: httpx2.Response, kind: type[SyncBody | AsyncBody]) -> type[SyncBody | AsyncBody]:
        """What the body of `response` is to be wrapped in, for a client of `kind`."""
        return ahead_of(response, kind) if self._arrival == "eager" else kind

    @contextmanager
    def guarded(self, watch: Watch) -> Generator[None]:
        """What fails inside costs the records of one attempt, and nothing else."""
        try:
            yield
        except Exception as error:
            watch.closed()
            self.internal_error(error)

    def _meet_client(self, call_next: object) -> tuple[object, bool]:
        """The client that sends, and whether its HTTP client is going to tell its phases. An SDK that is made in
        another way than those we know costs the phases, which `stats()` counts, and nothing else."""
        try:
            client = client_behind(call_next)
            return client, install(getattr(client, "_client", None))
        except Exception:
            return None, False

    def failed(self, watch: Watch, error: BaseException) -> None:
        """No response came. Its message may quote the request."""
        with self.guarded(watch):
            self.learn(credentials.of_error(error))
        watch.failed(watch.clock(), 0, error)

    def _begin(self, request: APIRequest, call_next: object, *, shared: bool = False) -> Watch | None:
        """`shared`: other tasks may change what it is made of while this one connects. (SDK 2 keeps a copy.)"""
        try:
            call = call_of(request, self.new_id)
            if not self.wants(call):
                return None
            client, tells = self._meet_client(call_next)
            body = json_of(request) if shared else None
            watch = self._new_watch()
            if watch is not None:
                watch.announces(partial(self._announce, watch, tagging.current(), request, body, call, client))
                if not tells:
                    watch.announce()
        except Exception as error:
            self.internal_error(error)
            return None
        else:
            return watch

    def _announce(
        self,
        watch: Watch,
        tags: dict[str, str],
        request: APIRequest,
        body: bytes | None,
        call: str,
        client: object,
    ) -> None:
        try:
            asked = asked_of(request, json_of(request) if body is None else body, call)

            def learn() -> None:
                if client is not None:
                    self._keys.learn_client(client)
                self.learn(credentials.of_headers(asked["headers"]))

            watch.announced(self._sent(watch, tags, {**asked, "before": learn}))
        except Exception as error:
            watch.mute()
            self.internal_error(error)

    def _watch(self, response: object, watch: Watch, body: type[SyncBody | AsyncBody]) -> None:
        http = getattr(response, "http_response", None)
        if not isinstance(http, httpx2.Response):
            watch.closed()  # another middleware answered with a value of its own
            return
        with self.guarded(watch):
            request, raw, seen = http.request, http.headers.raw, credentials.exchanges(http)

            def headers() -> list[tuple[str, str]]:
                self.learn(credentials.of_exchanges(seen))
                return httpx2.Headers(raw).multi_items()

            watch_response(http, request, watch, self.body_of(http, body), headers=headers, url=request.url)

    def _rule_failed(self, error: Exception) -> None:
        self._tell(str(error), "its records have no text")

    def _keep_failed(self, error: Exception) -> None:
        self._tell(f"keep raised {type(error).__name__}", "its streams are written")

    def _observer_failed(self, error: Exception) -> None:
        self._tell(f"observing raised {type(error).__name__}", "records are written all the same")

    def _tell(self, what: str, then: str) -> None:
        """What the user's own function did wrong, once each. Never what it was given, which may be secret."""
        self._writer.stats.errors += 1
        if what not in self._told:
            self._told.add(what)
            log.error("recorder: %s: %s; %s", self.path, what, then)

    def internal_error(self, error: Exception) -> None:
        """A failure of ours that must not reach the application; under pytest it does."""
        self._writer.stats.errors += 1
        log.exception("recorder: %s: internal error; one stream is not recorded", self.path)
        if "PYTEST_CURRENT_TEST" in os.environ:
            raise error

    def _header(self) -> Header:
        return header_of(self._clock, self._wall_clock, self._source)
