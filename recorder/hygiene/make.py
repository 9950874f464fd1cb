"""A recording that nobody recorded: from a text or a script, in times of a model of real streams.

Everything is drawn from one seed, so that the same seed gives the same streams; but for their wall clock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from msgspec import Struct

from recorder.core.attempt import Attempt
from recorder.core.edit import ENDINGS
from recorder.core.lines import encode_lines
from recorder.core.records import FORMAT, VERSION, Event, Header, StreamRecord
from recorder.core.redact import Secrets
from recorder.core.synthetic import NS, draw_backoff
from recorder.hygiene.answer import Answer, json_of, refusal
from recorder.hygiene.script import MAX_TOKENS, MODEL, Call, call_of, take_step
from recorder.log.new import NewRecording
from recorder.version import __version__

_BETWEEN = NS
"""From the end of one call to the next."""
_TIMEOUT = 600 * NS
"""The SDK's own, for a read."""


class Made(Struct, frozen=True, kw_only=True):
    """What was made. `seconds`: from the first request to the last end."""

    path: Path
    seed: int
    streams: int
    events: int
    seconds: float


def make_recording(
    path: str | os.PathLike[str],
    text: str | None = None,
    *,
    prompt: str = "Say something.",
    model: str = MODEL,
    max_tokens: int = MAX_TOKENS,
    system: str | None = None,
    script: Iterable[Mapping[str, Any]] | None = None,
    seed: int | None = None,
    wall: int | None = None,
) -> Made:
    """Make a recording at `path`, a new `.jsonl` file: of an answer of `text` to `prompt`, or of a `script`.

    It answers the request that `client.messages.stream(model=, max_tokens=, messages=[{"role": "user", "content":
    prompt}])` sends (and `system`, when given). A script is what `recorder make --script` reads, each line a
    mapping; `model`, `max_tokens` and `system` then hold where a call says nothing. `seed` is drawn where it is
    None, `wall` (Unix time, ns) is now: when the first request was sent.

    Its header says `synthetic`. Raises RecordingError when `path` exists, ScriptError (a ValueError) for a script
    that cannot be meant, ValueError unless there is one of `text` and `script`, and OSError.
    """
    if (text is None) == (script is None):
        raise ValueError("a recording is made of a text, or of a script: give one of the two")
    defaults = {"model": model, "max_tokens": max_tokens, "system": system}
    calls: list[Call] = []
    if text is not None:
        calls.append(call_of(prompt, model=model, max_tokens=max_tokens, system=system))
        calls[0].steps.append({"text": text})
    for step in script or ():
        take_step(calls, step, defaults)
    return make(Path(path), calls, seed=seed, wall=wall)


def make(path: Path, calls: Iterable[Call], *, seed: int | None = None, wall: int | None = None) -> Made:
    """Make a recording of these calls, one after the other. Raises as `make_recording`."""
    seed = SystemRandom().randrange(1_000_000) if seed is None else seed
    wall = time.time_ns() if wall is None else wall
    random = Random(seed)  # noqa: S311 - what it draws is no secret
    header = Header(
        format=FORMAT,
        v=VERSION,
        segment=f"{SystemRandom().getrandbits(64):016x}",
        wall=wall,
        mono=0,
        recorder=__version__,
        source="synthetic",
    )
    streams = events = now = 0
    with NewRecording(path) as new:
        new.begin(header, seed=seed)
        for call in calls:
            for records in _attempts(call, random, wall, now):
                told = sum(isinstance(record, Event) for record in records)
                new.write(encode_lines(records), streams=1, events=told)
                streams, events = streams + 1, events + told
                now = _sent(records) + records[-1].at
            now += _BETWEEN
    return Made(path=path, seed=seed, streams=streams, events=events, seconds=max(0, now - _BETWEEN) / NS)


def _sent(records: list[StreamRecord]) -> int:
    return getattr(records[0], "mono", 0)


def _attempts(call: Call, random: Random, wall: int, now: int) -> Iterator[list[StreamRecord]]:
    """The records of each attempt of a call whose first one is sent `now` ns after `wall`."""
    name = _id(random)
    for number, status in enumerate(call.refused):
        attempt, records = _asked(call, random, name, number, wall, now)
        headers, body = refusal(status, random)
        at = int(random.uniform(0.1, 0.3) * NS)
        records.append(attempt.response(at=at, status=status, headers=headers.items()))
        records += attempt.chunk(at, 0, body)
        records += attempt.end(at + NS // 1000, NS // 1000, "read")
        yield records
        now += records[-1].at + draw_backoff(random, number)
    attempt, records = _asked(call, random, name, len(call.refused), wall, now)
    answer = Answer(call, random)
    records.append(attempt.response(at=answer.headers_at, status=200, headers=answer.headers.items()))
    before = answer.headers_at
    for chunk in answer.chunks:
        records += attempt.chunk(chunk.at, chunk.at - before, chunk.data)
        before = chunk.at
    if call.end != "lost":
        how, error = ENDINGS.get(call.end, ("read", None))
        end_at = before + _TIMEOUT if call.end == "timeout" else max(answer.end_at, before)
        records += attempt.end(end_at, end_at - before, how, error)
    yield records


def _asked(
    call: Call, random: Random, name: str, number: int, wall: int, now: int
) -> tuple[Attempt, list[StreamRecord]]:
    attempt = Attempt(stream=_id(random), call=name, attempt=number, secrets=Secrets())
    request = attempt.request(
        wall=wall + now,
        mono=now,
        method="POST",
        url="/v1/messages",
        headers=[("x-stainless-retry-count", str(number))] if number else [],
        body=json_of(call.request),
        tags=call.tags,
    )
    return attempt, [request]


def _id(random: Random) -> str:
    return f"{random.getrandbits(64):016x}"
