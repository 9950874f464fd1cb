"""Which recordings the tests of a run used, as `pytest --record-used=FILE` writes it: JSON.

    {"format": "sse-recorder-used", "v": 1, "whole": true,
     "files": {"recordings/a.jsonl": ["9536c9edcf9c776b"], "recordings/b.jsonl": null}}

A name is relative to the directory of the file; beside it the ids of the streams that were served, or null where
all count as used (the file was recorded, or opened as a whole). `whole`: all tests ran, and none failed; else it
is not known what is unused.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from recorder.log.files import plain_name
from recorder.log.reader import RecordingError

FORMAT = "sse-recorder-used"


class _List(Struct):
    format: str
    v: int
    whole: bool
    files: dict[str, list[str] | None]


class Used:
    """What one or several runs used. Raises RecordingError for a list that cannot be read, is of a newer version,
    or not of a whole run."""

    def __init__(self, lists: Iterable[Path]) -> None:
        self._served: dict[Path, set[str] | None] = {}
        for path in lists:
            self._add(path)

    def unused(self, path: Path, streams: Iterable[str]) -> list[str]:
        """The ids, of those in the file `path`, that nothing used."""
        served = self._served.get(_named(path), set[str]())
        return [] if served is None else [id_ for id_ in streams if id_ not in served]

    def _add(self, path: Path) -> None:
        try:
            found = msgspec.json.decode(path.read_bytes(), type=_List)
        except msgspec.MsgspecError as error:
            raise RecordingError(path, f"not a list of used recordings: {error}", _HINT) from None
        except OSError as error:
            raise RecordingError(path, (error.strerror or str(error)).lower(), _HINT) from None
        if found.format != FORMAT or found.v != 1:
            raise RecordingError(path, f"not a list of used recordings ({found.format} {found.v})", _HINT)
        if not found.whole:
            raise RecordingError(
                path, "of a run of some tests, or with failures: what is unused is not known", _HINT
            )
        for name, ids in found.files.items():
            key = _named(path.parent / name)
            known = self._served.setdefault(key, set())
            self._served[key] = None if ids is None or known is None else known | set(ids)


_HINT = "pytest --record-used=FILE writes one"


def _named(path: Path) -> Path:
    return plain_name(path.resolve())
