"""`recorder ui`: the page while a tap writes, and who may ask for it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import decompress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic

import recorder
from recorder.report.live import Source
from recorder.testing import Reply, Upstream, message_events
from tests.cli.command import heed_interrupts
from tests.cli.recordings import lines, lost, text, write
from tests.report.browser import Opened, needs_chromium

MS = 1_000_000


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """The address of `recorder ui` on a directory."""
    program = "from recorder_cli.main import run; run()"
    command = [sys.executable, "-c", program, "ui", str(directory)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts)
    assert process.stderr
    try:
        for line in process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+/\S+/", line):
                yield found[0]
                break
    finally:
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=20)[1]
        assert "Traceback" not in rest
    assert process.returncode in (0, 130, -signal.SIGINT)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("ui")
    write(directory / "a.jsonl", text("s1"))
    with served(directory) as one:
        yield one


def test_the_address_with_its_token_gives_the_page_and_its_data(address: str) -> None:
    index = httpx2.get(address)
    data = httpx2.get(f"{address}data")

    assert index.status_code == 200
    assert "connect-src &#x27;self&#x27;" in index.text
    assert index.headers["content-security-policy"] == "frame-ancestors 'none'"
    assert json.loads(decompress(data.content))["columns"]["stream"] == ["s1"]
    assert json.loads(decompress(httpx2.get(f"{address}stream?id=s1").content))["stream"] == "s1"
    assert httpx2.get(f"{address}stream?id=nobody").status_code == 404


def test_without_the_token_there_is_nothing(address: str) -> None:
    root = re.sub(r"[^/]+/$", "", address)

    assert [httpx2.get(f"{root}{path}").status_code for path in ("", "data", "x/data")] == [404, 404, 404]


def test_a_name_that_was_pointed_here_is_refused(address: str) -> None:
    assert httpx2.get(address, headers={"host": "example.com"}).status_code == 400
    assert httpx2.get(address, headers={"host": "localhost:1"}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_written(address: str, method: str) -> None:
    assert httpx2.request(method, f"{address}data").status_code == 405


def test_a_source_is_renewed_only_when_files_change(tmp_path: Path) -> None:
    from recorder.analytics.report import Tables

    loads: list[int] = []

    def load(segments: Any) -> Tables:
        loads.append(len(segments))
        return Tables(segments, salvage=True, report=lambda problem: None, payloads=False)

    source = Source([tmp_path], load, lambda problem: None)
    assert (source.renew(), source.renew(), source.version) == (True, False, 1)
    path = write(tmp_path / "a.jsonl", text("s1"))
    assert (source.renew(), source.renew(), source.version) == (True, False, 2)
    with path.open("ab") as file:
        file.write(lines(text("s2")))
    assert (source.renew(), source.version) == (True, 3)
    assert json.loads(decompress(source.packed))["columns"]["stream"] == ["s1", "s2"]
    assert loads == [1, 1]
    source.close()


def test_a_stream_of_a_process_that_runs_is_open(tmp_path: Path) -> None:
    from recorder.analytics.report import Tables

    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(lost("s1")).replace(b'"pid":4711', b'"pid":%d' % os.getpid()))
    source = Source(
        [tmp_path], lambda segments: Tables(segments, report=lambda problem: None), lambda problem: None
    )
    source.renew()

    data = json.loads(decompress(source.packed))
    assert data["names"]["outcome"] == ["open"]
    source.close()


@pytest.mark.slow
@needs_chromium
def test_the_page_shows_a_call_while_a_tap_records_it(browser: Any, tmp_path: Path) -> None:
    directory = tmp_path / "recordings"
    with served(directory) as address:
        opened = Opened(browser, address)
        assert "No streams yet" in opened.text("#span")
        reply = Reply.sse(message_events("Hello", " there", "!"), first=20 * MS, gap=5 * MS)
        with Upstream([reply]) as upstream, recorder.Tap(directory, tags={"team": "<b>x"}) as tap:
            client = tap.wrap(Anthropic(base_url=upstream.url, api_key="none", max_retries=0))
            with client.messages.stream(
                model="claude-haiku-4-5", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
            ) as stream:
                stream.get_final_message()
        opened.wait_for("#count", "1 of 1")
        opened.wait_for("#stream-table", "complete")
        opened.page.locator("#stream-table tbody button").first.click()
        opened.page.locator("#chart-strip svg").wait_for()
        opened.page.evaluate("page.detail.player.seek(99)")
        assert "Hello there!" in opened.text("#text")
        assert "<b>x" in opened.text("#stream-line")
        hosts = {url.split("/")[2] for url in opened.requests if url.startswith("http")}
        assert hosts == {address.split("/")[2]}
        assert opened.errors == []
