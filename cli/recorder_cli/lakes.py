"""What the commands of a lake have in common: what goes wrong with a store, in one line."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from recorder.analytics.lake.store import NoStore, StoreError
from recorder.optional import MissingPackage

from .errors import Exit, Failure


@contextmanager
def store_errors() -> Generator[None]:
    try:
        yield
    except (MissingPackage, NoStore) as error:
        raise Failure(str(error), Exit.USAGE) from None
    except StoreError as error:
        raise Failure(str(error), Exit.CHECK_FAILED) from None
