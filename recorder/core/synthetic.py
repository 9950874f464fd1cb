"""When an invented stream says what: draws from a seeded `random.Random`, by public numbers of real sessions.

From 4,153 streaming requests in an open set of coding-agent sessions (github.com/callanjfox/kv-cache-tester): the
time to the first token is lognormal, by model; so is the rate of decoding, between streams and from delta to
delta. Text comes in deltas of 1 to 12 tokens (geometric, about 5 in the mean), of which a fifth share a chunk with
the one before. A ping follows the start of the first block, and then one comes about every 30 s of silence.

Nothing here reads a clock: `random` is the only source, so one seed gives one stream. Times are ns, but for
parameters in seconds (`_s`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from msgspec import Struct

NS = 1_000_000_000
MOST_TOKENS = 12
"""Of one delta."""
_ON = 0.8
"""That a delta goes on after each token: 5 in the mean, if there were no most."""
_GAP_SIGMA = 0.4
COALESCED = 0.2
PING_EVERY_S = 30.0
CHARS_PER_TOKEN = 4


class Model(Struct, frozen=True):
    """The numbers of one model: lognormals, by mu (of the logarithm) and sigma."""

    ttft_mu: float
    """Of seconds."""
    ttft_sigma: float
    rate: float
    """Tokens per second: the median over streams."""
    rate_sigma: float


def _model(mu: float, sigma: float, slow: float, median: float, fast: float) -> Model:
    """The rate by its p5, p50 and p95."""
    return Model(mu, sigma, median, math.log(fast / slow) / 3.290)


MODELS = {
    "opus-4-5": _model(0.943, 0.347, 40, 56, 89),
    "sonnet-4-5": _model(1.661, 0.651, 38, 55, 85),
    "sonnet-4": _model(0.787, 0.427, 45, 64, 95),
    "haiku-4-5": _model(0.118, 0.430, 84, 126, 179),
}
"""Of sonnet-4-5 the contexts were very long: its first tokens are slower than its successors' need be."""
_FAMILIES = {"opus": "opus-4-5", "haiku": "haiku-4-5"}


def model_of(name: str) -> Model:
    """The numbers for a model's name, such as `claude-haiku-4-5-20251001`: its own, those of its family, or
    sonnet-4's."""
    own = next((key for key in MODELS if re.search(rf"{key}(?!-?\d(?!\d))", name)), None)
    family = next((key for word, key in _FAMILIES.items() if word in name), "sonnet-4")
    return MODELS[own or family]


class Pace(Struct, frozen=True):
    """What was drawn for one stream."""

    headers: int
    """ns from the send to the response's headers."""
    first: int
    """ns from the send to the start of the first block."""
    rate: float
    """Tokens per second."""


def draw_pace(random: Random, model: Model) -> Pace:
    """How fast a stream of this model answers."""
    first_s = random.lognormvariate(model.ttft_mu, model.ttft_sigma)
    return Pace(
        headers=int(first_s * random.uniform(0.6, 0.85) * NS),
        first=int(first_s * NS),
        rate=model.rate * random.lognormvariate(0, model.rate_sigma),
    )


class Delta(NamedTuple):
    """One delta: how many tokens, and how long after the one before; `coalesced`: in the same chunk, so not at all
    after it."""

    tokens: int
    gap: int
    coalesced: bool


def draw_delta(random: Random, pace: Pace, *, first: bool = False) -> Delta:
    """The next delta. `first`: of its block."""
    tokens = 1
    while tokens < MOST_TOKENS and random.random() < _ON:
        tokens += 1
    gap = int(tokens / pace.rate * random.lognormvariate(0, _GAP_SIGMA) * NS)
    coalesced = not first and random.random() < COALESCED
    return Delta(tokens, 0 if coalesced else gap, coalesced)


def pings_in(silence: int) -> list[int]:
    """When pings come in a silence of so many ns: ns since it began."""
    every = int(PING_EVERY_S * NS)
    return list(range(every, silence, every))


def draw_backoff(random: Random, attempt: int) -> int:
    """ns that the SDK waits before the retry after this attempt (0 for the first)."""
    return int(min(0.5 * 2**attempt, 8.0) * random.uniform(0.75, 1.0) * NS)


class Piece(NamedTuple):
    """The text of one delta, and its delta."""

    text: str
    delta: Delta


def cut(text: str, random: Random, pace: Pace) -> Iterator[Piece]:
    """`text` as deltas, about four characters to a token; mostly one ends where a word does."""
    at = 0
    while at < len(text):
        delta = draw_delta(random, pace, first=at == 0)
        end = at + CHARS_PER_TOKEN * delta.tokens
        space = text.find(" ", end, end + 2 * CHARS_PER_TOKEN)
        piece = text[at : space if space > 0 else end]
        tokens = tokens_in(piece)
        yield Piece(piece, delta._replace(tokens=tokens, gap=delta.gap * tokens // delta.tokens))
        at += len(piece)


def tokens_in(text: str) -> int:
    """About how many tokens a text has; none for none."""
    return -(-len(text) // CHARS_PER_TOKEN)


_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def draw_id(random: Random, prefix: str, length: int) -> str:
    """An id as the API makes them: `draw_id(random, "msg_01", 22)`."""
    return prefix + "".join(random.choices(_ALPHABET, k=length))
