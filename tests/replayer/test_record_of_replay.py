"""What a replay serves is what was recorded: recording it again gives the same records, but for the times."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

import recorder
from recorder.core.records import Event
from recorder.testing import Reply, Step, Upstream, chunkings
from recorder.testing.contract import check_record_of_replay
from tests.corpus import marker, streams

FIXTURES = sorted((Path(__file__).parents[2] / "fixtures").glob("*.jsonl"))


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.stem)
def test_every_fixture(fixture: Path) -> None:
    assert check_record_of_replay(fixture) > 0


@marker
@pytest.mark.slow
def test_the_corpus(tmp_path: Path) -> None:
    """Every real stream, in the chunks it came in or in a seeded cut of it."""
    known = streams()
    replies = []
    for number, one in enumerate(known):
        cuts = [one.chunks] if one.chunks else [c for name, c in chunkings(one.body, seed=number) if len(c) < 2000]
        replies.append(Reply(steps=tuple(Step(at=0, data=data) for data in cuts[number % len(cuts)])))
    with Upstream(replies) as upstream, recorder.Tap(tmp_path / "first.jsonl") as tap:
        with httpx2.Client(transport=recorder.TapTransport(tap)) as client:
            for number in range(len(known)):
                body = {"model": "m", "messages": [{"role": "user", "content": f"stream {number}"}]}
                client.post(f"{upstream.url}/v1/messages", json=body, headers={"anthropic-version": "1"})

    assert check_record_of_replay(tmp_path / "first.jsonl") == len(known)
    events = sum(
        isinstance(r, Event) for s in recorder.open(tmp_path / "first.jsonl").streams() for r in s.records
    )
    assert events > 10_000
