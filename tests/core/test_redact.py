"""No secret is written: however it is spelt, wherever it stands, over however many events it is split."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.core import wire
from recorder.core.attempt import Attempt
from recorder.core.fingerprint import path_of
from recorder.core.plain import PIECE
from recorder.core.records import Bytes, Event, StreamRecord
from recorder.core.redact import SHORTEST, Secrets, credentials, environment_secrets, unescaped
from recorder.core.urls import login_of, safe_url, safe_urls_in
from tests.corpus import marker, streams

FIELDS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVW0123456789_./+="  # each once, so that a part of it tells which


def _unlike(characters: str, least: int) -> st.SearchStrategy[str]:
    drawn = st.lists(st.sampled_from(characters), min_size=least, max_size=len(characters), unique=True)
    return drawn.map("".join)


KNOWN = _unlike(_CHARACTERS, SHORTEST + 1)
SHAPED = _unlike(_CHARACTERS[:-4], 9).map(lambda body: f"sk-ant-{body}")
AROUND = st.text('abc xyz{}:,"\\\n\u00e9\u2028\U0001f600', max_size=30)


def escape_some(text: str, places: set[int], depth: int) -> str:
    """`text` with the characters at `places` (modulo its length) as escapes, behind `depth` backslashes."""
    chosen = {place % len(text) for place in places}
    return "".join("\\" * depth + f"u{ord(c):04x}" if i in chosen else c for i, c in enumerate(text))


def cut(text: str, places: set[int]) -> list[str]:
    ends = sorted({place % (len(text) + 1) for place in places})
    return [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]


def delta(kind: str, text: str, index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, FIELDS[kind]: text}}


def recorded(events: list[dict[str, Any]], secrets: Secrets, *, escape: bool = False) -> list[StreamRecord]:
    """The records of these events; with `escape`, each character of their strings is a JSON escape."""
    attempt = Attempt(stream="s", call="c", attempt=0, secrets=secrets)
    attempt.response(at=1, status=200, headers=[("content-type", "text/event-stream")])
    records: list[StreamRecord] = []
    for event in events:
        payload = json.dumps(event, ensure_ascii=False)
        if escape:
            ((kind, text),) = ((k, v) for k, v in event["delta"].items() if k != "type")
            spelt = "".join(f"\\u{ord(c):04x}" if ord(c) < 256 else c for c in text)
            payload = payload.replace(json.dumps(text, ensure_ascii=False), f'"{spelt}"')
            assert json.loads(payload) == event, kind
        records += attempt.chunk(2, 1, f"event: {event['type']}\ndata: {payload}\n\n".encode())
    return records + attempt.end(3, 1, "read")


def said(records: list[StreamRecord], kind: str, index: int = 0) -> str:
    payloads = [json.loads(wire.payload(r)) for r in records if isinstance(r, Event)]
    return "".join(p["delta"][FIELDS[kind]] for p in payloads if p["index"] == index and "delta" in p)


@given(
    secret=KNOWN | SHAPED,
    before=AROUND,
    after=AROUND,
    kind=st.sampled_from(list(FIELDS)),
    cuts=st.sets(st.integers(0, 300), max_size=8),
    escapes=st.sets(st.integers(0, 60), max_size=4),
    escape=st.booleans(),
    learned=st.booleans(),
)
def test_a_secret_that_is_split_over_events_is_not_written(
    secret: str, before: str, after: str, kind: str, cuts: set[int], escapes: set[int], escape: bool, learned: bool
) -> None:
    spelt = escape_some(secret, escapes, 1) if kind == "input_json_delta" else secret
    pieces = cut(before + spelt + after, cuts)
    known = [secret] if learned or not secret.startswith("sk-ant-") else []
    records = recorded([delta(kind, piece) for piece in pieces], Secrets(known), escape=escape)

    plain = unescaped(said(records, kind)).text.replace("[redacted]", "")
    plain = re.sub(r"\\+(u[0-9a-f]{0,3})?", "", plain)  # what is left of an escape that was cut
    assert secret[: SHORTEST + 1] not in plain
    assert not set(secret[SHORTEST - 1 :]) & set(plain)  # no character of it stands elsewhere
    assert len(records) == len(pieces) + 1


@given(secret=KNOWN, other=st.text("abc xyz", max_size=20), cuts=st.sets(st.integers(0, 80), max_size=6))
def test_a_secret_is_found_while_blocks_alternate(secret: str, other: str, cuts: set[int]) -> None:
    events: list[dict[str, Any]] = []
    for piece in cut(secret, cuts):
        events += delta("text_delta", piece), delta("thinking_delta", other, 1)
    records = recorded(events, Secrets([secret]))

    assert secret[SHORTEST - 1 :] not in said(records, "text_delta").replace("[redacted]", "")
    assert json.loads(wire.payload(records[1]))["delta"]["thinking"] == other  # type: ignore[arg-type]


@given(st.lists(st.text('abcdefgh \\/"u00{}é\U0001f600', max_size=20), max_size=8), st.sampled_from(list(FIELDS)))
def test_what_holds_no_secret_is_never_changed(pieces: list[str], kind: str) -> None:
    events = [delta(kind, piece) for piece in pieces]
    records = recorded(events, Secrets(["SECRET-VALUE/1", 'quoted"SECRET', "sk-ant-key-0123456789"]))

    body = "".join(
        f"event: content_block_delta\ndata: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events
    )
    assert wire.body(records) == body.encode()
    assert not any(r.redacted for r in records if isinstance(r, Event | Bytes))


@marker
def test_no_recorded_stream_of_the_world_is_changed() -> None:
    for one in streams():
        attempt = Attempt(stream="s", call="c", attempt=0, secrets=Secrets(["none-of-these-have-this"]))
        attempt.response(at=1, status=200, headers=[("content-type", "text/event-stream")])
        records = [*attempt.chunk(2, 1, one.body), *attempt.end(3, 1, "read")]
        assert wire.body(records) == one.body, one.file
        assert not any(r.redacted for r in records if isinstance(r, Event | Bytes)), one.file


def test_the_head_of_a_key_alone_is_no_key() -> None:
    texts = ["keys begin with sk-ant-", ", see sk-ant-", "api.", "sk-ant-", "api"]
    records = recorded([delta("text_delta", text) for text in texts], Secrets())

    kept = [json.loads(wire.payload(r))["delta"]["text"] for r in records if isinstance(r, Event)]
    assert kept == [*texts[:-1], "[redacted]"]  # of the last nobody knows yet that it is none


def test_every_event_that_had_a_part_says_so_and_goes_on_counting_as_output() -> None:
    secret = "0123456789abcdef0123456789abcdef"
    records = recorded(
        [delta("text_delta", f"{a}") for a in ("x 0123456", "789abcdef", secret[16:], "!")], Secrets([secret])
    )
    events = [r for r in records if isinstance(r, Event)]

    assert [e.redacted for e in events] == [None, ("api_key",), ("api_key",), None]
    assert [json.loads(wire.payload(e))["delta"]["text"] for e in events] == [
        "x 0123456",
        "[redacted]",
        "[redacted]",
        "!",
    ]
    assert [e.chars for e in events] == [9, 10, 10, 1]


def test_a_key_of_any_length_is_taken_out_to_its_end_in_constant_memory() -> None:
    attempt = Attempt(stream="s", call="c", attempt=0, secrets=Secrets())
    attempt.response(at=1, status=200, headers=[("content-type", "text/event-stream")])
    for piece in ["sk-ant-", *["Ab0_"] * 5000, " end"]:
        data = json.dumps(delta("text_delta", piece)).encode()
        (record,) = attempt.chunk(2, 1, b"event: content_block_delta\ndata: " + data + b"\n\n")
        assert piece != "Ab0_" or b"Ab0_" not in wire.payload(record)  # type: ignore[arg-type]
    assert b" end" in wire.payload(record)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "events",
    [
        [{"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "x SECRET-"}},
         {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "VALUE-01", "new": 1}}],
        [{"type": "content_block_delta", "index": 0, "delta": {"type": "compaction_delta", "content": c}}
         for c in ("SECRET", "-VALUE", "-01")],
        [{"type": "completion", "completion": c, "stop_reason": None} for c in ("SECRET", "-VALUE", "-01")],
        [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": c}, "p": "abc"}
         for c in ("SECRET", "-VALUE", "-01")],
    ],
)  # fmt: skip
def test_unusual_events_are_put_together_as_well(events: list[dict[str, Any]]) -> None:
    body = wire.body(recorded(events, Secrets(["SECRET-VALUE-01"])))

    assert b"VALUE" not in body.replace(b'"type"', b"")
    assert b"E-01" not in body
    assert b'-01"' not in body


def test_an_event_that_never_ended_does_not_show_the_rest() -> None:
    attempt = Attempt(stream="s", call="c", attempt=0, secrets=Secrets(["SECRET-VALUE-0123456789"]))
    attempt.response(at=1, status=200, headers=[("content-type", "text/event-stream")])
    first = json.dumps(delta("text_delta", "SECRET-VALUE"))
    records = attempt.chunk(2, 1, f"event: content_block_delta\ndata: {first}\n\n".encode())
    half = json.dumps(delta("text_delta", "-01234567"))[:-3]
    records += attempt.chunk(2, 1, f"event: content_block_delta\ndata: {half}".encode())
    records += attempt.end(3, 1, "failed")

    assert b"VALUE" not in wire.body(records)
    assert b"-0123" not in wire.body(records)


@settings(max_examples=40)
@given(
    secret=KNOWN | SHAPED,
    back=st.integers(-5, 70),
    depth=st.integers(0, 3),
    escapes=st.sets(st.integers(0, 60), max_size=5),
)
def test_a_secret_across_two_pieces_of_a_body_is_not_written(
    secret: str, back: int, depth: int, escapes: set[int]
) -> None:
    spelt = escape_some(secret, escapes, depth) if depth else secret
    attempt = Attempt(stream="s", call="c", attempt=0, secrets=Secrets([secret]))
    attempt.response(at=1, status=200, headers=[("content-type", "application/json")])
    body = b" " * (PIECE - back) + spelt.encode() + b" " * 100
    records = [*attempt.chunk(2, 1, body), *attempt.end(3, 1, "read")]

    pieces = [wire.wire(r) for r in records if isinstance(r, Bytes)]
    assert len(pieces) == 2
    assert b"".join(pieces).strip() == b"[redacted]"


@given(
    secret=st.text('ABC0123456789-_./+="\\', min_size=SHORTEST, max_size=40),
    nested=st.integers(0, 3),
    escape=st.booleans(),
)
def test_a_secret_in_json_in_json_is_not_written(secret: str, nested: int, escape: bool) -> None:
    text: Any = f"before {secret} after"
    for _ in range(nested if "\\" not in secret and '"' not in secret and secret.isascii() else min(nested, 1)):
        text = json.dumps({"inner": text}, ensure_ascii=escape)
    body = json.dumps({"outer": text}, ensure_ascii=escape)
    kept = Secrets([secret]).remove(body.encode())

    inner = json.loads(kept)["outer"]
    while inner.startswith("{"):
        inner = json.loads(inner)["inner"]
    assert inner == "before [redacted] after"


@given(st.text(max_size=60), st.text("abfnrtu", min_size=SHORTEST, max_size=12))
def test_json_stays_json(text: str, secret: str) -> None:
    kept = Secrets([secret]).remove(json.dumps({"t": text + "\n" + secret + text + secret[1:]}).encode())

    assert secret not in json.loads(kept)["t"]


def test_headers_teach_what_is_secret_and_no_ordinary_word() -> None:
    basic = b64encode(b"user:pass-word-1").decode()
    assert credentials({"Authorization": "Bearer abcdefghij"}) == ["abcdefghij"]
    assert credentials({"proxy-authorization": f"Basic {basic}"}) == [basic, "user:pass-word-1", "pass-word-1"]
    aws = "AWS4-HMAC-SHA256 Credential=AKIA000/2026/r/s/aws4_request, SignedHeaders=host, Signature=00ff00ff00ff"
    assert credentials({"authorization": aws.replace("AKIA000", "AKIA0000")}) == ["AKIA0000", "00ff00ff00ff"]
    assert credentials({"cookie": 'a=SESSION-123456; theme=darkmode; b="quoted-1234"'}) == [
        "SESSION-123456", "quoted-1234"
    ]  # fmt: skip
    for name in ("x-api-key", "api-key", "X-Goog-Api-Key", "x-amz-security-token", "x-my-secret", "x-vault-token",
                 "x-client-password", "anthropic-organization-id", "anthropic-workspace-id", "x-credential"):  # fmt: skip
        assert credentials([(name, "SECRETVALUE")]) == ["SECRETVALUE"], name
    for name in ("idempotency-key", "anthropic-version", "anthropic-beta", "user-agent", "x-stainless-lang",
                 "anthropic-ratelimit-tokens-reset", "x-ratelimit-limit-tokens", "content-type", "x-cache-key"):  # fmt: skip
        assert credentials([(name, "ordinary-value")]) == [], name


def test_the_environment_teaches_its_keys() -> None:
    environ = {
        "ANTHROPIC_API_KEY": "key-of-anthropic",
        "ANTHROPIC_FOUNDRY_API_KEY": "key-of-foundry",
        "ANTHROPIC_WEBHOOK_SIGNING_KEY": "whsec_abcdefgh",
        "ANTHROPIC_CUSTOM_HEADERS": "x-team-token: team-token-1\nx-colour: light-blue",
        "AWS_SECRET_ACCESS_KEY": "aws-secret",
        "AWS_SESSION_TOKEN": "aws-session",
        "AWS_BEARER_TOKEN_BEDROCK": "aws-bearer",
        "AZURE_CLIENT_SECRET": "azure-secret",
        "https_proxy": "http://me:pr%40xy-pass@proxy:3128",
        "ANTHROPIC_BASE_URL": "https://gate:way-pass@example.com",
        "AWS_REGION": "eu-central-1",
        "ANTHROPIC_LOG": "information",
        "DATABASE_PASSWORD": "postgres",
    }
    assert environment_secrets(environ) == [
        "key-of-anthropic", "key-of-foundry", "whsec_abcdefgh", "team-token-1", "aws-secret", "aws-session",
        "aws-bearer", "azure-secret", "me:pr%40xy-pass", "pr%40xy-pass", "me:pr@xy-pass", "pr@xy-pass",
        "gate:way-pass", "way-pass",
    ]  # fmt: skip


def test_urls_lose_logins_and_the_values_of_unknown_parameters() -> None:
    url = "https://u:p@host/v1/messages?beta=true&limit=5&user=bob&created_at[gte]=1&flag#part"
    assert safe_url(url) == "https://host/v1/messages?beta=true&limit=5&user=[redacted]&created_at[gte]=1&flag"
    assert safe_url(safe_url(url)) == safe_url(url)
    assert path_of(url) == path_of(safe_url(url)) == path_of(url.replace("bob", "eve"))
    assert path_of(url) != path_of(url.replace("limit=5", "limit=6"))
    message = "cannot reach http://user:p:w@proxy:80/ for 'https://h/p?key=1' (a@b.c, ok?)"
    assert safe_urls_in(message) == "cannot reach http://proxy:80/ for 'https://h/p?key=[redacted]' (a@b.c, ok?)"
    assert login_of("http://proxy:80") == []


def test_a_secret_in_a_url_is_found_when_it_is_percent_encoded() -> None:
    secrets = Secrets(["AB/CD+EF=GH"])

    assert secrets.remove_from_url("/v1/AB%2fCD%2BEF%3DGH/x") == "/v1/[redacted]/x"
    assert secrets.remove_from_url("/v1/%41B/CD+EF=G%48/x") == "/v1/[redacted]/x"


def test_lasting_secrets_are_never_forgotten_and_used_ones_last() -> None:
    secrets = Secrets(["lasting-secret"])
    secrets.learn("used-every-time")
    for n in range(500):
        secrets.learn(f"cookie-{n:08d}")
        secrets.learn("used-every-time")

    assert not secrets.spans("cookie-00000000")
    for value in ("lasting-secret", "used-every-time", "cookie-00000499"):
        assert secrets.remove(value.encode()) == b"[redacted]"
