"""Azure's Blob API on the loopback: Azurite, a process of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from email.utils import formatdate

import pytest

from tests.analytics.lake.emulators import INSTALLED

SCHEME = "az"
_PROGRAM = INSTALLED / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
_ACCOUNT, _KEY = "testing", base64.b64encode(b"testing").decode()
_LISTENS = "listens on http://127.0.0.1:"


def settings(port: int) -> dict[str, str]:
    return {
        "AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT,
        "AZURE_STORAGE_ACCOUNT_KEY": _KEY,
        "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{port}/{_ACCOUNT}",
        "AZURE_ALLOW_HTTP": "true",
    }


@contextmanager
def server() -> Generator[int]:
    """Its port."""
    if (node := shutil.which("node")) is None or not _PROGRAM.is_file():
        pytest.skip("needs node, and what tests/analytics/lake/emulators/install installs")
    command = [node, _PROGRAM, "--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence"]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    environment = {**os.environ, "AZURITE_ACCOUNTS": f"{_ACCOUNT}:{_KEY}"}
    with subprocess.Popen([*command, "--silent", "--disableTelemetry"], env=environment, **options) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if _LISTENS in line)
        drain = threading.Thread(target=process.stdout.read, daemon=True)
        drain.start()
        try:
            yield int(line.rpartition(":")[2])
        finally:
            process.terminate()
            process.wait()
            drain.join()


def new_container(port: int, name: str) -> None:
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2023-11-03"}
    signed = "\n".join(
        ["PUT", *[""] * 11, *(f"{key}:{value}" for key, value in headers.items()),
         f"/{_ACCOUNT}/{_ACCOUNT}/{name}", "restype:container"]
    )  # fmt: skip
    mac = hmac.digest(base64.b64decode(_KEY), signed.encode(), hashlib.sha256)
    headers["authorization"] = f"SharedKey {_ACCOUNT}:{base64.b64encode(mac).decode()}"
    url = f"http://127.0.0.1:{port}/{_ACCOUNT}/{name}?restype=container"
    with urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers)) as answer:
        assert answer.status == 201
