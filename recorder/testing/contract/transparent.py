"""What an application can observe of its calls, as a value: the same with a tap and without."""

from __future__ import annotations

import gc
import re
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import product
from typing import Any

from recorder.testing.aws import bedrock_exception
from recorder.testing.connection import Received
from recorder.testing.contract.colours import COLOURS, all_of, each, got, new_client, run, within
from recorder.testing.reply import Reply, Step, encode_event, gzip_steps, message_events
from recorder.testing.upstream import Upstream

ASK: dict[str, Any] = {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
EVENTS = message_events("Hel", "lo ", "wör", "ld")
HELLO = Reply.sse(EVENTS)
_SOON = {"retry-after-ms": "1"}
_OVERLOADED = Reply.error(529, "overloaded_error", "Overloaded", headers=_SOON)
_ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
_GZIP = {"content-type": "text/event-stream", "content-encoding": "gzip"}
_ZIPPED = gzip_steps([Step(at=0, data=encode_event(event)) for event in EVENTS])
_BAD_ZIP = (Step(at=0, data=_ZIPPED[0].data + b"\0 no gzip"),)
_ONE_TOO_MANY = Reply.error(400, "invalid_request_error", "a plain client does not ask so often")
_HTML = {"content-type": "text/html", **_SOON}

SCENARIOS: dict[str, list[Reply]] = {
    "normal": [HELLO],
    "error event": [Reply.sse([*EVENTS[:3], _ERROR])],
    "cut": [Reply.sse(EVENTS[:4], end="cut")],
    "reset": [Reply.sse(EVENTS[:4], end="reset", end_at=20_000_000)],
    "silence": [Reply.sse(EVENTS[:4], end="hang")],
    "truncated": [Reply.sse(EVENTS[:4])],
    "no event at all": [Reply.sse([])],
    "gzip": [Reply(headers=_GZIP, steps=_ZIPPED)],
    "broken gzip": [Reply(headers=_GZIP, steps=_BAD_ZIP)],
    "bad utf-8": [Reply.sse([*map(encode_event, EVENTS[:2]), b"event: x\ndata: \xff\n\n"])],
    "binary frames": [Reply.sse([bedrock_exception("x", "y")])],
    "429 then 200": [Reply.error(429, "rate_limit_error", "Slow", headers=_SOON), HELLO],
    "529 to the end": [_OVERLOADED, _OVERLOADED],
    "400": [Reply.error(400, "invalid_request_error", "No")],
    "cut before the headers": [Reply.drop("cut"), HELLO],
    "html": [Reply(status=502, headers=_HTML, steps=(Step(at=0, data=b"<h1>bad"),)), HELLO],
}
"""What a server does to a call of a client that tries twice."""

Saw = dict[str, Any]
"""What was seen of one call: `items`, `response`, the chain of the `error`, and of an ordinary call `after` it."""
Way = Callable[[Any, Saw], Awaitable[None]]
"""Makes one call with a client of any colour, and notes in `items` what comes of it."""
Call = tuple[list[Reply], Way]
"""What the server answers, and how it is asked."""
Wrap = Callable[[Any], Any]
"""Gives a client that is observed for a plain one."""


def links(error: BaseException | None) -> list[Any]:
    """The exception and what led to it."""
    if error is None:
        return []
    said = [re.sub(r"scope [0-9a-f]+", "scope", str(part)) for part in (error, *error.args)]
    here = (type(error).__module__, type(error).__qualname__, said)
    return [here, links(error.__cause__), links(error.__context__), error.__suppress_context__]


async def events(one: Any, saw: Saw) -> None:
    stream = await got(one.messages.create(**ASK, stream=True))
    await note_response(stream.response, saw)
    async for event in each(stream):
        saw["items"].append(event.to_dict())


async def accumulated(one: Any, saw: Saw) -> None:
    async with within(one.messages.stream(**ASK)) as stream:
        await note_response(stream.response, saw)
        async for event in each(stream):
            saw["items"].append(event.type)
        saw["items"].append((await got(stream.get_final_message())).to_dict())


async def chunks(one: Any, saw: Saw) -> None:
    async with within(one.messages.with_streaming_response.create(**ASK, stream=True)) as response:
        await note_response(response.http_response, saw)
        async for chunk in each(response.iter_bytes()):
            saw["items"].append(chunk)


async def wire(one: Any, saw: Saw) -> None:
    async with within(one.messages.with_streaming_response.create(**ASK, stream=True)) as response:
        http = response.http_response
        async for chunk in each(http.aiter_raw() if hasattr(http.stream, "aclose") else http.iter_raw()):
            saw["items"].append(chunk)
        await note_response(http, saw)


async def whole(one: Any, saw: Saw) -> None:
    saw["items"].append((await got(one.messages.create(**ASK))).to_dict())


async def note_response(response: Any, saw: Saw) -> None:
    saw["response"] = (response.status_code, response.http_version, sorted(response.headers))
    saw["observer"] = response.stream.stream_observer if hasattr(response.stream, "stream_observer") else None


WAYS: tuple[Way, ...] = (events, accumulated, chunks, wire, whole)
"""How an application may read a call: events, an accumulated message, decoded bytes, raw bytes, not streamed."""


def trace(wrap: Wrap | None, colour: str, calls: Sequence[Call], **options: Any) -> list[Saw]:
    """What can be seen of each call on one client, and of an ordinary one after it; last, what the server saw.

    `options` are those of the SDK's client.
    """
    script: list[Reply] = []

    def answer(_: Received) -> Reply:
        return script.pop(0) if script else _ONE_TOO_MANY

    async def call(one: Any, replies: list[Reply], way: Way) -> Saw:
        saw: Saw = {"items": [], "error": None}
        script[:] = [*replies, HELLO]
        try:
            await way(one, saw)
        except BaseException as error:
            saw["error"] = links(error)
        script[:] = [HELLO]
        try:
            stream = await got(one.with_options(timeout=20).messages.create(**ASK, stream=True))
            saw["after"] = [event.type for event in await all_of(stream)]
            saw["elapsed"] = stream.response.elapsed.total_seconds() > 0
        except Exception as error:
            saw["after"] = links(error)
        return saw

    async def main() -> list[Saw]:
        plain = new_client(colour, upstream.url, **{"timeout": 20, "max_retries": 1, **options})
        async with within(plain) as client:
            one = wrap(client) if wrap else client
            return [await call(one, replies, way) for replies, way in calls]

    with Upstream(answer) as upstream:
        saws: list[Saw] = run(colour, main)
        upstream.settle()
        requests = [(one.method, one.target, one.connection, one.body) for one in upstream.received]
        left = len(upstream.closed_by_client)
    return [*saws, {"requests": requests, "left": left}]


def check_calls(wrap: Wrap, colour: str, calls: Sequence[Call], **options: Any) -> list[Saw]:
    """A client that `wrap` observes sees of these calls what a plain client sees, and so does the server.

    Returns what the plain client saw: see `trace`.
    """
    plain = trace(None, colour, calls, **options)
    wrapped = trace(wrap, colour, calls, **options)
    _collect()  # what an older SDK drops in a cycle ends here
    for number, (was, now) in enumerate(zip(plain, wrapped, strict=True)):
        who = f"{colour}, call {number} ({calls[number][1].__name__})" if number < len(calls) else "the server"
        wrong = [field for field in was.keys() | now.keys() if was.get(field) != now.get(field)]
        said = "".join(
            f"\n  {field}\n    plain   {was.get(field)!r}\n    wrapped {now.get(field)!r}"
            for field in sorted(wrong)
        )
        assert not wrong, f"{who}: what is seen is not what a plain client sees:{said}"
    return plain


def check_scenario(wrap: Wrap, name: str, colour: str) -> list[Saw]:
    """`check_calls` for one of `SCENARIOS`, read in each of `WAYS`."""
    timeout = 0.5 if name == "silence" else 20
    ways = WAYS[:1] if name == "cut before the headers" else WAYS  # the SDK waits half a second before its retry
    try:
        return check_calls(wrap, colour, [(SCENARIOS[name], way) for way in ways], timeout=timeout)
    except AssertionError as error:
        raise AssertionError(f"{name}: {error}") from None


def check_transparent(
    wrap: Wrap, *, scenarios: Iterable[str] = tuple(SCENARIOS), colours: Iterable[str] = COLOURS
) -> int:
    """A client that `wrap` observes sees what a plain client sees, whatever the server does, however it is read.

    `wrap` gets a client of the SDK (`Anthropic`, or `AsyncAnthropic` on asyncio and on trio) and gives the one to
    call. Returns the number of calls that were compared. All of it takes about half a minute.
    """
    compared = sum(len(check_scenario(wrap, name, colour)) - 1 for colour, name in product(colours, scenarios))
    assert compared, "nothing was checked: no scenario, or no colour, was given"
    return compared


def _collect() -> None:
    """Collect all garbage, in this thread. `gc.collect` does nothing while another thread is at it, be it at the
    youngest objects only."""
    here, done = threading.get_ident(), list[int]()

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and info["generation"] == 2 and threading.get_ident() == here:
            done.append(info["collected"])

    gc.callbacks.append(note)
    try:
        while not done:
            gc.collect()
            time.sleep(0)
    finally:
        gc.callbacks.remove(note)
