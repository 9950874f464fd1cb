"""What is left of a recording when its process ends in mid-stream, by each way to end, in real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import recorder
from recorder.log.lock import is_live
from tests.cli.command import heed_interrupts
from tests.tap.ahead import until

EXITS = Path(__file__).with_name("exits.py")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.parametrize("writer", ["thread", "process"])
def test_what_each_way_to_end_leaves_in_the_file(tmp_path: Path, writer: str) -> None:
    command = [sys.executable, EXITS, tmp_path, writer]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, preexec_fn=heed_interrupts)
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout)

    kept: dict[str, tuple[int, str | None]] = {}
    for name in ended:
        until(lambda path=tmp_path / f"{name}.jsonl": not is_live(path), "its writer has not ended")
        [stream] = recorder.open(tmp_path / f"{name}.jsonl").streams()
        assert stream.request.body == {"ask": 1}
        assert stream.body() == b"".join(b"data: %d\n\n" % n for n in range(len(stream.events)))
        kept[name] = len(stream.events), stream.end.end if stream.end else None

    handed = {name: end["handed"] for name, end in ended.items()}
    # Killed, or as good as killed: no end, and all but the last moments. (They waited 0.2 s before.)
    without_end = ("SIGKILL", "SIGTERM", "os._exit")
    assert {name: kept.pop(name) for name in without_end} == {name: (handed[name], None) for name in without_end}
    # A daemon thread runs on while the interpreter ends: what it reads after the tap was closed is not recorded.
    events, end = kept.pop("daemon thread")
    assert end is None
    assert 201 <= events <= handed["daemon thread"]
    # Everything else is a clean exit, and loses nothing.
    ways = {name: "read" if name in ("thread", "pool") else "closed" for name in kept}
    assert kept == {name: (handed[name], way) for name, way in ways.items()}
    assert [ended[name]["status"] for name in ("SIGTERM", "SIGTERM to sys.exit", "exception")] == [-15, 0, 1]
