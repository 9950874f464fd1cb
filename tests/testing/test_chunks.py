"""Every way of cutting a body, and a clock that stands still."""

from __future__ import annotations

import pytest
from anthropic import Anthropic
from hypothesis import given
from hypothesis import strategies as st

from recorder.testing import ManualClock, Reply, Upstream, chunkings, encode_event, message_events
from tests.testing.calls import ASK

BODY = "event: a\r\ndata: é\r\n\r\ndata: \N{GRINNING FACE}\n\n: end".encode()


def test_every_kind_of_cut_is_covered():
    cuts = dict(chunkings(BODY, random=2))

    assert list(cuts) == [
        "whole",
        "byte by byte",
        "after each event",
        "inside blank lines",
        "inside CRLF",
        "inside data:",
        "inside UTF-8",
        "random 0/0",
        "random 0/1",
    ]
    assert cuts["whole"] == [BODY]
    assert len(BODY) == len(cuts["byte by byte"])
    assert cuts["after each event"][2:] == [b": end"]
    assert cuts["inside CRLF"][0] == b"event: a\r"
    assert cuts["inside data:"][0] == b"event: a\r\nda"
    assert cuts["inside UTF-8"][2:4] == [b"\x9f", b"\x98"]


def test_a_cut_that_a_body_has_no_place_for_is_left_out():
    assert [name for name, _ in chunkings(b"plain", random=0)] == ["whole", "byte by byte"]


def test_the_seed_and_nothing_else_decides_the_random_cuts():
    assert list(chunkings(BODY, seed=7)) == list(chunkings(BODY, seed=7))
    assert dict(chunkings(BODY, seed=7)).keys() != dict(chunkings(BODY, seed=8)).keys()
    random_cuts = [chunks for name, chunks in chunkings(BODY, random=20) if name.startswith("random")]
    assert len({len(chunks) for chunks in random_cuts}) > 5


@given(
    body=st.one_of(
        st.binary(max_size=200),
        st.lists(st.sampled_from([b"data: ", b"\r", b"\n", "é".encode(), b"x"])).map(b"".join),
    ),
    seed=st.integers(),
)
def test_chunks_are_never_empty_and_join_to_the_body(body: bytes, seed: int):
    for name, chunks in chunkings(body, seed=seed):
        assert body == b"".join(chunks), name
        assert all(chunks), name


def test_a_message_survives_every_chunking():
    body = b"".join(map(encode_event, message_events("é", "\N{GRINNING FACE}")))
    ways = list(chunkings(body))
    replies = [Reply.sse(chunks) for _, chunks in ways]
    with (
        Upstream(replies) as upstream,
        Anthropic(base_url=upstream.url, api_key="test", max_retries=0) as client,
    ):
        for name, _ in ways:
            with client.messages.stream(**ASK) as stream:
                assert stream.get_final_text() == "é\N{GRINNING FACE}", name


def test_a_manual_clock_moves_only_when_told():
    clock = ManualClock(start=5)
    assert (clock(), clock()) == (5, 5)
    clock.advance(10)
    assert clock() == 15
    with pytest.raises(ValueError, match="cannot move by -1 ns"):
        clock.advance(-1)
