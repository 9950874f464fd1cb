"""The SQL and `core/timing.py` agree on every metric of any stream, to the last bit."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any, get_args

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, fields

from recorder.analytics.database import connect
from recorder.core.lines import encode_line
from recorder.core.records import (
    Bytes,
    End,
    ErrorInfo,
    Event,
    Gap,
    Header,
    Phases,
    Record,
    Request,
    Response,
    StreamRecord,
    Summary,
)
from recorder.core.timing import Outcome, Stall, StallKind, Timing, stalls, timing
from recorder.log.files import find_segments
from recorder.log.streams import read_streams
from tests import corpus
from tests.cli import recordings

FIXTURES = Path(__file__).parents[2] / "fixtures"
METRICS = [field.name for field in fields(Timing)]
OF_STALLS = [field.name for field in fields(Stall)]
S = 1_000_000_000

EVENTS = [
    ("content_block_delta", "text_delta", 7),
    ("content_block_delta", "text_delta", 7),
    ("content_block_delta", "thinking_delta", 3),
    ("content_block_delta", "thinking_delta", 3),
    ("content_block_delta", "input_json_delta", 2),
    ("content_block_delta", "input_json_delta", 0),
    ("content_block_delta", "signature_delta", 0),
    ("content_block_delta", "signature_delta", 9),
    ("content_block_delta", "new_delta", 4),
    ("content_block_delta", None, None),
    ("content_block_start", "text", 0),
    ("content_block_start", "text", 5),
    ("content_block_start", "thinking", 0),
    ("content_block_start", "tool_use", 0),
    ("content_block_start", "server_tool_use", 12),
    ("content_block_start", "redacted_thinking", 80),
    ("content_block_stop", None, None),
    ("content_block_stop", None, None),
    ("message_start", None, None),
    ("message_delta", None, None),
    ("ping", None, None),
    ("ping", None, None),
    ("new_event", "text_delta", 8),
    (None, None, 6),
]
TOKENS = [None, 0, 1, 2, 400, 731, 2**63 - 1, 2**63, -3, True, 1.5, "12", {"a": 1}]
EXCEPTIONS = [
    "httpx2.ReadTimeout",
    "httpx2.ReadError",
    "httpx2.RemoteProtocolError",
    "httpx2.ConnectError",
    "builtins.ConnectionResetError",
    "builtins.ValueError",
]


class Maker:
    """One stream of up to `length` events, all of it drawn from `seed`; ordinary and absurd ones."""

    def __init__(self, stream: str, seed: int, length: int) -> None:
        self.random = Random(seed)
        self.stream = stream
        self.calm = self.random.random() < 0.5
        """Times as in life; else of any size, up to years."""
        self.at = 0
        self.wait = 0
        self.chunk = -1
        self.records: list[StreamRecord] = []
        self.make(length)

    def make(self, length: int) -> None:
        choice = self.random.choice
        unknown = choice([None] * 6 + [("body",), ("wall", "headers", "body", "end"), ("headers", "new")])
        self.add(Request, wall=1, mono=1, call="c", attempt=0, method="POST", url="/", headers={}, unknown=unknown)
        if self.random.random() < 0.9:
            self.at = self.span()
            self.add(Response, status=choice([200] * 9 + [529]), headers={}, **self.connection())
            for _ in range(length):
                self.something()
        if self.random.random() < 0.85:
            self.end()

    def add(self, kind: type[Any], **fields: Any) -> None:
        self.records.append(kind(stream=self.stream, seq=len(self.records), at=self.at, **fields))

    def span(self) -> int:
        usual = self.random.choice([0, 90, 10**6, 10**7, 10**8, 10**9])
        if self.calm or self.random.random() < 0.5:
            return self.random.randint(0, usual) if usual < 10**9 else self.random.choice([usual, 3 * S, 31 * S])
        return self.random.choice([0, 2 * S, 2 * S + 1, 30 * S, 30 * S + 1, self.random.randint(0, 10**16)])

    def next_chunk(self) -> None:
        passed = self.span()
        share = self.random.choice(
            [0, 1, 5, 9, 10, 10, 10] if self.calm else [0, 5, 10, 11]
        )  # 11: clocks disagree
        self.at += passed
        self.wait = passed * share // 10
        self.chunk += 1

    def split(self) -> tuple[tuple[int, int, int], ...] | None:
        """Chunks that end inside the record; the first may have completed the record before."""
        count = self.random.choice([0] * 9 + [1, 2])
        split = [(5, self.at, self.wait)] if self.chunk >= 0 and self.random.random() < 0.2 else []
        for _ in range(count):
            self.next_chunk()
            split.append((9, self.at, self.wait))
        return tuple(split) or None

    def something(self) -> None:
        kind = self.random.random()
        if kind < 0.02:
            self.at += self.span()
            self.add(Gap, chunks=2, bytes=10, reason="queue full")
            return
        split = None
        if self.chunk < 0 or self.random.random() < 0.7:
            split = self.split()
            self.next_chunk()
        arrived = {"wait": self.wait, "chunk": self.chunk, "split": split}
        if kind < 0.1:
            self.add(Bytes, **arrived, text=": comment\n\n")
            return
        event, delta, chars = ("error", None, None) if kind < 0.105 else self.random.choice(EVENTS)
        named = event is not None and event.startswith("content_block")
        block = self.random.choice([0, 0, 1, 2, None]) if named else None
        self.add(Event, **arrived, event=event, block=block, delta=delta, chars=chars)

    def end(self) -> None:
        how = self.random.choice(["read", "closed", "failed"])
        split = self.split() if self.chunk >= 0 else None
        chunks = self.chunk + 1
        self.next_chunk()
        error = ErrorInfo(type=self.random.choice(EXCEPTIONS), message="m") if how == "failed" else None
        self.add(
            End,
            wait=self.wait,
            end=how,
            complete=self.random.random() < 0.3,
            events=0,
            bytes=self.random.randint(0, 10**6),
            chunks=chunks,
            error=error,
            summary=self.summary(),
            split=split,
            waited=self.random.choice([None, None, self.span()]),
            held=self.random.choice([None, None, self.span()]),
            **self.connection(),
        )

    def connection(self) -> dict[str, Any]:
        """What the HTTP client told, if it did."""
        names = ["connect", "tunnel", "tls", "send", "headers"]
        spans = {name: (self.span(), self.span()) for name in names if self.random.random() < 0.7}
        phases = self.random.choice([None, Phases(**spans)])
        return {"phases": phases, "reused": self.random.choice([None, True, False])}

    def summary(self) -> Summary | None:
        choice = self.random.choice
        names = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"]
        usage: dict[str, object] = {name: choice(TOKENS) for name in names if self.random.random() < 0.8}
        usage["output_tokens_details"] = choice([None, {"thinking_tokens": choice(TOKENS)}, "odd"])
        error = choice([None] * 9 + [ErrorInfo(type="overloaded_error", message="m")])
        return choice([None, Summary(model="m", error=error), *[Summary(usage=usage, error=error)] * 4])


def write(directory: Path, streams: list[list[StreamRecord]], seed: int) -> list[Path]:
    """Two segments, with the lines of all streams in any order."""
    header = Header(format="sse-recording", v=1, segment="s", wall=0, mono=0, recorder="0")
    lines = [encode_line(record) for stream in streams for record in stream]
    Random(seed).shuffle(lines)
    half = len(lines) // 2
    parts = {directory / "1.jsonl": lines[:half], directory / "2.jsonl": lines[half:]}
    for path, part in parts.items():
        path.write_bytes(encode_line(header) + b"".join(part))
    return list(parts)


def compare(paths: list[Path], streams: dict[str, list[StreamRecord]]) -> dict[str, dict[str, Any]]:
    """Hold the tables of some files against the metrics of the streams in them, and return these."""
    database = connect(paths, payloads=False)
    rows = database.execute(f"SELECT stream, {', '.join(METRICS)} FROM streams").fetchall()
    computed = {row[0]: dict(zip(METRICS, row[1:], strict=True)) for row in rows}
    rows = database.execute(f"SELECT stream, {', '.join(OF_STALLS)} FROM stalls ORDER BY seq").fetchall()
    found: dict[str, list[Stall]] = {name: [] for name in streams}
    for name, *values in rows:
        found[name].append(Stall(**dict(zip(OF_STALLS, values, strict=True))))
    database.close()

    assert {name: asdict(timing(records)) for name, records in streams.items()} == computed
    assert {name: stalls(records) for name, records in streams.items()} == found
    return computed


def recorded(paths: list[Path]) -> dict[str, list[StreamRecord]]:
    return {stream.id: stream.records for stream in read_streams(paths, report=pytest.fail)}


def test_they_agree_on_the_fixtures() -> None:
    paths = find_segments(FIXTURES)
    assert len(compare(paths, recorded(paths))) == 10


@corpus.marker
def test_they_agree_on_the_corpus(tmp_path: Path) -> None:
    """Its bodies as they came, or cut at random, at random times."""
    dice = Random(20_261_121)
    streams: list[list[Record]] = []
    for n, one in enumerate(corpus.streams()):
        chunks, at = [], 100
        for data in one.chunks or cut(one.body, dice):
            wait = dice.choice([0, 0, 1, 20, 400, 2500])
            at += wait + dice.choice([0, 0, 0, 3, 900])
            chunks.append((at, wait, data))
        streams.append(recordings.stream(f"{n:016x}", chunks, sent=n))
    path = recordings.write(tmp_path / "a.jsonl", *streams)
    assert len(compare([path], recorded([path]))) == len(streams) > 100


def cut(body: bytes, dice: Random) -> list[bytes]:
    ends = sorted(dice.sample(range(1, len(body)), min(len(body) - 1, 20))) if len(body) > 1 else []
    return [body[start:end] for start, end in zip([0, *ends], [*ends, len(body)], strict=True)]


def test_sql_and_python_agree(tmp_path: Path) -> None:
    agree_on_generated(tmp_path, examples=40, at_least=300)


@pytest.mark.slow
def test_sql_and_python_agree_on_ten_thousand(tmp_path: Path) -> None:
    agree_on_generated(tmp_path, examples=100, at_least=10_000, at_once=140)


def agree_on_generated(tmp_path: Path, *, examples: int, at_least: int, at_once: int = 25) -> None:
    seen: defaultdict[str, set[Any]] = defaultdict(set)
    checked = 0

    # A stream's name is its seed and length: shrinking, with a database made at each step, would take minutes.
    @settings(max_examples=examples, phases=[Phase.generate])
    @given(
        drawn=st.lists(
            st.tuples(st.integers(0, 2**64), st.integers(0, 60)), min_size=at_once, max_size=at_once + 35
        ),
        order=st.integers(0, 9),
    )
    def check(drawn: list[tuple[int, int]], order: int) -> None:
        nonlocal checked
        made = [Maker(f"seed {seed}, length {length}", seed, length) for seed, length in dict.fromkeys(drawn)]
        streams = {maker.stream: maker.records for maker in made}
        computed = compare(write(tmp_path, list(streams.values()), order), streams)

        checked += len(computed)
        for metrics in computed.values():
            for name, value in metrics.items():
                seen[name].add(value)
        seen["kind"].update(stall.kind for records in streams.values() for stall in stalls(records))

    check()
    assert checked >= at_least, "hardly anything was compared"
    assert set(get_args(Outcome)) == seen["outcome"]
    assert set(get_args(StallKind)) == seen["kind"]
    assert [name for name in METRICS if len(seen[name]) < 2] == [], "metrics that never varied"
