"""examples/fastapi_app.py, live and offline: in a real browser, and with fifty clients at once."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest

import recorder
from recorder.testing import Received, Reply, Upstream, message_events
from tests.report.browser import needs_chromium

pytestmark = pytest.mark.slow
APP = Path(__file__).parents[1] / "examples" / "fastapi_app.py"
MS = 1_000_000
GAP = 80 * MS
WORDS = [
    "Air ",
    "scatters ",
    "blue ",
    "light ",
    "more ",
    "than ",
    "red;\n",
    "at dusk ",
    "its way ",
    "is ",
    "long.",
]
CLIENTS, PLACES = 50, 5
INK = """async png => {
    const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    canvas.drawImage(bitmap, 0, 0);
    const pixels = canvas.getImageData(0, 0, bitmap.width, bitmap.height).data;
    let dark = 0;
    for (let i = 0; i < pixels.length; i += 4) dark += pixels[i] + pixels[i + 1] + pixels[i + 2] < 300;
    return [bitmap.width, bitmap.height, dark];
}"""
"""Width, height and dark pixels of a picture."""


@contextmanager
def application(*arguments: str, cwd: Path, **environment: str) -> Iterator[str]:
    """The example as a process, at the URL that uvicorn says; ended as a service is."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "RECORDER_"))}
    with (
        (cwd / "log").open("w+") as log,
        subprocess.Popen(
            [sys.executable, APP, *arguments], cwd=cwd, env={**kept, "PORT": "0", **environment},
            stdout=log, stderr=subprocess.PIPE, text=True,
        ) as process,
    ):  # fmt: skip
        assert process.stderr is not None
        try:
            said = ""
            while not (found := re.search(r"running on (http://\S+)", said)):
                line = process.stderr.readline()
                assert line, said
                said += line
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors, errors


@contextmanager
def live(upstream: Upstream, cwd: Path) -> Iterator[str]:
    with application(cwd=cwd, ANTHROPIC_BASE_URL=upstream.url, ANTHROPIC_API_KEY="sk-ant-none-at-all") as url:
        yield url


def in_the_page(browser: Any, url: str, picture: Path) -> dict[str, list[dict[str, Any]]]:
    """What the page noted of each piece. It is pictured before, and at the end."""
    page = browser.new_page(viewport={"width": 1280, "height": 600})
    page.goto(url)
    empty = page.screenshot()
    page.get_by_role("button").click()
    for how in ("fetch", "eventsource"):
        page.locator(f"#{how}.done, #{how}.failed").wait_for(timeout=30_000)
    whole = page.screenshot(path=picture)
    noted = page.evaluate("pieces")
    for how in ("fetch", "eventsource"):
        assert page.locator(f"#{how} p").inner_text() == "".join(WORDS)
        assert page.locator(f"#{how} small").inner_text().startswith(f"{len(WORDS)} pieces, from ")
    blank = browser.new_page()
    inks = [blank.evaluate(INK, base64.b64encode(png).decode()) for png in (empty, whole)]
    assert [ink[:2] for ink in inks] == [[1280, 600]] * 2
    assert 0 < inks[0][2] < inks[1][2]
    page.close()
    blank.close()
    return noted


@needs_chromium
def test_a_page_shows_the_text_as_it_comes_live_and_offline(browser: Any, tmp_path: Path) -> None:
    with Upstream(lambda _: Reply.sse(message_events(*WORDS), first=100 * MS, gap=GAP)) as upstream:
        with live(upstream, tmp_path) as url:
            seen = in_the_page(browser, url, tmp_path / "live.png")
    streams = list(recorder.open(tmp_path / "recordings").streams())
    assert [stream.timing().outcome for stream in streams] == ["complete"] * 2

    with application("--offline", cwd=tmp_path) as url:
        again = in_the_page(browser, url, tmp_path / "offline.png")

    for how in ("fetch", "eventsource"):
        for pieces in (seen[how], again[how]):
            assert [piece["text"] for piece in pieces] == WORDS
            times = [piece["at"] for piece in pieces]
            assert all(before <= after for before, after in pairwise(times))
            # A busy machine hands some over late and together, but none early, and never all at once.
            assert times[-1] >= (100 * MS + (len(WORDS) + 1) * GAP) / MS
            assert times[-1] - times[0] > (len(WORDS) - 1) * GAP / MS / 4


def answered(received: Received) -> Reply:
    """A text that is the question's own."""
    [message] = received.json()["messages"]
    return Reply.sse(message_events(*(f"{message['content']} {n}; " for n in range(4))), first=20 * MS, gap=5 * MS)


def expected(question: str) -> str:
    return "".join(f"{question} {n}; " for n in range(4))


async def ask_all(url: str) -> list[str]:
    """What each of the clients gets, all of them asking at once."""

    async def ask(n: int) -> str:
        response = await client.get(f"{url}/chat", params={"question": f"question {n}"})
        events = [
            dict(re.findall(r"(event|data): (.*)\r\n", f"{one}\r\n")) for one in response.text.split("\r\n\r\n")
        ]
        assert events[-2]["event"] == "done", response.text
        return "".join(event["data"] for event in events if event.get("event") == "token")

    limits = httpx2.Limits(max_connections=CLIENTS)
    async with httpx2.AsyncClient(limits=limits, timeout=60) as client:
        return list(await asyncio.gather(*(ask(n) for n in range(CLIENTS))))


def test_fifty_clients_get_their_own_answers_five_at_a_time_live_and_offline(tmp_path: Path) -> None:
    open_now: set[int] = set()
    most = 0

    def answer(received: Received) -> Reply:
        nonlocal most
        open_now.add(id(received))
        most = max(most, len(open_now))
        return answered(received)

    with Upstream(answer, on_end=lambda received, _: open_now.discard(id(received))) as upstream:
        with live(upstream, tmp_path) as url:
            seen = asyncio.run(ask_all(url))
    assert seen == [expected(f"question {n}") for n in range(CLIENTS)]
    assert most == PLACES
    streams = list(recorder.open(tmp_path / "recordings").streams())
    assert [stream.timing().outcome for stream in streams] == ["complete"] * CLIENTS

    with application("--offline", cwd=tmp_path) as url:
        assert asyncio.run(ask_all(url)) == seen
