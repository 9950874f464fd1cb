"""Disks that fail, each in its real way, and how each is repaired. What the system does not allow is skipped."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

Disk = tuple[Path, Callable[[], object], Callable[[], Path]]
"""What the tap is given; how it is repaired; where the records are once the tap is closed."""


@contextmanager
def io_error(tmp_path: Path) -> Generator[Disk]:
    """EIO: the memory of a process is a file that cannot be written at offset 0."""
    path = tmp_path / "r.jsonl"
    _link(path, "/proc/self/mem")
    yield path, path.unlink, lambda: path


@contextmanager
def full_device(tmp_path: Path) -> Generator[Disk]:
    """ENOSPC, from the first byte."""
    path = tmp_path / "r.jsonl"
    _link(path, "/dev/full")
    yield path, path.unlink, lambda: path


@contextmanager
def full_mount(tmp_path: Path) -> Generator[Disk]:
    """ENOSPC in mid-stream, after a write that took only a part."""
    with _mounted(tmp_path, "size=64k"):
        filler = tmp_path / "filler"
        filler.write_bytes(b"x" * (40 << 10))

        def repair() -> None:
            filler.unlink()
            _run("mount", "-o", "remount,size=8m", str(tmp_path))

        yield tmp_path / "r.jsonl", repair, lambda: tmp_path / "r.jsonl"


@contextmanager
def file_size_limit(tmp_path: Path) -> Generator[Disk]:
    """EFBIG in mid-stream, after a write that took only a part."""
    resource = pytest.importorskip("resource", reason="no limits on this platform")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_001, old[1]))  # CPython ignores the signal
    try:
        yield tmp_path, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, old), lambda: tmp_path
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


@contextmanager
def read_only_mount(tmp_path: Path) -> Generator[Disk]:
    """EROFS, which holds for root as well."""
    with _mounted(tmp_path, "ro,size=8m"):
        repair = ("mount", "-o", "remount,rw", str(tmp_path))
        yield tmp_path, lambda: _run(*repair), lambda: tmp_path


@contextmanager
def denied(tmp_path: Path) -> Generator[Disk]:
    """EACCES. Modes do not bind root, who is nobody for as long as it lasts."""
    tmp_path.chmod(0o500)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)

    def repair() -> None:
        if root:
            os.seteuid(0)
        tmp_path.chmod(0o700)

    try:
        yield tmp_path / "recordings", repair, lambda: tmp_path / "recordings"
    finally:
        repair()


@contextmanager
def in_the_way(tmp_path: Path) -> Generator[Disk]:
    """ENOTDIR: a file where the directory should be."""
    file = tmp_path / "file"
    file.write_text("")
    yield file / "recordings", file.unlink, lambda: file / "recordings"


@contextmanager
def blocked(tmp_path: Path) -> Generator[Disk]:
    """A disk that takes some bytes and then nothing: `write` does not return. A FIFO that nobody reads yet."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("no FIFOs on this platform")
    path, kept = tmp_path / "r.jsonl", tmp_path / "read" / "kept.jsonl"
    os.mkfifo(path)
    kept.parent.mkdir()
    end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def drain() -> None:
        os.set_blocking(end, True)
        with kept.open("wb") as file:
            while data := os.read(end, 1 << 16):  # b"" once the tap has closed it
                file.write(data)

    reader = Thread(target=drain)

    def joined() -> Path:
        reader.join(10)
        return kept

    try:
        yield path, reader.start, joined
    finally:
        if reader.ident is None:
            reader.start()
        reader.join(10)
        os.close(end)


FAILING = (io_error, full_device, full_mount, file_size_limit, read_only_mount, denied, in_the_way)


@contextmanager
def _mounted(path: Path, options: str) -> Generator[None]:
    if os.geteuid() != 0 or not Path("/proc/self/mounts").exists():
        pytest.skip("only root on Linux may mount")
    try:
        _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this system lets nobody mount: {error.stderr}")
    try:
        yield
    finally:
        with suppress(subprocess.CalledProcessError):
            _run("umount", "-l", str(path))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _link(path: Path, device: str) -> None:
    if not Path(device).exists():
        pytest.skip(f"no {device} on this platform")
    path.symlink_to(device)
