"""What the server refuses, asked with raw sockets: a status for each, and nothing of it reaches the upstream."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder.replayer.session import Replay
from recorder.server.app import check_bind
from recorder.server.limits import Limits
from recorder.server.player import Player
from recorder.server.upstream import origin_of
from recorder.testing import Received, Reply, Upstream
from tests.server.running import Running, asked, proxied, rest_of, running, status_of

FIXTURES = Path(__file__).parents[2] / "fixtures"
TOKEN = "a-token-of-ours-1234"
GOOD = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def _answer(received: Received) -> Reply:
    return Reply.json(200, {"target": received.target})


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(_answer) as one:
        yield one


@pytest.fixture
def proxy(tmp_path: Path, upstream: Upstream) -> Iterator[Running]:
    with proxied(tmp_path, upstream.url, limits=Limits(head_bytes=16 << 10, body_bytes=1 << 20)) as (one, _):
        yield one


def post(*headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([b"POST /v1/messages HTTP/1.1", b"Host: 127.0.0.1", *headers, b"", b""]) + body


def get(target: bytes, *, host: bytes = b"127.0.0.1", method: bytes = b"GET") -> bytes:
    return b"%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (method, target, host)


def test_what_is_in_order_is_served(proxy: Running, upstream: Upstream) -> None:
    assert status_of(asked(proxy.port, GOOD)) == 200
    assert len(upstream.received) == 1


REFUSED = {
    "an absolute URI": (get(b"http://evil.example/v1/models"), 400),
    "an absolute URI with the right host": (get(b"https://127.0.0.1/v1/models"), 400),
    "a tunnel": (get(b"evil.example:443", method=b"CONNECT"), 405),
    "a request for no path": (get(b"*", method=b"OPTIONS"), 400),
    "another host": (get(b"/v1/models", host=b"evil.example"), 421),
    "a host that begins alike": (get(b"/v1/models", host=b"127.0.0.1.evil.example"), 421),
    "a host with a login": (get(b"/v1/models", host=b"127.0.0.1@evil.example"), 421),
    "an empty host": (get(b"/v1/models", host=b""), 421),
    "dot segments": (get(b"/v1/../admin"), 400),
    "encoded dot segments": (get(b"/v1/%2e%2E/admin"), 400),
    "an encoded slash after dots": (get(b"/v1/..%2fadmin"), 400),
    "a backslash": (get(b"/v1/..\\admin"), 400),
    "a fragment": (get(b"/v1/models#x"), 400),
    "no host": (b"GET /v1/models HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET /a HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n", 400),
    "another version": (b"GET /v1/models HTTP/2.0\r\nHost: 127.0.0.1\r\n\r\n", 505),
    "TLS on a plain port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "a space in the path": (b"GET /v1/mo dels HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
    "a NUL in the path": (b"GET /\x00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
    "length and chunks": (post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\nX"), 400),
    "two lengths": (post(b"Content-Length: 5", b"Content-Length: 6", body=b"aaaaaa"), 400),
    "a signed length": (post(b"Content-Length: +5", body=b"aaaaa"), 400),
    "a list of lengths": (post(b"Content-Length: 5, 6", body=b"aaaaaa"), 400),
    "an unknown encoding": (post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), 501),
    "a list of encodings": (post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
    "a space before the colon": (post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"), 400),
    "a bad chunk": (post(b"Transfer-Encoding: chunked", body=b"zz\r\nabc\r\n"), 400),
    "a chunk of negative size": (post(b"Transfer-Encoding: chunked", body=b"-1\r\nabc\r\n"), 400),
    "a space in a name": (post(b"Bad Header: x"), 400),
    "a NUL in a value": (post(b"X: a\x00b"), 400),
    "headers of 20 KB": (post(b"X-Long: " + b"a" * 20_000), 431),
    "3,000 headers": (post(*[b"X-%d: abc" % n for n in range(3000)]), 431),
    "a path of 20 KB": (get(b"/" + b"a" * 20_000), 431),
    "a body that is announced as too large": (post(b"Content-Length: 1048577"), 413),
    "a length beyond numbers": (post(b"Content-Length: 99999999999999999999999"), 400),
    "a body that grows too large": (
        post(b"Transfer-Encoding: chunked", body=b"100001\r\n" + b"a" * 0x100001 + b"\r\n0\r\n\r\n"),
        413,
    ),
}


@pytest.mark.parametrize(("request_", "status"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_is_refused_with_a_status(
    proxy: Running, upstream: Upstream, request_: bytes, status: int
) -> None:
    answer = asked(proxy.port, request_)

    assert (status_of(answer), upstream.received) == (status, [])
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    assert json.loads(body)["error"]["message"].startswith("recorder: ")
    assert status_of(asked(proxy.port, GOOD)) == 200  # the next is served


def test_a_refused_request_smuggles_no_other(proxy: Running, upstream: Upstream) -> None:
    hidden = b"GET /v1/smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    answer = asked(
        proxy.port, post(b"Content-Length: 0", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + hidden)
    )
    assert answer.count(b"HTTP/1.1 ") == 1
    assert upstream.received == []


def test_what_reaches_the_upstream_is_framed_anew(proxy: Running, upstream: Upstream) -> None:
    """Chunk extensions, trailers, and headers that are named in `Connection` are between the client and us."""
    body = b"5;ext=1\r\nhello\r\n0\r\nX-Trailer: a\r\n\r\n"
    headers = (
        b"Transfer-Encoding: chunked",
        b"Connection: close, X-Hop",
        b"X-Hop: 1",
        b"Upgrade: h2c",
        b"TE: trailers",
    )
    assert status_of(asked(proxy.port, post(*headers, body=body))) == 200

    [received] = upstream.received
    names = [name for name, _ in received.headers]
    assert (received.body, dict(received.headers)["content-length"]) == (b"hello", "5")
    assert not {"transfer-encoding", "connection", "x-hop", "upgrade", "te", "x-trailer"} & set(names)
    assert dict(received.headers)["host"] == upstream.url.removeprefix("http://")


def test_requests_in_one_packet_are_answered_in_turn(proxy: Running, upstream: Upstream) -> None:
    one = b"GET /v1/%s HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = asked(proxy.port, one % b"a" + one % b"b" + get(b"/v1/c"))
    assert [received.target for received in upstream.received] == ["/v1/a", "/v1/b", "/v1/c"]
    assert answer.count(b"HTTP/1.1 200") == 3


def test_a_flood_of_pipelined_requests_is_cut_off(proxy: Running) -> None:
    many = b"GET /v1/a HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10_000
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=30) as connection:
        with pytest.raises(OSError):
            while True:
                connection.sendall(many)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(
            [b"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"X-A: b\r\n"], id="headers without end"
        ),
        pytest.param([post(b"Content-Length: 1000"), b"a", b"b"], id="a body byte by byte"),
        pytest.param([GOOD.replace(b"Connection: close\r\n", b"") + b"G", b"E"], id="the second request"),
    ],
)
def test_who_sends_too_slowly_is_refused(tmp_path: Path, upstream: Upstream, sent: list[bytes]) -> None:
    limits = Limits(head_s=0.2, body_s=0.2)
    with proxied(tmp_path, upstream.url, limits=limits) as (proxy, _):
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=30) as connection:
            for part in sent:
                connection.sendall(part)
            answer = rest_of(connection)
    assert b"HTTP/1.1 408 " in answer


def test_who_says_nothing_is_dropped(tmp_path: Path, upstream: Upstream) -> None:
    with proxied(tmp_path, upstream.url, limits=Limits(head_s=0.1)) as (proxy, _):
        assert asked(proxy.port, b"") == b""


def test_more_connections_than_there_may_be_are_closed(tmp_path: Path, upstream: Upstream) -> None:
    with proxied(tmp_path, upstream.url, limits=Limits(connections=2)) as (proxy, _):
        held = [socket.create_connection(("127.0.0.1", proxy.port), timeout=30) for _ in range(2)]
        for one in held:
            one.sendall(b"GET /v1/models HTTP/1.1\r\n")
        with pytest.raises(OSError), socket.create_connection(("127.0.0.1", proxy.port), timeout=30) as third:
            assert third.recv(1) == b""
            raise ConnectionResetError
        for one in held:
            one.close()


def test_a_token_is_wanted_and_goes_no_further(tmp_path: Path, upstream: Upstream) -> None:
    with proxied(tmp_path, upstream.url, token=TOKEN) as (proxy, recording):
        told = get(b"/v1/models").replace(b"\r\n\r\n", b"\r\nX-Recorder-Token: " + TOKEN.encode() + b"\r\n\r\n")
        answers = [
            asked(proxy.port, request)
            for request in (
                get(b"/v1/models"),
                get(b"/__recorder/journal"),
                told.replace(b"1234", b"1235"),
                told.replace(b"1234", b"12"),
                told.replace(b"Host: 127.0.0.1", b"Host: recorder.example"),
                told.replace(b"/v1/models", b"/__recorder/health"),
            )
        ]
        recording.tap.flush()
        written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert [status_of(answer) for answer in answers] == [401, 401, 401, 401, 200, 200]
    [received] = upstream.received
    assert "x-recorder-token" not in dict(received.headers)
    assert TOKEN.encode() not in written


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_a_host_that_others_reach_needs_a_token(host: str) -> None:
    with pytest.raises(ValueError, match=r"can be reached by others: give --token"):
        check_bind(host, None)
    check_bind(host, TOKEN)


@pytest.mark.parametrize("token", ["", "short", "with a space", "new\nline-------", "ümlaut-------"])
def test_a_token_that_is_none_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="a token has 8 or more"):
        check_bind("0.0.0.0", token)


@pytest.mark.parametrize(
    "url",
    ["", "api.anthropic.com", "ftp://a", "https://", "https://u:p@a", "https://a?x=1", "http://a:x", "http://ä"],
)
def test_an_upstream_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        origin_of(url)


def test_the_upstream_is_the_one_that_was_named() -> None:
    assert origin_of("https://api.anthropic.com/").url == "https://api.anthropic.com"
    assert origin_of("http://[::1]:80/gateway/").url == "http://[::1]/gateway"
    assert origin_of("https://a.example:8443").authority == "a.example:8443"


PIECES = [
    *(b"GET ", b"POST ", b"/v1/messages", b"/%00", b" HTTP/1.1", b" HTTP/1.0", b"\r\n", b"\n", b"\r", b"\r\n\r\n"),
    *(b"Host: localhost", b"Host: ", b"Content-Length: 3", b"Content-Length: -3", b"Transfer-Encoding: chunked"),
    *(
        b"Connection: close",
        b"Expect: 100-continue",
        b"Upgrade: websocket",
        b"X: \xff\xfe",
        b"abc",
        b"3\r\nabc\r\n",
    ),
    *(b"0\r\n\r\n", b" ", b"\t", b"\x00", b"{", b"[", b"?a=b", b"%", b"://", b"|", b"<>"),
]


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=8)), max_size=25).map(b"".join))
def test_any_bytes_at_all_get_statuses_or_silence_and_the_next_is_served(
    servers: list[Running], caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    """Requests made of what requests are made of, well ordered to begin with, or not."""
    for server in servers:
        for request_ in (sent, post(b"Connection: close", sent)):
            answer = asked_and_closed(server.port, request_)
            assert answer == b"" or re.match(rb"HTTP/1\.1 (1|2|4|5)\d\d ", answer), answer
        assert status_of(asked(server.port, get(b"/__recorder/health"))) == 200
    assert [record for record in caplog.records if record.name in ("asyncio", "recorder")] == []


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    path = tmp_path_factory.mktemp("fuzz")
    with Upstream(_answer) as upstream, proxied(path, upstream.url, capture="timing") as (proxy, _):
        with running(Player(Replay(FIXTURES / "text.jsonl", repeat=True))) as player:
            yield [proxy, player]


def asked_and_closed(port: int, request_: bytes) -> bytes:
    """What comes back until nothing more does; our side of the connection is closed after the request."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request_)
        connection.settimeout(0.05)
        try:
            return rest_of(connection)
        except (TimeoutError, ConnectionError):
            return b""
