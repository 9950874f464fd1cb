"""The objects of a lake, on a disk or in an object store: a few operations of obstore, which brings its own
retries for most of what can go wrong."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from msgspec import Struct

from recorder.optional import need

T = TypeVar("T")

RETRIES = 8
RETRY_S = 60.0
"""How long one request is tried again before it counts as failed."""
_FIRST_S = 0.1
_HALF = re.compile(r"#\d+")
"""What the name of a file ends with that is being written on a disk."""
_HALF_S = 600.0
"""How long a file is taken for one that is being written."""


class StoreError(Exception):
    """The store did not do it: it cannot be reached, refuses us, or there is no such bucket. One line.

    `unsure`: it may have done it, or may do it when it is asked again.
    """

    def __init__(self, message: str, *, unsure: bool) -> None:
        super().__init__(message)
        self.unsure = unsure


class NoStore(ValueError):
    """No URL of a store that we know."""


class NoObject(Exception):
    """There is no such object."""


class Object(Struct, frozen=True):
    """`name`: below the lake's root; `size` in bytes."""

    name: str
    size: int


class Store:
    """Objects below a URL. Every method raises StoreError; `put` and `create` are atomic."""

    def __init__(
        self,
        url: str,
        *,
        retries: int = RETRIES,
        retry_s: float = RETRY_S,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """`url`: file://, s3://, gs:// or az://, or the path of a directory, which is made. Credentials are those
        of the environment or of the machine, as the store's own tools take them. Raises MissingPackage, and
        NoStore for what is no such URL."""
        self._obstore = need("obstore", "lake")
        self._errors = need("obstore.exceptions", "lake")
        self.url = url if "://" in url else Path(url).absolute().as_uri()
        self._wait = wait
        self._retries = 0
        self._retry_s = retry_s
        options: dict[str, Any] = {}
        self.directory: Path | None = None
        """Of a lake on a disk."""
        if self.url.startswith("file://"):
            self.directory = Path(url2pathname(urlsplit(self.url).path))
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # its owner's alone, as recordings are
        else:
            self._retries = retries
            options["retry_config"] = {"max_retries": retries, "retry_timeout": timedelta(seconds=retry_s)}
        try:
            self._store: Any = need("obstore.store", "lake").from_url(self.url, **options)
        except (self._errors.BaseError, ValueError) as error:
            raise NoStore(f"{url}: {_one_line(error)}") from None

    def create(self, name: str, content: bytes | Path) -> bool:
        """Put an object where there is none; False when there is one. That may be ours: an answer can be lost, and
        the second try then finds what the first did. That is why obstore does not try again by itself."""
        return self._again(lambda: self._create(name, content))

    def _create(self, name: str, content: bytes | Path) -> bool:
        try:
            self._obstore.put(self._store, name, content, mode="create", use_multipart=False)
        except self._errors.AlreadyExistsError:
            return False
        return True

    def put(self, name: str, content: bytes | Path) -> None:
        """Put an object, in the place of any that is there. Where the connection ends while it is being sent,
        obstore does not always try again by itself."""
        self._again(lambda: self._obstore.put(self._store, name, content, use_multipart=False))

    def _again(self, do: Callable[[], T]) -> T:
        """Do it until it is known what became of it, but for no longer than one request may take."""
        until = time.monotonic() + self._retry_s
        for attempt in range(self._retries + 1):
            try:
                with self._told():
                    return do()
            except StoreError as error:
                if not error.unsure or attempt == self._retries or time.monotonic() >= until:
                    raise
                self._wait(_FIRST_S * 2**attempt)
        raise AssertionError

    def get(self, name: str) -> bytes | None:
        """None where there is none."""
        with self._told():
            try:
                return bytes(self._obstore.get(self._store, name).bytes())
            except FileNotFoundError:
                return None

    def fetch(self, name: str, target: Path) -> None:
        """Copy an object to a file, in pieces. Raises NoObject where there is none."""
        with self._told():
            try:
                pieces = iter(self._obstore.get(self._store, name))
            except FileNotFoundError:
                raise NoObject(name) from None
            with target.open("wb") as file:
                for piece in pieces:
                    file.write(piece)

    def list(self, prefix: str) -> list[Object]:
        """Below a prefix of whole names, sorted."""
        with self._told():
            found = [
                Object(one["path"], one["size"])
                for many in self._obstore.list(self._store, prefix)
                for one in many
            ]
        return sorted(found, key=lambda one: one.name)

    def delete(self, names: Iterable[str]) -> None:
        """Those that are not there are no error."""
        for name in names:
            with self._told():
                try:
                    self._obstore.delete(self._store, name)
                except FileNotFoundError:
                    continue

    def sweep(self) -> int:
        """On a disk, delete what killed processes left half-written; returns how many files are too young."""
        young = 0
        for path in self.directory.rglob("*#*") if self.directory else ():
            if not _HALF.fullmatch(path.name[path.name.rindex("#") :]):
                continue
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime < _HALF_S:
                    young += 1
                else:
                    path.unlink()
        return young

    @contextmanager
    def _told(self) -> Generator[None]:
        try:
            yield
        except (self._errors.BaseError, OSError) as error:
            unsure = isinstance(error, self._errors.GenericError)
            raise StoreError(f"{self.url}: {_one_line(error)}", unsure=unsure) from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).partition("\n\nDebug source")[0].split())
