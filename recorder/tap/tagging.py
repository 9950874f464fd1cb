"""Tags of the calls that are made in a thread or a task."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_tags: ContextVar[dict[str, str]] = ContextVar("recorder_tags", default={})  # noqa: B039 - never changed in place
current = _tags.get


@contextmanager
def tags(**named: str) -> Generator[None]:
    """Tag every call made inside, in this thread or task: `with recorder.tags(feature="chat"): ...`."""
    token = _tags.set({**_tags.get(), **{name: str(value) for name, value in named.items()}})
    try:
        yield
    finally:
        _tags.reset(token)
