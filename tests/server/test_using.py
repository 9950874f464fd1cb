"""A recording in use by clients that speak HTTP: who answers, and what the pages say of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import httpx2
import pytest

import recorder
from recorder.replayer.session import Replay
from recorder.server.serving import Recording, record_to
from recorder.server.using import Using
from recorder.taking import Mode, Taking
from recorder.testing import Received, Reply, Upstream, message_events
from tests.server.running import Running, running


def answer(received: Received) -> Reply:
    return Reply.sse(message_events("You asked: ", received.json()["messages"]))


def ask(server: Running, *questions: str) -> list[str]:
    return [
        httpx2.post(f"{server.url}/v1/messages", json={"model": "m", "messages": one}).text for one in questions
    ]


def using(path: Path, mode: Mode, upstream: str) -> Using:
    def record(file: Path | None) -> Recording:
        assert file is not None
        return record_to(file, upstream)

    return Using(Taking(path, mode, hint="Record it."), replay=partial(Replay, path), record=record)


def test_append_says_which_request_was_served_and_which_was_passed_on(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    with Upstream(answer) as upstream:
        for questions in (["a"], ["b", "a", "b"]):
            with using(path, "append", upstream.url) as used, running(used.answerer) as server:
                texts = ask(server, *questions)
                pages = {
                    name: httpx2.get(f"{server.url}/__recorder/{name}")
                    for name in ("health", "journal", "metrics")
                }
                server.stop()
                used.passed = True
        assert [one.json()["messages"] for one in upstream.received] == ["a", "b", "b"]

    assert texts[0] == texts[2] == texts[1].replace('"a"', '"b"')
    requests = pages["journal"].json()["requests"]
    assert [one["result"] for one in requests] == ["passed", "served", "passed"]
    assert ["stream" in one for one in requests] == [True, False, True]
    assert pages["journal"].json()["unused"] == []
    health = pages["health"].json()
    assert (health["streams"], health["upstream"]) == (1, upstream.url)
    assert 'recorder_requests_total{result="served"} 1' in pages["metrics"].text
    assert used.kept == path
    assert len(list(recorder.open(path).streams())) == 3


def test_what_breaks_off_takes_no_effect(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    with Upstream(answer) as upstream:
        with pytest.raises(ZeroDivisionError), using(path, "once", upstream.url) as used:
            with running(used.answerer) as server:
                ask(server, "a")
            _ = 1 / 0
    assert [one.name for one in tmp_path.iterdir()] == ["talk.jsonl.failed"]


def test_what_cannot_be_made_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ValueError, match="is no upstream"), using(tmp_path / "talk.jsonl", "once", "nowhere"):
        pass
    assert list(tmp_path.iterdir()) == []
