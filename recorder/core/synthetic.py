"""When an invented stream says what: draws from a seeded `random.Random`, by public numbers of real sessions.

From 4,153 streaming requests in an open set of coding-agent sessions (github.com/callanjfox/kv-cache-tester): the
time to the first token is lognormal, by model; so is the rate of decoding, between streams and from delta to
delta. Text comes in deltas of 1 to 12 tokens (geometric, about 5 in the mean), of which a fifth share a chunk with
the one before. A ping follows the start of the first block, and then one comes about every 30 s of silence. Two of
a thousand gaps are stalls of 3 to 45 s; 5 % of calls are refused at first, 1 % end with an error event, 5 % are
cancelled.

Nothing here reads a clock: `random` is the only source, so one seed gives one stream. Times are ns, but for
parameters in seconds (`_s`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from random import Random
from typing import Literal, NamedTuple

from msgspec import Struct

NS = 1_000_000_000
MOST_TOKENS = 12
"""Of one delta."""
_ON = 0.8
"""That a delta goes on after each token: 5 in the mean, if there were no most."""
_GAP_SIGMA = 0.4
COALESCED = 0.2
STALLED = 0.002
STALL_S = (3.0, 45.0)
PING_EVERY_S = 30.0
REFUSED = 0.05
MOST_RETRIES = 2
"""What the SDK does by itself."""
ERROR_EVENTS = 0.01
CANCELLED = 0.05
CHARS_PER_TOKEN = 4


class Model(Struct, frozen=True):
    """The numbers of one model: lognormals, by mu (of the logarithm) and sigma."""

    ttft_mu: float
    """Of seconds."""
    ttft_sigma: float
    rate: float
    """Tokens per second: the median over streams."""
    rate_sigma: float
    tokens: float
    """Output tokens: the median."""
    tokens_sigma: float


def _model(mu: float, sigma: float, rate: tuple[float, float, float], tokens: tuple[float, float]) -> Model:
    """`rate`: p5, p50 and p95 of tokens per second; `tokens`: p50 and p90 of output tokens."""
    slow, median, fast = rate
    middle, many = tokens
    return Model(mu, sigma, median, math.log(fast / slow) / 3.290, middle, math.log(many / middle) / 1.282)


MODELS = {
    "opus-4-5": _model(0.943, 0.347, (40, 56, 89), (311, 950)),
    "sonnet-4-5": _model(1.661, 0.651, (38, 55, 85), (512, 2499)),
    "sonnet-4": _model(0.787, 0.427, (45, 64, 95), (218, 1689)),
    "haiku-4-5": _model(0.118, 0.430, (84, 126, 179), (224, 1659)),
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


def draw_tokens(random: Random, model: Model) -> int:
    """How many output tokens an answer of this model has; at least 1."""
    return max(1, round(random.lognormvariate(math.log(model.tokens), model.tokens_sigma)))


class Delta(NamedTuple):
    """One delta: how many tokens, and how long after the one before; `coalesced`: in the same chunk, so not at all
    after it."""

    tokens: int
    gap: int
    coalesced: bool


def draw_delta(random: Random, pace: Pace, *, first: bool = False, stalls: bool = False) -> Delta:
    """The next delta. `first`: of its block. `stalls`: now and then it takes seconds."""
    tokens = 1
    while tokens < MOST_TOKENS and random.random() < _ON:
        tokens += 1
    return _timed(random, pace, tokens, first=first, stalls=stalls)


def draw_deltas(random: Random, pace: Pace, tokens: int, *, stalls: bool = False) -> Iterator[Delta]:
    """The deltas of an answer of so many tokens."""
    left = tokens
    while left > 0:
        delta = draw_delta(random, pace, first=left == tokens, stalls=stalls)
        yield delta._replace(tokens=min(delta.tokens, left))
        left -= delta.tokens


def _timed(random: Random, pace: Pace, tokens: int, *, first: bool, stalls: bool) -> Delta:
    gap = int(tokens / pace.rate * random.lognormvariate(0, _GAP_SIGMA) * NS)
    if stalls and random.random() < STALLED:
        return Delta(tokens, gap + draw_stall(random), coalesced=False)
    coalesced = not first and random.random() < COALESCED
    return Delta(tokens, 0 if coalesced else gap, coalesced)


def draw_stall(random: Random) -> int:
    """ns of a silence: 3 to 45 s, short ones more often."""
    least, most = STALL_S
    return int(least * (most / least) ** random.random() * NS)


def pings_in(silence: int) -> list[int]:
    """When pings come in a silence of so many ns: ns since it began."""
    every = int(PING_EVERY_S * NS)
    return list(range(every, silence, every))


class Fate(Struct, frozen=True):
    """What becomes of one call. `refused`: attempts answered with a status of 529 before the one that streams."""

    refused: int = 0
    end: Literal["complete", "error_event", "closed"] = "complete"
    share: float = 1.0
    """Of the answer that comes before it ends."""


def draw_fate(random: Random) -> Fate:
    """Whether a call is refused at first, ends with an error event, or is cancelled."""
    refused = 0
    while refused < MOST_RETRIES and random.random() < REFUSED:
        refused += 1
    ends = random.random()
    if ends < ERROR_EVENTS:
        return Fate(refused, "error_event", random.random())
    if ends < ERROR_EVENTS + CANCELLED:
        return Fate(refused, "closed", random.random())
    return Fate(refused)


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
