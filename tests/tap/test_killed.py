"""What is left of a recording when its process dies, in a real process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import recorder

PROGRAM = """
import os, sys, time
import httpx2, recorder

class Body(httpx2.SyncByteStream):
    def __iter__(self):
        for n in range(10_000_000):
            yield b"data: %d\\n\\n" % n
            if n == 500:
                END
                print(n, flush=True)
            if n > 500:
                time.sleep(0.001)

class Server(httpx2.BaseTransport):
    def handle_request(self, request):
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())

tap = recorder.Tap(sys.argv[1])
with httpx2.Client(transport=recorder.TapTransport(tap, Server())) as http:
    with http.stream("POST", "http://x/", json={"ask": 1}) as response:
        for chunk in response.iter_raw():
            pass
"""


def start(path: Path, end: str) -> subprocess.Popen[bytes]:
    program = textwrap.dedent(PROGRAM).replace("END", end)
    return subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this platform")
@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM"])
def test_all_but_the_last_moments_are_in_the_file(tmp_path: Path, number: str) -> None:
    process = start(tmp_path, "time.sleep(0.05)")
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == b"500\n"
        os.kill(process.pid, getattr(signal, number))

    [stream] = recorder.open(tmp_path).streams()
    assert len(stream.events) >= 501
    assert stream.request.body == {"ask": 1}
    assert stream.end is None


@pytest.mark.parametrize(
    ("end", "outcome"),
    [("sys.exit(0)", "closed"), ("raise RuntimeError('application')", "failed"), ("return", "read")],
)
def test_a_clean_exit_loses_nothing(tmp_path: Path, end: str, outcome: str) -> None:
    with start(tmp_path, end) as process:
        process.communicate()

    [stream] = recorder.open(tmp_path).streams()
    assert [event.text for event in stream.events[-1:]] == [None]
    assert bytes(stream.events[-1].data) == b"500"
    assert stream.end is not None
    assert stream.end.end == outcome
