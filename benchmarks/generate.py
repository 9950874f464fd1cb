"""Realistic recordings of any size: `python benchmarks/generate.py DIRECTORY [--events N] [--streams N]`.

What is drawn, and from which distributions, is in the tables below: they follow public measurements of
coding-agent sessions. All of it comes from `--seed`: the same arguments write the same bytes, whatever `--jobs`
is. Each segment has 16 streams at a time, interleaved as one process would write them. The files are marked
`synthetic`.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import random
from bisect import bisect
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

S, MS = 1_000_000_000, 1_000_000
WALL = 1_795_223_100 * S
SEGMENT_STREAMS = 5_000
AT_ONCE = 16


class Model(NamedTuple):
    """Time to first token: lognormal (mu, sigma), s. Decode rate: p50 and log-sigma, tokens/s. Output tokens: as
    the rate."""

    name: str
    share: float
    mu: float
    sigma: float
    rate: float
    rate_sigma: float
    tokens: float
    tokens_sigma: float


MODELS = (
    Model("claude-opus-4-5", 0.3, 0.943, 0.347, 56, 0.25, 311, 0.87),
    Model("claude-sonnet-4-5", 0.3, 1.661, 0.651, 55, 0.25, 512, 1.2),
    Model("claude-sonnet-4", 0.15, 0.787, 0.427, 64, 0.23, 218, 1.3),
    Model("claude-haiku-4-5", 0.25, 0.118, 0.430, 126, 0.23, 224, 1.3),
)
DELTA_TOKENS = tuple(min(12, 1 + int(math.log(1 - (n + 0.5) / 997) / math.log(1 - 1 / 5.3))) for n in range(997))
"""Tokens of a delta: geometric, mean about 5, by quantile."""
JITTER = tuple(math.exp(0.4 * z) for z in sorted(random.Random(5).gauss(0, 1) for _ in range(4093)))
COALESCED, STALL, SLOW_TOOL = 0.2, 0.002, 0.02
RETRY, ERROR_EVENT, CANCELLED, LOST = 0.05, 0.01, 0.05, 0.002
THINKING, TOOL = 0.3, 0.35
WORDS = [
    "the",
    "of",
    "to",
    "and",
    "a",
    "in",
    "is",
    "it",
    "you",
    "that",
    "he",
    "was",
    "for",
    "on",
    "are",
    "with",
    "as",
    "I",
    "his",
    "they",
    "be",
    "at",
    "one",
    "have",
    "this",
]
_FRAME = len("event: \ndata: \n\n")
_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


def _tails(kind: str, block: int) -> list[tuple[str, int]]:
    """By the number of tokens: what follows `chunk` in the line of a delta, and its bytes on the wire."""
    tails: list[tuple[str, int]] = []
    for tokens in range(13):
        text = "".join(f"{WORDS[(tokens * 7 + n) % len(WORDS)]} " for n in range(tokens))
        payload = {"type": "content_block_delta", "index": block, "delta": {"type": kind, _DELTAS[kind]: text}}
        data = json.dumps(payload, separators=(",", ":"))
        line = (
            f'"event":"content_block_delta","block":{block},"delta":"{kind}","chars":{len(text)},"data":{data}}}\n'
        )
        tails.append((line, len(data) + len("content_block_delta") + _FRAME))
    return tails


TAILS = {(kind, block): _tails(kind, block) for kind in _DELTAS for block in range(3)}


class Generator:
    """The streams of one segment."""

    def __init__(self, seed: int, segment: int, scale: float) -> None:
        self.random = random.Random(f"{seed}/{segment}")
        self.scale = scale
        """By which the output is longer than measured."""
        self.segment = f"{self.random.getrandbits(64):016x}"
        self.start = WALL + segment * 600 * S
        self.clock = 0
        """ns since `start`, when the next call is made."""

    def lines(self, streams: int) -> Iterator[str]:
        yield _line(
            kind="header", format="sse-recording", v=1, segment=self.segment, wall=self.start, mono=0,
            recorder="0", anthropic="2.11.0", python="3.11.7", pid=4711, source="synthetic",
        )  # fmt: skip
        made = 0
        while made < streams:
            group: list[tuple[int, str]] = []
            for _ in range(min(AT_ONCE, streams - made)):
                made += self.call(group, streams - made)
            group.sort(key=itemgetter(0))
            yield from (line for _, line in group)

    def call(self, out: list[tuple[int, str]], room: int) -> int:
        """One call with its attempts; returns how many there are, at most `room`."""
        dice = self.random
        self.clock += int(dice.expovariate(1 / 0.4) * S)
        sent, call, attempt = self.clock, f"{dice.getrandbits(64):016x}", 0
        model = MODELS[bisect(_CUMULATED, dice.random())]
        turn = int(dice.expovariate(1 / 8))
        request = _request(model.name, turn, dice.randrange(40))
        while attempt + 1 < room and dice.random() < RETRY:
            sent += self.refused(out, sent, call, attempt, request)
            attempt += 1
        Stream(self, out, sent, call, attempt, request, model, turn).write()
        return attempt + 1

    def refused(self, out: list[tuple[int, str]], sent: int, call: str, attempt: int, request: str) -> int:
        """A 529; returns how much later the next attempt is sent."""
        stream = f"{self.random.getrandbits(64):016x}"
        at = int(self.random.uniform(0.1, 0.6) * S)
        self.begin(out, sent, stream, call, attempt, request)
        out.append((sent + at, _line(kind="response", stream=stream, seq=1, at=at, status=529, headers=_HEADERS)))
        error = {"type": "overloaded_error", "message": "Overloaded"}
        end = {"end": "closed", "complete": False, "events": 0, "bytes": 0, "chunks": 0}
        out.append(
            (sent + at + MS, _line(kind="end", stream=stream, seq=2, at=at + MS, **end, summary={"error": error}))
        )
        return at + MS + int(self.random.uniform(0.4, 0.8) * 2**attempt * S)

    def begin(
        self, out: list[tuple[int, str]], sent: int, stream: str, call: str, attempt: int, request: str
    ) -> None:
        out.append(
            (
                sent,
                (
                    f'{{"kind":"request","stream":"{stream}","seq":0,"at":0,"wall":{self.start + sent},'
                    f'"mono":{sent},"call":"{call}","attempt":{attempt},"method":"POST","url":"/v1/messages",'
                    f"{request}}}\n"
                ),
            )
        )


class Stream:
    """One stream that gets an answer. Times in ns since its send."""

    def __init__(
        self, generator: Generator, out: list[tuple[int, str]], sent: int, call: str, attempt: int, request: str,
        model: Model, turn: int,
    ) -> None:  # fmt: skip
        dice = self.random = generator.random
        self.out, self.sent, self.model = out, sent, model
        self.id = f"{dice.getrandbits(64):016x}"
        self.seq, self.chunk, self.wait, self.bytes = 1, -1, 0, 0
        self.silent = 0
        """ns before the next delta, in which nothing comes."""
        generator.begin(out, sent, self.id, call, attempt, request)
        first = int(dice.lognormvariate(model.mu, model.sigma) * S)
        self.at = int(first * dice.uniform(0.5, 0.9))
        self.first = first
        self.rate = model.rate * math.exp(model.rate_sigma * dice.gauss(0, 1))
        tokens = int(model.tokens * math.exp(model.tokens_sigma * dice.gauss(0, 1)) * generator.scale)
        self.tokens = max(2, min(tokens, 60_000))
        tokens_in = 2_000 + turn * 4_000 + dice.randrange(2_000)
        cached = int(tokens_in * 0.9) if turn else 0
        self.usage = {"input_tokens": tokens_in - cached, "cache_read_input_tokens": cached,
                      "cache_creation_input_tokens": 0, "output_tokens": 1}  # fmt: skip
        fate = dice.random()
        self.cut = dice.randrange(self.tokens) if fate < ERROR_EVENT + CANCELLED + LOST else None
        self.fate = "error" if fate < ERROR_EVENT else "closed" if fate < ERROR_EVENT + CANCELLED else "lost"

    def write(self) -> None:
        phases = {"send": [MS, 2 * MS], "headers": [2 * MS, self.at]}
        self.line(kind="response", status=200, headers=_HEADERS, phases=phases, reused=True)
        message = {"id": f"msg_{self.id}", "type": "message", "role": "assistant", "model": self.model.name,
                   "content": [], "stop_reason": None, "usage": self.usage}  # fmt: skip
        self.pass_time(20 * MS)
        self.event("message_start", message=message)
        thinking, tool = self.random.random() < THINKING, self.random.random() < TOOL
        kinds = ["thinking"] * thinking + ["text"] * (not tool or self.random.random() < 0.7) + ["tool_use"] * tool
        left, done = self.tokens, 0
        for block, kind in enumerate(kinds):
            size = left if block == len(kinds) - 1 else max(1, int(left * self.random.uniform(0.2, 0.8)))
            left -= size
            done += size
            if not self.block(block, kind, size, done - size):
                return
        self.pass_time(15 * MS)
        usage = {**self.usage, "output_tokens": self.tokens}
        reason = "tool_use" if tool else "end_turn"
        self.event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage)
        self.event("message_stop")
        self.pass_time(MS)
        summary = {"id": f"msg_{self.id}", "model": self.model.name, "stop_reason": reason, "usage": usage}
        self.end("read", complete=True, summary=summary)

    def block(self, block: int, kind: str, tokens: int, before: int) -> bool:
        """False when the stream ended in it."""
        start = {"thinking": {"thinking": "", "signature": ""}, "text": {"text": ""},
                 "tool_use": {"id": "toolu_1", "name": "read_file", "input": {}}}[kind]  # fmt: skip
        self.event("content_block_start", block, kind, content_block={"type": kind, **start})
        if block == 0:
            self.event("ping")
            self.silent = max(0, self.first - self.at)
        if kind == "tool_use" and self.random.random() < SLOW_TOOL:
            self.silent += int(self.random.uniform(3, 29) * S)
        tails = TAILS[{"thinking": "thinking_delta", "text": "text_delta"}.get(kind, "input_json_delta"), block]
        dice, sizes, jitter, scale = self.random.random, len(DELTA_TOKENS), len(JITTER), S / self.rate
        add, stream, sent = self.out.append, self.id, self.sent
        cut = self.cut - before if self.cut is not None and self.cut < before + tokens else None
        while tokens > 0:
            n = min(tokens, DELTA_TOKENS[int(dice() * sizes)])
            if cut is not None and (cut := cut - n) <= 0:
                self.broken_off()
                return False
            tokens -= n
            luck = dice()
            if luck < STALL:
                self.silence(3 * 15 ** dice())
            elif luck < 1 - COALESCED or self.silent or self.chunk == 0:
                self.wait = int(n * scale * JITTER[int(dice() * jitter)]) + self.silent
                self.silent = 0
                self.at += self.wait
                self.chunk += 1
            tail, size = tails[n]
            line = f'{{"kind":"event","stream":"{stream}","seq":{self.seq},"at":{self.at},"wait":{self.wait},'
            add((sent + self.at, f'{line}"chunk":{self.chunk},{tail}'))
            self.seq += 1
            self.bytes += size
        self.event("content_block_stop", block)
        return True

    def silence(self, seconds: float) -> None:
        """Nothing comes but a ping every 30 s."""
        for _ in range(int(seconds // 30)):
            self.pass_time(30 * S)
            self.event("ping")
        self.pass_time(int(seconds % 30 * S) + MS)

    def broken_off(self) -> None:
        if self.fate == "lost":
            return
        self.pass_time(MS)
        usage = {name: count for name, count in self.usage.items() if name != "output_tokens"}
        summary: dict[str, object] = {"id": f"msg_{self.id}", "model": self.model.name, "usage": usage}
        if self.fate == "error":
            summary["error"] = {"type": "overloaded_error", "message": "Overloaded"}
            self.event("error", error=summary["error"])
            self.pass_time(MS)
        self.end("read" if self.fate == "error" else "closed", complete=False, summary=summary)

    def pass_time(self, ns: int) -> None:
        self.at += ns
        self.wait = ns
        self.chunk += 1

    def event(self, name: str, block: int | None = None, kind: str | None = None, **payload: object) -> None:
        data: dict[str, object] = {"type": name}
        named: dict[str, object] = {"event": name}
        if block is not None:
            data["index"] = named["block"] = block
        if kind is not None:
            named |= {"delta": kind, "chars": 0}
        data |= payload
        self.bytes += len(json.dumps(data, separators=(",", ":"))) + len(name) + _FRAME
        self.line(kind="event", wait=self.wait, chunk=self.chunk, **named, data=data)

    def end(self, how: str, **fields: object) -> None:
        count = {"events": self.seq - 2, "bytes": self.bytes, "chunks": self.chunk}
        self.line(kind="end", wait=self.wait, end=how, **count, **fields)

    def line(self, *, kind: str, **fields: object) -> None:
        self.out.append(
            (self.sent + self.at, _line(kind=kind, stream=self.id, seq=self.seq, at=self.at, **fields))
        )
        self.seq += 1


_CUMULATED = [sum(model.share for model in MODELS[: n + 1]) for n in range(len(MODELS) - 1)]
_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "request-id": "req_011C"}
_SYSTEM = "You are a coding agent. " * 10


def _line(**fields: object) -> str:
    return json.dumps(fields, separators=(",", ":")) + "\n"


def _request(model: str, turn: int, user: int) -> str:
    messages = [{"role": ("user", "assistant")[n % 2], "content": "Go on."} for n in range(2 * turn + 1)]
    body = {"model": model, "max_tokens": 8192, "stream": True, "system": _SYSTEM, "messages": messages}
    headers = {"x-stainless-lang": "python", "x-stainless-package-version": ("2.10.0", "2.11.0")[user % 2]}
    tags = {"user": f"u{user}", "feature": ("chat", "review")[user % 3 == 0]}
    return _line(headers=headers, data=body, tags=tags)[1:-2]


def write(directory: Path, seed: int, segment: int, streams: int, scale: float) -> tuple[int, int]:
    """One segment; returns (events, bytes)."""
    path = directory / f"{segment:06}.jsonl"
    events = size = 0
    with path.open("w", encoding="utf-8", buffering=1 << 20) as file:
        for line in Generator(seed, segment, scale).lines(streams):
            events += line.startswith('{"kind":"event"')
            size += file.write(line)
    return events, size


def generate(directory: Path, *, events: int, streams: int, seed: int, jobs: int) -> tuple[int, int]:
    """Write the segments; returns (events, bytes), the events within some percent of what was asked for."""
    directory.mkdir(parents=True, exist_ok=True)
    scale = events / streams / EVENTS_PER_STREAM
    sizes = [min(SEGMENT_STREAMS, streams - first) for first in range(0, streams, SEGMENT_STREAMS)]
    work = [(directory, seed, n, size, scale) for n, size in enumerate(sizes)]
    with multiprocessing.Pool(jobs) as pool:
        done = pool.starmap(write, work, chunksize=1)
    return sum(n for n, _ in done), sum(size for _, size in done)


EVENTS_PER_STREAM = 135
"""At scale 1: what the distributions above come to."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--streams", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=20_261_121)
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    asked = parser.parse_args()
    events, size = generate(
        asked.directory, events=asked.events, streams=asked.streams, seed=asked.seed, jobs=asked.jobs
    )
    print(f"seed {asked.seed}: {events:,} events in {asked.streams:,} streams, {size / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
