"""Entering a virtual clock: in its threads, `time` and asyncio tell its time instead of the real one.

`time.monotonic`, `perf_counter`, `time` (also in ns) and `sleep` are replaced in the module `time`, and where
a module of the application or of a library has them under a name of its own (`from time import monotonic`). All
other threads go on in real time. Those started inside take part, except the recorder's own.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .virtual import VirtualClock, in_ns

_monotonic_ns, _perf_counter_ns, _time_ns, _sleep = (
    time.monotonic_ns,
    time.perf_counter_ns,
    time.time_ns,
    time.sleep,
)
_SPARED = {"recorder", "recorder_cli", "pytest", "_pytest", "xdist", "execnet", "hypothesis", "trio"}
"""Packages beside the standard library that keep the real time where they hold it by a name of their own."""
_OURS = "recorder-"
"""How the names of our threads begin."""
_here = threading.local()
_lock = threading.Lock()
_entered: list[VirtualClock] = []
"""One entry for each use."""
_originals: list[tuple[Any, str, Any]] = []


def enter() -> VirtualClock:
    """The clock of this thread, from here on: its own, or the one that it is in already.

    Raises ClockError inside an event loop that is not asyncio's own.
    """
    with _lock:
        clock = clock_here() or VirtualClock(_monotonic_ns())
        loop = _running_loop()
        if loop is not None:
            clock.attach(loop)
        clock.uses += 1
        clock.threads.add(threading.current_thread())
        _here.clock = clock
        _entered.append(clock)
        if len(_entered) == 1:
            _install()
    return clock


def leave(clock: VirtualClock) -> None:
    """The opposite of `enter`."""
    with _lock:
        _entered.remove(clock)
        clock.uses -= 1
        if not clock.uses:
            clock.detach_all(_monotonic_ns)
        if not _entered:
            _uninstall()


def clock_here() -> VirtualClock | None:
    """The clock that this thread is in."""
    clock: VirtualClock | None = getattr(_here, "clock", None)
    return clock if clock is not None and clock.uses else None


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _install() -> None:
    replacing = _replacements(_perf_counter_ns() - _monotonic_ns(), _time_ns() - _monotonic_ns())
    for module in [one for name, one in tuple(sys.modules.items()) if _is_told(name)]:
        for name, value in tuple(vars(module).items()):
            if (replacement := replacing.get(id(value))) is not None:
                _replace(module, name, replacement)
    _replace(threading.Thread, "start", _start_inside(threading.Thread.start))
    _replace(asyncio.BaseEventLoop, "run_forever", _run_inside(asyncio.BaseEventLoop.run_forever))


def _uninstall() -> None:
    while _originals:
        owner, name, value = _originals.pop()
        setattr(owner, name, value)


def _replace(owner: Any, name: str, value: Any) -> None:
    _originals.append((owner, name, owner.__dict__[name]))
    setattr(owner, name, value)


def _is_told(name: str) -> bool:
    top = name.partition(".")[0]
    is_module = isinstance(sys.modules.get(name), ModuleType)
    return is_module and (name == "time" or (top not in sys.stdlib_module_names and top not in _SPARED))


def _replacements(perf_counter_is_ahead: int, wall_is_ahead: int) -> dict[int, Callable[..., Any]]:
    """By the id of the real function, what takes its place. The clocks keep their distances."""
    replacing: dict[int, Callable[..., Any]] = {}
    for name, ahead in (("monotonic", 0), ("perf_counter", perf_counter_is_ahead), ("time", wall_is_ahead)):
        for reader in (getattr(time, name), getattr(time, f"{name}_ns")):
            replacing[id(reader)] = _reader(reader, ahead, in_seconds=reader.__name__ == name)
    replacing[id(_sleep)] = _virtual_sleep
    return replacing


def _reader(real: Callable[[], Any], ahead: int, *, in_seconds: bool) -> Callable[[], Any]:
    def read() -> Any:
        clock = clock_here()
        if clock is None:
            return real()
        now = clock.now() + ahead
        return now / 1e9 if in_seconds else now

    read.__name__ = real.__name__
    return read


def _virtual_sleep(seconds: float, /) -> None:
    clock = clock_here()
    ns = 0 if clock is None else in_ns(seconds)
    if clock is None or ns == 0:
        _sleep(seconds)
    else:
        clock.sleep(ns)


def _start_inside(start: Any) -> Any:
    def start_inside(self: threading.Thread) -> None:
        clock = clock_here()
        if clock is not None and not self.name.startswith(_OURS):
            clock.threads.add(self)
            self.run = _inside(clock, self, self.run)
        start(self)

    return start_inside


def _inside(clock: VirtualClock, thread: threading.Thread, run: Callable[[], None]) -> Callable[[], None]:
    def inside() -> None:
        _here.clock = clock
        try:
            run()
        finally:
            clock.threads.discard(thread)

    return inside


def _run_inside(run_forever: Any) -> Any:
    def run_forever_inside(self: asyncio.BaseEventLoop) -> None:
        if (clock := clock_here()) is not None:
            clock.attach(self)
        run_forever(self)

    return run_forever_inside
