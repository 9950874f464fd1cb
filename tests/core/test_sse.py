"""The parser against everyone's cases: events as WHATWG dispatches them, and never a byte lost."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from anthropic._streaming import SSEDecoder
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.core.sse import Block, SSEParser
from recorder.testing import chunkings
from recorder.testing.contract import Dispatched, check_framing
from tests.corpus import conformance, marker, streams


def parse(chunks: list[bytes]) -> list[Block]:
    parser = SSEParser()
    return [block for chunk in chunks for block in parser.feed(chunk)] + parser.flush()


def dispatched(chunks: list[bytes]) -> list[Dispatched]:
    """What a browser would be told; and no byte is lost on the way."""
    blocks = parse(chunks)
    assert b"".join(block.wire for block in blocks) == b"".join(chunks)
    events: list[Dispatched] = []
    last_id = ""
    for block in blocks:
        last_id = last_id if block.id is None else block.id
        if block.payload is not None:
            events.append((block.event or "message", block.payload.decode("utf-8", "replace"), last_id))
    return events


def expected_of(case: dict[str, Any]) -> list[Dispatched]:
    """What WHATWG says; one case has only what another WHATWG parser made of it."""
    events = case.get("expected_whatwg", case.get("expected"))
    events = case["observed_divergence"]["httpx_sse"] if events is None else events
    return [(e["event"] or "message", e["data"], e.get("id") or "") for e in events]


def test_bodies_in_which_parsers_break() -> None:
    assert check_framing(dispatched) > 100


CASES = [(name, case) for name, case in conformance() if "input_b64" in case]
LINE_CASES = [(name, case) for name, case in conformance() if "lines" in case]


@marker
def test_the_conformance_cases_are_there() -> None:
    assert len(CASES) > 100
    assert len(CASES) + len(LINE_CASES) == len(conformance())


@marker
@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[name for name, _ in CASES])
def test_a_conformance_case(case: dict[str, Any]) -> None:
    body = base64.b64decode(case["input_b64"])

    check_framing(dispatched, {"the case": (body, expected_of(case))})
    if "chunks_b64" in case:
        assert dispatched([base64.b64decode(chunk) for chunk in case["chunks_b64"]]) == expected_of(case)
    if "expected_retry" in case:
        retries = [block.retry for block in parse([body]) if block.retry is not None]
        assert retries[-1] == case["expected_retry"]


@marker
@pytest.mark.parametrize("case", [case for _, case in LINE_CASES], ids=[name for name, _ in LINE_CASES])
def test_lines_end_where_the_typescript_sdk_ends_them(case: dict[str, Any]) -> None:
    """Its line decoder's cases, each line given a field name so that it shows as data."""
    body = "".join(case["chunks"]).encode()
    whole = [line for line in case["lines"] if line]

    blocks = parse([chunk.encode() for chunk in case["chunks"]])

    assert b"".join(block.wire for block in blocks) == body
    lines = b"".join(block.wire for block in blocks).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    assert [line for line in lines if line][: len(whole)] == [line.encode() for line in whole]


@marker
def test_every_recorded_stream_reads_as_the_sdk_reads_it() -> None:
    """An independent parser as the oracle, on real bodies, cut at random. It also gives events without data."""
    compared = 0
    for number, one in enumerate(streams()):
        oracle = [(sse.event, sse.data) for sse in SSEDecoder().iter_bytes(iter([one.body])) if sse.data]
        for _, chunks in [*chunkings(one.body, seed=number, random=1)][:: 2 if len(one.body) < 20_000 else 5]:
            blocks = [block for block in parse(chunks) if block.payload]
            assert [(block.event, (block.payload or b"").decode()) for block in blocks] == oracle, one.file
        compared += len(oracle)
    assert compared > 10_000


@given(
    body=st.lists(
        st.sampled_from([b"\r", b"\n", b":", b"data", b"event", b"id", b" ", b"x", b"\xc3\xa9", b"\xef\xbb\xbf"])
    ).map(b"".join)
)
@settings(max_examples=300)
def test_blocks_do_not_depend_on_the_chunks(body: bytes) -> None:
    whole = parse([body])

    assert b"".join(block.wire for block in whole) == body
    for _, chunks in chunkings(body, random=2) if body else []:
        assert parse(chunks) == whole


def test_time_is_linear_in_the_length_of_a_line() -> None:
    """Four times the bytes take four times as long; a parser that joins its parts takes sixteen."""

    def cost(megabytes: int) -> float:
        parser, chunk = SSEParser(), b"x" * 512
        start = time.process_time()
        parser.feed(b"data: ")
        for _ in range(megabytes << 11):
            parser.feed(chunk)
        assert len(parser.flush()[0].wire) == (megabytes << 20) + 6
        return time.process_time() - start

    small = min(cost(4) for _ in range(3))
    large = min(cost(16) for _ in range(2))

    assert large < 9 * small
