"""What a segment begins with."""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Callable

import anthropic

from recorder.core.records import FORMAT, VERSION, Header
from recorder.version import __version__


def header_of(clock: Callable[[], int], wall_clock: Callable[[], int], source: str | None) -> Header:
    """The header of a segment that begins now, in this process."""
    return Header(
        format=FORMAT,
        v=VERSION,
        segment=secrets.token_hex(8),
        wall=wall_clock(),
        mono=clock(),
        recorder=__version__,
        anthropic=anthropic.__version__,
        python=platform.python_version(),
        pid=os.getpid(),
        source=source,
    )
