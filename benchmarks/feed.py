"""What the benchmarks feed the SDK with: one long stream, from memory, one event a chunk."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from statistics import median

import anthropic
import httpx2

from recorder.testing import encode_event, message_events

ASK = {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}


def chunks(events: int) -> list[bytes]:
    """A complete message of about `events` events, each of the usual 130 to 140 bytes."""
    return [encode_event(event) for event in message_events(*(f"word {n % 97} " for n in range(events)))]


class _Body(httpx2.SyncByteStream):
    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        yield from self._parts


class ListTransport(httpx2.BaseTransport):
    """Answers every request with the same chunks, at once."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, stream=_Body(self._parts), request=request)


def client(transport: httpx2.BaseTransport) -> anthropic.Anthropic:
    http = anthropic.DefaultHttpxClient(transport=transport)
    return anthropic.Anthropic(api_key="none", http_client=http, max_retries=0)


def drain(one: anthropic.Anthropic) -> int:
    """Read one stream as an application would, doing nothing with the events; returns how many."""
    return sum(1 for _ in one.messages.create(**ASK, stream=True))


def add_writer(parser: argparse.ArgumentParser) -> None:
    """The tap's `--writer`."""
    parser.add_argument("--writer", choices=("thread", "process"), default="thread")


def options_of(description: str | None, *, writer: bool = False) -> argparse.Namespace:
    """`--events` of a stream, counted `--runs` and, with `writer`, the tap's `--writer`, from the command line."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=9)
    if writer:
        add_writer(parser)
    return parser.parse_args()


def ratios(ours: list[float], plain: list[float]) -> str:
    """Median of the pairwise ratios, as a percentage over the plain thing, with the spread."""
    each = sorted(a / b - 1 for a, b in zip(ours, plain, strict=True))
    return f"{median(each):+.1%} (runs: {each[0]:+.1%} to {each[-1]:+.1%})"
