"""A program run beside a server of ours: its own terminal, its own signals, its own exit status."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence

FORWARDED = ("SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
_OF_THE_TERMINAL = ("SIGINT", "SIGQUIT")
"""A terminal sends these to all processes of its foreground, the program among them: to forward them would be to
send them twice."""


class CannotRun(Exception):
    """The program cannot be started. `code`: what a shell exits with then."""

    def __init__(self, message: str, *, found: bool) -> None:
        super().__init__(message)
        self.code = 126 if found else 127


async def run(command: Sequence[str], environment: Mapping[str, str], *, started: Callable[[], None]) -> int:
    """Run it to its end; gives its status, or 128 and the number of the signal that ended it, as a shell does.

    `started` is called once it runs, for what it is not to inherit. Raises CannotRun.
    """
    early: list[int] = []
    process: asyncio.subprocess.Process | None = None

    def forward(number: int) -> None:
        if process is None:
            early.append(number)
        elif process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    for number in _forwarded():
        asyncio.get_running_loop().add_signal_handler(number, forward, number)
    try:
        process = await asyncio.create_subprocess_exec(*command, env=environment)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        found = not isinstance(error, FileNotFoundError)
        raise CannotRun(
            f"{command[0]}: cannot be run: {reason.lower()}; give a command after --", found=found
        ) from None
    started()
    for number in early:
        forward(number)
    status = await process.wait()
    return status if status >= 0 else 128 - status


def _forwarded() -> list[int]:
    names = [name for name in FORWARDED if not (name in _OF_THE_TERMINAL and _in_foreground())]
    for name in _OF_THE_TERMINAL if _in_foreground() else ():
        signal.signal(getattr(signal, name), _ignore)  # not SIG_IGN, which the program would inherit
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def _ignore(*_: object) -> None:
    pass


def _in_foreground() -> bool:
    """Whether a terminal has this process, and so its children, in its foreground."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except (OSError, AttributeError):
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
