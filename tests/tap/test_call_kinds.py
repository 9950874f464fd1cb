"""Every kind of call that the SDK makes: seen as without us, recorded byte for byte, replayed."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pydantic
import pytest
from anthropic import beta_async_tool, beta_tool

import recorder
from recorder.core.wire import NotRecorded
from recorder.log.streams import Stream
from recorder.log.verify import verify
from recorder.testing import Received, Reply, Step, Upstream, message_events
from recorder.testing.contract.colours import COLOURS, all_of, got, new_client, run, within

ASK: dict[str, Any] = {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
FILE = {
    "id": "file_1", "type": "file", "filename": "a.bin", "mime_type": "application/octet-stream", "size_bytes": 3,
    "created_at": "2026-01-01T00:00:00Z", "downloadable": True,
}  # fmt: skip
RESULTS = "".join(
    json.dumps({"custom_id": f"c{n}", "result": {"type": "canceled"}, "note": "ö\u2028"}, ensure_ascii=False)
    + "\n"
    for n in range(3)
).encode()
SMALL = bytes(range(256)) * 4
PICTURE = bytes(range(256)) * 40


def message(*content: dict[str, Any], stop: str = "end_turn") -> dict[str, Any]:
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-test", "content": list(content),
        "stop_reason": stop, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 2},
    }  # fmt: skip


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def page(name: str, *, more: bool) -> Reply:
    one = {"id": name, "type": "model", "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
    return Reply.json(200, {"data": [one], "has_more": more, "first_id": name, "last_id": name})


def batch(received: Received) -> Reply:
    host = dict(received.headers)["host"]
    return Reply.json(
        200,
        {
            "id": "b1", "type": "message_batch", "processing_status": "ended",
            "results_url": f"http://{host}/v1/messages/batches/b1/results",
        },
    )  # fmt: skip


def body(data: bytes, kind: str, *, cut: int = 700) -> Reply:
    steps = tuple(Step(at=0, data=data[n : n + cut]) for n in range(0, len(data), cut))
    return Reply(headers={"content-type": kind, "request-id": "req_1"}, steps=steps)


class Answer(pydantic.BaseModel):
    n: int


def weather_of(place: str) -> str:
    """The weather.

    Args:
        place: where
    """
    return f"rain in {place}"


async def count(one: Any) -> Any:
    return (await got(one.messages.count_tokens(model="m", messages=ASK["messages"]))).input_tokens


async def batch_results(one: Any) -> Any:
    return [result.to_dict() for result in await all_of(one.messages.batches.results("b1"))]


async def pages(one: Any) -> Any:
    return [model.id for model in await all_of(one.models.list(limit=1))]


async def upload_bytes(one: Any) -> Any:
    return (await got(one.beta.files.upload(file=("a.bin", SMALL, "application/octet-stream")))).id


async def upload_memory(one: Any) -> Any:
    return (await got(one.beta.files.upload(file=io.BytesIO(SMALL)))).id


async def download(one: Any) -> Any:
    return await got((await got(one.beta.files.download("file_1"))).read())


async def beta(one: Any) -> Any:
    whole = (await got(one.beta.messages.create(**ASK))).to_dict()
    async with within(one.beta.messages.stream(**ASK)) as events:
        return whole, (await got(events.get_final_message())).to_dict()


async def tools(one: Any) -> Any:
    if type(one).__name__.startswith("Async"):

        async def weather(place: str) -> str:
            return weather_of(place)

        tool: Any = beta_async_tool(weather, name="weather_of", description=weather_of.__doc__)
    else:
        tool = beta_tool(weather_of)
    return [turn.to_dict() for turn in await all_of(one.beta.messages.tool_runner(**ASK, tools=[tool]))]


async def parsed(one: Any) -> Any:
    return (await got(one.messages.parse(**ASK, output_format=Answer))).parsed_output


async def raw_response(one: Any) -> Any:
    response = await got(one.messages.with_raw_response.create(**ASK))
    return response.status_code, response.headers["request-id"], (await got(response.parse())).to_dict()


async def lines(one: Any) -> Any:
    async with within(one.messages.with_streaming_response.create(**ASK, stream=True)) as response:
        return await all_of(response.iter_lines())


async def as_bytes(one: Any) -> Any:
    async with within(one.messages.with_streaming_response.create(**ASK, stream=True)) as response:
        return await all_of(response.iter_bytes())


async def sized_bytes(one: Any) -> Any:
    async with within(one.messages.with_streaming_response.create(**ASK, stream=True)) as response:
        return await all_of(response.iter_bytes(7))


async def as_text(one: Any) -> Any:
    async with within(one.messages.with_streaming_response.create(**ASK, stream=True)) as response:
        return await all_of(response.iter_text())


async def options(one: Any) -> Any:
    first = one.with_options(timeout=20, default_headers={"x-mine": "1"}).copy(max_retries=1)
    return [event.to_dict() for event in await all_of(first.messages.create(**ASK, stream=True))]


class Kind(NamedTuple):
    """What is called, and what the server answers."""

    use: Callable[[Any], Awaitable[Any]]
    replies: tuple[Reply | Callable[[Received], Reply], ...]


HELLO = Reply.sse(message_events("Hel", "lö"), headers={"request-id": "req_1"})
WHOLE = Reply.json(200, message(text("hi")), headers={"request-id": "req_1"})
CALLS_TOOL = message(
    {"type": "tool_use", "id": "t1", "name": "weather_of", "input": {"place": "Ulm"}}, stop="tool_use"
)
KINDS = {
    "count_tokens": Kind(count, (Reply.json(200, {"input_tokens": 5}),)),
    "batch results": Kind(batch_results, (batch, body(RESULTS, "application/x-jsonl"))),
    "batch results, untyped": Kind(batch_results, (batch, body(RESULTS, "binary/octet-stream", cut=11))),
    "models.list": Kind(pages, (page("m1", more=True), page("m2", more=False))),
    "upload of bytes": Kind(upload_bytes, (Reply.json(200, FILE),)),
    "upload of a stream": Kind(upload_memory, (Reply.json(200, FILE),)),
    "download": Kind(download, (body(PICTURE, "image/png"),)),
    "beta": Kind(beta, (WHOLE, HELLO)),
    "tool_runner": Kind(tools, (Reply.json(200, CALLS_TOOL), WHOLE)),
    "parse": Kind(parsed, (Reply.json(200, message(text('{"n": 3}'))),)),
    "raw response": Kind(raw_response, (WHOLE,)),
    "iter_lines": Kind(lines, (HELLO,)),
    "iter_bytes": Kind(as_bytes, (HELLO,)),
    "iter_bytes with a size": Kind(sized_bytes, (HELLO,)),
    "iter_text": Kind(as_text, (HELLO,)),
    "with_options": Kind(options, (HELLO,)),
}


def server(kind: Kind) -> Upstream:
    script = iter(kind.replies)

    def answer(received: Received) -> Reply:
        reply = next(script)
        return reply(received) if callable(reply) else reply

    return Upstream(answer)


def recorded(path: Path) -> list[Stream]:
    return sorted(recorder.open(path).streams(), key=lambda stream: stream.request.mono)


def problems(path: Path) -> list[Any]:
    return [problem for check in verify([*path.iterdir()]) for problem in check.problems]


def used(colour: str, use: Callable[[Any], Awaitable[Any]], url: str, tap: recorder.Tap | None = None) -> Any:
    async def main() -> Any:
        async with within(new_client(colour, url)) as one:
            return await use(tap.wrap(one) if tap else one)

    return run(colour, main)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", KINDS)
def test_a_call_is_seen_recorded_and_replayed(tmp_path: Path, name: str, colour: str) -> None:
    kind = KINDS[name]
    with server(kind) as upstream:
        expected = used(colour, kind.use, upstream.url)
        asked = [(one.method, one.target) for one in upstream.received]
    with server(kind) as upstream, recorder.Tap(tmp_path) as tap:
        seen = used(colour, kind.use, upstream.url, tap)
        received = list(upstream.received)

    streams = recorded(tmp_path)
    assert seen == expected
    assert [(one.method, one.target) for one in received] == asked
    assert [stream.request.method for stream in streams] == [method for method, _ in asked]
    assert len({stream.call for stream in streams}) == len(streams)
    assert problems(tmp_path) == []
    for stream, reply in zip(streams, kind.replies, strict=True):
        assert stream.end is not None
        assert (stream.end.end, stream.end.complete) == ("read", True)
        if isinstance(reply, Reply):
            assert stream.body() == b"".join(step.data for step in reply.steps)
    with recorder.replay(tmp_path) as replay:
        assert used(colour, kind.use, "http://nowhere.invalid") == expected
        assert replay.unused == []


@pytest.mark.slow
def test_lines_of_a_batch_are_text(tmp_path: Path) -> None:
    many = RESULTS * 12_000
    assert len(many) > 2 << 20
    kind = Kind(batch_results, (batch, body(many, "binary/octet-stream", cut=60_001)))
    with server(kind) as upstream, recorder.Tap(tmp_path) as tap:
        assert len(used("sync", kind.use, upstream.url, tap)) == 36_000

    _, stream = recorded(tmp_path)
    pieces = [record for record in stream.records if record.__class__.__name__ == "Bytes"]
    assert len(pieces) == 3
    assert all(piece.text.endswith("\n") for piece in pieces)
    assert stream.body() == many
    assert problems(tmp_path) == []


@pytest.mark.parametrize("colour", COLOURS)
def test_a_large_file_is_kept_as_size_and_hash(tmp_path: Path, colour: str) -> None:
    picture = PICTURE * 300
    assert len(picture) > 2 << 20
    kind = Kind(download, (body(picture, "image/png", cut=100_000),))
    with server(kind) as upstream, recorder.Tap(tmp_path) as tap:
        assert used(colour, kind.use, upstream.url, tap) == picture

    [stream] = recorded(tmp_path)
    pieces = [record for record in stream.records if record.__class__.__name__ == "Bytes"]
    assert sum(piece.size for piece in pieces) == len(picture)
    assert pieces[-1].sha256 == hashlib.sha256(picture).hexdigest()
    assert stream.reduced
    assert stream.end is not None
    assert (stream.end.bytes, stream.end.complete) == (len(picture), True)
    with pytest.raises(NotRecorded, match="only its size and hash"):
        stream.body()
    assert stream.message() is None
    assert problems(tmp_path) == []
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 50_000
    with recorder.replay(tmp_path):
        for _ in range(2):
            with pytest.raises(recorder.NoMatch, match=f"a file of {len(picture)} bytes") as caught:
                used(colour, kind.use, "http://nowhere.invalid")
            assert caught.value.kind == "reduced"


@pytest.mark.parametrize("colour", COLOURS)
def test_the_parts_of_an_upload_are_sizes_and_hashes(tmp_path: Path, colour: str) -> None:
    on_disk = tmp_path / "disk.bin"
    on_disk.write_bytes(SMALL)
    large = PICTURE * 2000
    digest = hashlib.sha256(SMALL).hexdigest()

    async def use(one: Any) -> None:
        with on_disk.open("rb") as opened:
            for file in (("n.bin", SMALL, "x/y"), io.BytesIO(SMALL), on_disk, opened, ("big.bin", large)):
                await got(one.beta.files.upload(file=file))

    with Upstream(lambda _: Reply.json(200, FILE)) as upstream, recorder.Tap(tmp_path / "log") as tap:
        used(colour, use, upstream.url, tap)
        sent = [one.body for one in upstream.received]

    assert [SMALL in one for one in sent[:4]] == [True] * 4
    assert large in sent[4]
    parts = [(stream.request.parts or ())[0] for stream in recorded(tmp_path / "log")]
    assert [(part.name, part.filename, part.size, part.sha256) for part in parts] == [
        ("file", "n.bin", len(SMALL), digest),
        ("file", None, len(SMALL), digest),
        ("file", "disk.bin", len(SMALL), digest),
        ("file", "disk.bin", len(SMALL), None),
        ("file", "big.bin", len(large), None),
    ]
    assert parts[0].type == "x/y"
    assert problems(tmp_path / "log") == []


def test_a_large_binary_request_is_kept_as_size_and_hash(tmp_path: Path) -> None:
    import httpx2

    with Upstream(lambda _: WHOLE) as upstream, recorder.Tap(tmp_path) as tap:
        with httpx2.Client(transport=recorder.TapTransport(tap)) as http:
            for data in (PICTURE * 300, PICTURE):
                http.post(f"{upstream.url}/v1/x", content=data)
            http.post(f"{upstream.url}/v1/y", files={"f": ("f", SMALL)})

    large, small, parts = (stream.request for stream in recorded(tmp_path))
    assert (large.size, large.sha256) == (len(PICTURE) * 300, hashlib.sha256(PICTURE * 300).hexdigest())
    assert large.base64 is None
    assert small.base64
    assert parts.size
    assert parts.size > len(SMALL)
    replay = recorder.replay(tmp_path)
    with httpx2.Client(transport=replay.transport) as http:
        for data in (PICTURE, PICTURE * 300):
            assert http.post("http://nowhere.invalid/v1/x", content=data).json()["id"] == "msg_1"
        with pytest.raises(recorder.NoMatch):
            http.post("http://nowhere.invalid/v1/x", content=PICTURE + b"!")
