"""FastAPI's TestClient: Claude is answered by the recording, the request to the app itself passes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from server import app

pytestmark = pytest.mark.recording("recordings/chat.jsonl")
QUESTION = "Why is the sky blue?"
ANSWER = "Air scatters blue light more than red."
BROKEN = ("cut_clean(at=4)", "cut_dirty(at=4)", "reset(at=4)", "error_event(at=4)", "hang(at=4)")


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "none needed")
    with TestClient(app) as client:
        yield client


def events(browser: TestClient) -> list[tuple[str, str]]:
    """(name, data) of each event that the browser gets."""
    with browser.stream("GET", "/chat", params={"question": QUESTION}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line.partition(": ") for line in response.iter_lines() if not line.startswith(":")]
    names = [value for field, _, value in lines if field == "event"]
    data = [value for field, _, value in lines if field == "data"]
    return list(zip(names, data, strict=True))


def test_the_browser_gets_each_piece_and_then_that_it_is_done(browser: TestClient) -> None:
    *tokens, last = events(browser)

    assert [name for name, _ in tokens] == ["token"] * 4
    assert "".join(data for _, data in tokens) == ANSWER
    assert last == ("done", "end_turn")


# To tell the user is what this endpoint does about half an answer, so the verdict on that is allowed.
@pytest.mark.faults(*BROKEN, allow=["truncated_stream_accepted", "error_swallowed"])
def test_the_browser_is_told_when_claude_breaks_off(browser: TestClient) -> None:
    *tokens, last = events(browser)

    assert ("token", "Air scatters") in tokens
    assert last[0] == "error"
