"""Record Claude streams with honest times, query them with SQL, replay them in tests.

    tap = recorder.Tap("recordings/")
    client = tap.wrap(Anthropic())                       # record

    recorder.open("recordings/").sql("FROM streams")     # analyse

    with recorder.replay("recordings/"):                 # replay: no key, no network
        ...

The names below are the public ones. They are loaded when first used, so that importing this package costs
next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import faults as faults
    from .log.reader import CorruptError as CorruptError
    from .log.reader import Problem as Problem
    from .log.reader import RecordingError as RecordingError
    from .log.streams import Stream as Stream
    from .modes import use as use
    from .recording import Recording as Recording
    from .recording import open as open  # noqa: A004 - `recorder.open` is the name one would look for
    from .replayer.errors import Drift as Drift
    from .replayer.errors import EndOfRecording as EndOfRecording
    from .replayer.errors import NoMatch as NoMatch
    from .replayer.errors import NothingIntercepted as NothingIntercepted
    from .replayer.session import Replay as Replay
    from .replayer.session import replay as replay
    from .tap.instrument import instrument as instrument
    from .tap.instrument import uninstrument as uninstrument
    from .tap.middleware import Tap as Tap
    from .tap.tagging import tags as tags
    from .tap.transport import TapTransport as TapTransport
    from .version import __version__ as __version__

_HOME = {
    "CorruptError": "log.reader",
    "Drift": "replayer.errors",
    "EndOfRecording": "replayer.errors",
    "NoMatch": "replayer.errors",
    "NothingIntercepted": "replayer.errors",
    "Problem": "log.reader",
    "Recording": "recording",
    "RecordingError": "log.reader",
    "Replay": "replayer.session",
    "Stream": "log.streams",
    "Tap": "tap.middleware",
    "TapTransport": "tap.transport",
    "__version__": "version",
    "instrument": "tap.instrument",
    "open": "recording",
    "replay": "replayer.session",
    "tags": "tap.tagging",
    "uninstrument": "tap.instrument",
    "use": "modes",
}

__all__ = [
    "CorruptError",
    "Drift",
    "EndOfRecording",
    "NoMatch",
    "NothingIntercepted",
    "Problem",
    "Recording",
    "RecordingError",
    "Replay",
    "Stream",
    "Tap",
    "TapTransport",
    "__version__",
    "faults",
    "instrument",
    "open",
    "replay",
    "tags",
    "uninstrument",
    "use",
]


def __getattr__(name: str) -> Any:
    if name == "faults":
        return import_module(".faults", __name__)
    if (home := _HOME.get(name)) is None:
        raise AttributeError(f"module 'recorder' has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
