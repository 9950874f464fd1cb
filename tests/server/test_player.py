"""The replay server: what was recorded answers over HTTP, whoever recorded it, and whoever asks."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic, APIStatusError, NotFoundError

import recorder
from recorder.replayer.session import Replay
from recorder.server.player import Player
from recorder.testing import Reply, Step, Upstream, message_events
from tests.server.running import ASK, KEY, Running, connected, head_of, proxied, rest_of, running

MS = 1_000_000
HELLO = message_events("Hello", " there", "!", model="claude-haiku-4-5")
FIXTURES = Path(__file__).parents[2] / "fixtures"


@contextmanager
def served(path: Path, **options: Any) -> Iterator[tuple[Running, Replay]]:
    replay = Replay(path, **options)
    with running(Player(replay)) as one:
        yield one, replay


def client_of(server: Running, **options: Any) -> Anthropic:
    return Anthropic(base_url=server.url, api_key="none", **options)


def record(path: Path, *replies: Reply, through: str) -> None:
    """What each reply is to a request of the SDK, recorded by the proxy or by a tap."""
    with Upstream(replies) as upstream:
        if through == "proxy":
            with proxied(path, upstream.url) as (proxy, _):
                ask(Anthropic(base_url=proxy.url, api_key=KEY, max_retries=0), len(replies))
        else:
            with recorder.Tap(path) as tap:
                ask(tap.wrap(Anthropic(base_url=upstream.url, api_key=KEY, max_retries=0)), len(replies))


def ask(client: Anthropic, times: int = 1) -> list[object]:
    """What the SDK makes of each answer: its events, and the exception that ends them."""
    seen: list[object] = []
    for n in range(times):
        events: list[object] = []
        try:
            for event in client.messages.create(**ASK, stream=True, system=f"n={n}"):
                events.append(event.to_dict())
        except Exception as error:
            events.append((type(error), str(error)))
        seen.append(events)
    return seen


REPLIES = (
    Reply.sse(HELLO),
    Reply.sse(HELLO[:4]),
    Reply.sse(HELLO[:4], end="cut"),
    Reply.sse(HELLO[:4], end="reset", end_at=50 * MS),
    Reply.sse([*HELLO[:3], {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}]),
    Reply.error(529, "overloaded_error", "Overloaded"),
    Reply.drop(end="cut"),
    Reply.drop(end="reset"),
)


@pytest.mark.parametrize("through", ["proxy", "tap"])
def test_what_one_recorded_the_other_replays_with_the_same_events_and_errors(tmp_path: Path, through: str) -> None:
    with Upstream(REPLIES) as upstream:
        live = ask(Anthropic(base_url=upstream.url, api_key=KEY, max_retries=0), len(REPLIES))
    record(tmp_path, *REPLIES, through=through)

    with served(tmp_path) as (server, replay):
        over_http = ask(client_of(server, max_retries=0), len(REPLIES))
        assert replay.unused == []
    in_process = ask(recorder.replay(tmp_path).client(max_retries=0), len(REPLIES))

    assert over_http == live
    assert in_process == live


def test_every_packaged_recording_comes_back_byte_for_byte(tmp_path: Path) -> None:
    checked = 0
    for path in sorted(FIXTURES.glob("*.jsonl")):
        streams = [
            one for one in recorder.open(path).streams() if one.end and one.end.end == "read" and one.response
        ]
        with served(path, repeat=True) as (server, _):
            for stream in streams:
                request = stream.request
                response = httpx2.request(
                    request.method, f"{server.url}{httpx2.URL(stream.url).raw_path.decode()}",
                    json=request.body, headers={"x-stainless-retry-count": str(request.attempt)},
                )  # fmt: skip
                assert response.status_code == stream.response.status  # pyright: ignore
                assert response.content == stream.body()
                checked += 1
    assert checked >= 4


def test_a_miss_says_what_differs_and_is_not_asked_again(tmp_path: Path) -> None:
    record(tmp_path, Reply.sse(HELLO), through="proxy")
    with served(tmp_path) as (server, _):
        with pytest.raises(NotFoundError) as caught:
            client_of(server).messages.create(**{**ASK, "max_tokens": 65}, system="n=0", stream=True)
        journal = httpx2.get(f"{server.url}/__recorder/journal").json()
    assert "$.max_tokens: 64 recorded, 65 asked" in str(caught.value)
    [stream] = recorder.open(tmp_path).streams()
    [entry] = journal["requests"]
    miss = entry.pop("miss")
    assert (entry["result"], entry["status"], entry["path"]) == ("miss", 404, "/v1/messages")
    assert (miss["kind"], miss["nearest"]) == ("differs", stream.id)
    assert miss["differences"] == ["$.max_tokens: 64 recorded, 65 asked"]
    assert journal["unused"] == [stream.id]


def test_a_stream_is_served_once_or_again_and_again(tmp_path: Path) -> None:
    record(tmp_path, Reply.sse(HELLO), through="proxy")
    with served(tmp_path) as (server, _):
        assert len(ask(client_of(server))[0]) == len(HELLO)  # pyright: ignore
        with pytest.raises(NotFoundError, match=r"recorded 1 time\(s\), and served as often already"):
            client_of(server).messages.create(**ASK, stream=True, system="n=0")
    with served(tmp_path, repeat=True) as (server, _):
        for _ in range(3):
            assert len(ask(client_of(server))[0]) == len(HELLO)  # pyright: ignore


def test_recorded_timing_is_kept_over_http(tmp_path: Path) -> None:
    record(tmp_path, Reply.sse(HELLO, first=100 * MS, gap=20 * MS), through="proxy")
    [stream] = recorder.open(tmp_path).streams()
    due = [event.at / 1e9 for event in stream.events]
    late: list[float] = [1.0]
    with served(tmp_path, timing="recorded", repeat=True) as (server, _), client_of(server) as client:
        for _ in range(20):  # a machine that others use is late now and then
            began = time.perf_counter()
            with client.messages.create(**ASK, stream=True, system="n=0") as events:
                late = [time.perf_counter() - began - at for at, _ in zip(due, events, strict=True)]
            assert min(late) >= -0.001
            if max(late) < 0.03:
                break
    assert max(late) < 0.03


def test_retries_of_an_instant_replay_do_not_sleep(tmp_path: Path) -> None:
    refused = Reply.error(529, "overloaded_error", "Overloaded", headers={"retry-after": "5"})
    record(tmp_path, refused, through="proxy")
    with served(tmp_path, repeat=True) as (server, _):
        began = time.perf_counter()
        with pytest.raises(APIStatusError):
            client_of(server, max_retries=2).messages.create(**ASK, stream=True, system="n=0")
        assert time.perf_counter() - began < 4
        journal = httpx2.get(f"{server.url}/__recorder/journal").json()
    assert [entry["status"] for entry in journal["requests"]] == [529] * 3


def test_a_fault_is_injected_and_in_the_journal(tmp_path: Path) -> None:
    record(tmp_path, Reply.sse(HELLO), through="proxy")
    with served(tmp_path, faults=recorder.faults.cut_dirty(at=3).only(times=1)) as (server, replay):
        client = client_of(server)
        assert "RemoteProtocolError" in str(ask(client)[0][-1])  # pyright: ignore
        assert len(ask(client)[0]) == len(HELLO)  # pyright: ignore
        journal = httpx2.get(f"{server.url}/__recorder/journal").json()
        assert [one.fault for one in replay.injected] == [journal["requests"][0]["fault"]]
    assert [entry["result"] for entry in journal["requests"]] == ["broken", "served"]


def test_a_client_that_leaves_ends_its_stream_alone(tmp_path: Path) -> None:
    record(tmp_path, Reply.sse(HELLO, gap=300 * MS), through="proxy")
    with served(tmp_path, timing="recorded", repeat=True) as (server, _):
        with client_of(server).messages.create(**ASK, stream=True, system="n=0") as events:
            next(iter(events))
        deadline = time.monotonic() + 30
        while httpx2.get(f"{server.url}/__recorder/health").json()["open"] and time.monotonic() < deadline:
            time.sleep(0.01)
        journal = httpx2.get(f"{server.url}/__recorder/journal").json()
        assert [entry["result"] for entry in journal["requests"]] == ["closed"]


def test_a_large_answer_waits_for_a_slow_client(tmp_path: Path) -> None:
    body = b"line of text\n" * (3 << 20)
    steps = tuple(Step(at=0, data=body[n : n + 65536]) for n in range(0, len(body), 65536))
    with Upstream([Reply(headers={"content-type": "text/plain"}, steps=steps)]) as upstream:
        with proxied(tmp_path, upstream.url) as (proxy, _):
            assert httpx2.get(f"{proxy.url}/v1/files", timeout=60).content == body
    with served(tmp_path) as (server, _), connected(server.port) as client:
        client.sendall(b"GET /v1/files HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b" 200 " in head_of(client)
        [exchange] = [one._exchange for one in server.server.connections]
        sent = -1
        while exchange.sent != sent:
            sent = exchange.sent
            time.sleep(0.1)
        assert sent < len(body) // 2
        assert rest_of(client).count(b"line of text\n") > 0


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_pages_say_what_goes_on(tmp_path: Path, method: str) -> None:
    with Upstream(lambda _: Reply.sse(HELLO)) as upstream, proxied(tmp_path, upstream.url) as (proxy, recording):
        ask(Anthropic(base_url=proxy.url, api_key=KEY))
        with pytest.raises(socket.timeout), connected(proxy.port) as silent:
            silent.settimeout(0.01)
            silent.recv(1)
        recording.tap.flush()
        pages = {
            name: httpx2.request(method, f"{proxy.url}/__recorder/{name}")
            for name in ("health", "journal", "metrics")
        }
        assert httpx2.get(f"{proxy.url}/__recorder/other").status_code == 404
        assert httpx2.post(f"{proxy.url}/__recorder/health").status_code == 405
    assert [page.status_code for page in pages.values()] == [200, 200, 200]
    if method == "HEAD":
        assert [page.content for page in pages.values()] == [b"", b"", b""]
        return
    assert pages["health"].json() == {
        "status": "ok", "open": 0, "requests": 1, "upstream": upstream.url, "records_to": str(tmp_path),
    }  # fmt: skip
    [entry] = pages["journal"].json()["requests"]
    [stream] = recorder.open(tmp_path).streams()
    assert (entry["result"], entry["stream"], entry["bytes"]) == ("passed", stream.id, len(stream.body()))
    values = dict(line.rsplit(" ", 1) for line in pages["metrics"].text.splitlines() if not line.startswith("#"))
    assert values['recorder_requests_total{result="passed"}'] == "1"
    assert values['recorder_streams_total{outcome="complete"}'] == "1"
    assert values["recorder_ttft_seconds_count"] == values['recorder_ttft_seconds_bucket{le="+Inf"}'] == "1"
    assert float(values["recorder_ttft_seconds_sum"]) == pytest.approx(stream.timing().ttft_s, abs=1e-5)
    assert values["recorder_events_total"] == str(len(HELLO))
    assert values["recorder_dropped_chunks_total"] == "0"


def test_a_stop_lets_streams_end_and_takes_no_more(tmp_path: Path) -> None:
    with Upstream([Reply.sse(HELLO, gap=50 * MS)]) as upstream, proxied(tmp_path, upstream.url) as (proxy, _):
        with Anthropic(base_url=proxy.url, api_key=KEY).messages.create(**ASK, stream=True) as events:
            seen = [next(iter(events))]
            stopping = proxy.begin_stop(grace_s=30)
            seen += list(events)
            stopping.result(30)
        with pytest.raises(OSError):
            connected(proxy.port)
    assert len(seen) == len(HELLO)
    [stream] = recorder.open(tmp_path).streams()
    assert stream.timing().outcome == "complete"


def test_what_does_not_end_in_time_is_recorded_as_closed(tmp_path: Path) -> None:
    with Upstream([Reply.sse(HELLO[:3], end="hang")]) as upstream, proxied(tmp_path, upstream.url) as (proxy, _):
        with Anthropic(base_url=proxy.url, api_key=KEY).messages.create(**ASK, stream=True) as events:
            next(iter(events))
            proxy.stop(grace_s=0.1)
    [stream] = recorder.open(tmp_path).streams()
    assert stream.end is not None
    assert stream.end.end == "closed"
