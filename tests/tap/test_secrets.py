"""Forty secrets, planted wherever a request or a response can carry one; none of them is on the disk or in the log.

A key is what a header, the client, the environment, a proxy or a URL carries as a credential. Its value is then put
into everything that is recorded: prompts, tool inputs, tags, answers, errors, split and escaped. What is no key, the
ordinary text of prompts and answers, stays in a full recording and is left out of one of times.
"""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import anthropic
import httpx2
import pytest

import recorder
from recorder.core.plain import PIECE
from recorder.core.redact import unescaped
from recorder.testing import Received, Reply, Step, Upstream, encode_event

ENVIRONMENT = {
    "ANTHROPIC_AUTH_TOKEN": "01-env-Auth/Token+1",
    "ANTHROPIC_AWS_API_KEY": "02-env-Aws-Api-Key",
    "ANTHROPIC_FOUNDRY_API_KEY": "03-env-Foundry-Key",
    "ANTHROPIC_WEBHOOK_SIGNING_KEY": "whsec_04envWebhook",
    "AWS_SECRET_ACCESS_KEY": "05/env+Aws/Secret+Access",
    "AWS_SESSION_TOKEN": "06-env-Aws-Session//",
    "AWS_BEARER_TOKEN_BEDROCK": "07-env-Bedrock-Bearer",
    "AZURE_CLIENT_SECRET": "08~env~Azure~Secret",
    "GOOGLE_API_KEY": "09_env_Google_Key",
}
IN_ENVIRONMENT = [*ENVIRONMENT.values(), "10-custom-Header-Token", "11-proxy-Passed", "12 proxy@Pass"]
OF_CLIENT = {"api_key": "sk-ant-api03-13-of-the-Client", "webhook_key": "whsec_14ofClient"}
DEFAULT_HEADERS = {"x-team-secret": "15-default-Header", "x-internal-password": '16"quoted\\Password'}
HEADERS = {
    "x-api-key": "17-extra-X-Api-Key",
    "api-key": "18-extra-Api-Key",
    "x-goog-api-key": "AIza-19-extra-Goog",
    "x-amz-security-token": "20-extra-Amz/Token==",
    "x-vault-token": "21-extra-Vault-Token",
    "x-credential": "22-extra-Credential",
    "cookie": "session=23-extra-Cookie; other=24-extra-Cookie-2",
    "proxy-authorization": "Basic " + b64encode(b"proxy:25-extra-Basic").decode(),
}
IN_HEADERS = [
    *(value for name, value in HEADERS.items() if name not in ("cookie", "proxy-authorization")),
    "23-extra-Cookie",
    "24-extra-Cookie-2",
    "25-extra-Basic",
    HEADERS["proxy-authorization"].partition(" ")[2],
]
OF_RESPONSE = {
    "anthropic-organization-id": "26-organization-0f0f",
    "anthropic-workspace-id": "wrkspc_27Workspace",
    "x-upstream-token": "28-response-Token",
    "set-cookie": "__cf_bm=29-response-Cookie; path=/",
}
IN_RESPONSE = [*(v for n, v in OF_RESPONSE.items() if n != "set-cookie"), "29-response-Cookie"]
IN_URL = {"key": "30-query-Key", "access_token": "31-query-Token", "user": "32-query-User-Name"}
REDIRECTED_WITH = "33-redirect-Signature"
LOGIN = "34-base-url-Login"
CLIENT_PROXY = "35-client-proxy-Pwd"
IN_ERROR = "36-error-url-Pass"
SHAPED = ["sk-ant-37-nobody-knows-me", "sk-ant-oat01-38-nobody_knows_me_either"]
LATER = "sk-39-set-After-wrapping"
FOUNDRY = "40-of-a-Foundry-Client"
KNOWN_BEFORE = [*IN_ENVIRONMENT, *OF_CLIENT.values(), *DEFAULT_HEADERS.values(), *IN_HEADERS, *SHAPED]
"""What a tap has met when it writes the first request, whose body may hold it."""
ALL = [
    *KNOWN_BEFORE,
    *IN_RESPONSE,
    *IN_URL.values(),
    REDIRECTED_WITH,
    LOGIN,
    CLIENT_PROXY,
    IN_ERROR,
    LATER,
    FOUNDRY,
]
PROMPT, ANSWER = "an ordinary prompt", "an ordinary answer"


def all_spelt() -> str:
    """Every secret that may be in an answer."""
    return f"{ANSWER}: " + " | ".join([*KNOWN_BEFORE, *IN_RESPONSE]) + " ."


def all_escaped() -> str:
    """The same inside JSON, the second character of each as an escape."""
    secrets = [f"{s[0]}\\u{ord(s[1]):04x}{json.dumps(s[2:])[1:-1]}" for s in [*KNOWN_BEFORE, *IN_RESPONSE]]
    return f"{ANSWER}: " + " | ".join(secrets) + " ."


def events() -> list[dict[str, Any]]:
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    said: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
    kinds = [
        ("thinking", "thinking_delta", "thinking", all_spelt(), 3, {"thinking": "", "signature": ""}),
        ("text", "text_delta", "text", all_spelt(), 5, {"text": ""}),
        ("text", "text_delta", "text", all_spelt(), 4000, {"text": ""}),
        ("tool_use", "input_json_delta", "partial_json", json.dumps({"a": all_spelt()}), 7, {"id": "t", "name": "n", "input": {}}),
        ("tool_use", "input_json_delta", "partial_json", '{"b":"' + all_escaped() + '"}', 1, {"id": "u", "name": "n", "input": {}}),
    ]  # fmt: skip
    for index, (kind, delta, name, text, size, start) in enumerate(kinds):
        said.append({"type": "content_block_start", "index": index, "content_block": {"type": kind, **start}})
        said += [
            {"type": "content_block_delta", "index": index, "delta": {"type": delta, name: text[n : n + size]}}
            for n in range(0, len(text), size)
        ]
        said.append({"type": "content_block_stop", "index": index})
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    return [*said, {"type": "message_delta", "delta": stop, "usage": usage}, {"type": "message_stop"}]


def message(text: str) -> dict[str, Any]:
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "stop_sequence": None, "content": [{"type": "text", "text": text}],
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip


def answer(received: Received) -> Reply:
    ask = json.loads(received.body)
    headers = list(OF_RESPONSE.items())
    match ask["model"]:
        case "redirect" if REDIRECTED_WITH not in received.target:
            to = f"/v1/messages?beta=true&signature={REDIRECTED_WITH}"
            return Reply.json(307, {}, headers=[("location", to), *headers])
        case "refused":
            return Reply.error(400, "invalid_request_error", f"bad key {all_spelt()}", headers=headers)
        case "escaped":
            body = "".join(f"\\u{ord(c):04x}" for c in all_spelt())
            data = json.dumps(message("?")).replace('"?"', f'"{body}"').encode()
        case "large":
            text = all_spelt()
            data = json.dumps(message("x" * (PIECE - 300 - len(text) // 2) + text)).encode()
        case "failing":
            error = {"type": "error", "error": {"type": "api_error", "message": all_spelt()}}
            return Reply.sse([*events()[:40], error], headers=headers)
        case "cut":
            half = encode_event(events()[90])[:-4]
            return Reply.sse([*map(encode_event, events()[:90]), half], headers=headers, end="cut")
        case _ if ask.get("stream"):
            return Reply.sse(events(), headers=headers)
        case _:
            data = json.dumps(message(all_spelt())).encode()
    fields = [("content-type", "application/json"), ("content-length", str(len(data))), *headers]
    return Reply(headers=fields, steps=(Step(at=0, data=data),))


def ask(model: str, known: list[str]) -> dict[str, Any]:
    return {
        "model": model,
        "max_tokens": 10,
        "system": f"never say {' '.join(known)}",
        "messages": [
            {"role": "user", "content": f"{PROMPT} {' '.join(known)}"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "n", "input": {"k": known}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": json.dumps({"k": known})}]},
        ],
        "extra_headers": HEADERS,
        "extra_query": {**IN_URL, "limit": "5"},
    }  # fmt: skip


MODELS = ["plain", "redirect", "refused", "escaped", "large"]
STREAMED = ["stream", "failing", "cut"]


def use(client: anthropic.Anthropic) -> None:
    known = KNOWN_BEFORE
    for model in MODELS:
        try:
            said = client.messages.create(**ask(model, known))
            assert all(secret in said.content[0].text for secret in KNOWN_BEFORE)  # type: ignore[union-attr]
        except anthropic.BadRequestError:
            assert model == "refused"
        known = [*KNOWN_BEFORE, *IN_RESPONSE, IN_URL["key"], IN_URL["access_token"]]
    for model in STREAMED:
        try:
            text = "".join(str(event) for event in client.messages.create(**ask(model, known), stream=True))
            assert (model, ANSWER[:5] in text) == ("stream", True)
        except (anthropic.APIError, httpx2.HTTPError):
            assert model != "stream"
    with client.messages.stream(**ask("stream", known)) as stream:
        assert known[0] in stream.get_final_message().to_json()


async def use_async(client: anthropic.AsyncAnthropic) -> None:
    known = KNOWN_BEFORE
    for model in MODELS:
        try:
            said = await client.messages.create(**ask(model, known))
            assert all(secret in said.content[0].text for secret in KNOWN_BEFORE)  # type: ignore[union-attr]
        except anthropic.BadRequestError:
            assert model == "refused"
        known = [*KNOWN_BEFORE, *IN_RESPONSE, IN_URL["key"], IN_URL["access_token"]]
    for model in STREAMED:
        try:
            async for _ in await client.messages.create(**ask(model, known), stream=True):
                pass
            assert model == "stream"
        except (anthropic.APIError, httpx2.HTTPError):
            assert model != "stream"
    async with client.messages.stream(**ask("stream", known)) as stream:
        assert known[0] in (await stream.get_final_message()).to_json()


STREAMS = len(MODELS) + len(STREAMED) + 1


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-gateway-token: 10-custom-Header-Token")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:11-proxy-Passed@127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", f"http://me:{quote('12 proxy@Pass', safe='')}@127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    with caplog.at_level(logging.DEBUG, logger="recorder"):
        yield lambda: "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("recorder"))


def options(upstream: Upstream, **more: Any) -> dict[str, Any]:
    return {"base_url": upstream.url, **OF_CLIENT, "default_headers": DEFAULT_HEADERS, "max_retries": 0, **more}


def check(path: Path, logged: str, *, streams: int, secrets: list[str] = ALL, mode: str = "full") -> None:
    """No secret, and no end of one, in any spelling."""
    files = [file for file in path.rglob("*") if file.is_file()]
    written = "".join(file.read_text("utf-8") for file in files)
    raw = [
        written,
        unescaped(written).text,
        unquote(written),
        written.replace("\\\\", "\\").replace('\\"', '"'),
        logged,
    ]
    for secret in secrets:
        ends = {secret, json.dumps(secret)[1:-1], quote(secret, safe="")}
        for text in raw:
            assert not [end for end in ends if end in text], secret
            assert secret[7:] not in text, f"the end of {secret}"
    assert len(list(recorder.open(path).streams())) == streams
    assert recorder.open(path).problems == []
    assert ("[redacted]" in written and ANSWER[:10] in written) == (mode == "full")
    assert (PROMPT in written) == (mode == "full")


def test_there_are_forty_of_them() -> None:
    assert len(set(ALL)) == len(ALL) >= 40
    assert all(
        a == b or a not in b for a in ALL for b in ALL if a != "23-extra-Cookie" and not a.startswith("cHJ")
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "mode"),
    [("wrap", "full"), ("middleware", "full"), ("middleware", "timing"), ("transport", "full")],
)
def test_no_secret_of_a_sync_client_is_written(
    tmp_path: Path, log: Callable[[], str], way: str, mode: Any
) -> None:
    tap = recorder.Tap(tmp_path, capture=mode, tags={"all": " ".join(KNOWN_BEFORE), SHAPED[0]: "x"})
    with tap, Upstream(answer) as upstream:
        match way:
            case "wrap":
                client = tap.wrap(anthropic.Anthropic(**options(upstream)))
            case "middleware":
                client = anthropic.Anthropic(**options(upstream), middleware=[tap])
            case _:
                transport = recorder.TapTransport(tap)
                http = httpx2.Client(transport=transport, follow_redirects=True)
                client = anthropic.Anthropic(**options(upstream, http_client=http))
                tap.wrap(client)  # which teaches its keys; the transport records
        with client, recorder.tags(later=KNOWN_BEFORE[0]):
            use(client)
    check(tmp_path, log(), streams=STREAMS + (way == "transport"), mode=mode)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["wrap", "transport"])
async def test_no_secret_of_an_async_client_is_written(tmp_path: Path, log: Callable[[], str], way: str) -> None:
    with recorder.Tap(tmp_path) as tap, Upstream(answer) as upstream:
        if way == "wrap":
            client = tap.wrap(anthropic.AsyncAnthropic(**options(upstream)))
        else:
            http = httpx2.AsyncClient(transport=recorder.TapTransport(tap), follow_redirects=True)
            client = anthropic.AsyncAnthropic(**options(upstream, http_client=http))
            tap.wrap(client)
        async with client:
            await use_async(client)
    check(tmp_path, log(), streams=STREAMS + (way == "transport"))


def test_logins_in_urls_and_messages_are_not_written(tmp_path: Path, log: Callable[[], str]) -> None:
    class Refuses(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            message = f"no way to http://me:{IN_ERROR}@proxy:1/x?key={IN_URL['key']} with {LOGIN}: {request.url!s}"
            raise httpx2.ConnectError(message, request=request)

    with recorder.Tap(tmp_path) as tap, Upstream(answer) as upstream:
        base = upstream.url.replace("http://", f"http://me:{LOGIN}@")
        with tap.wrap(anthropic.Anthropic(**options(upstream, base_url=base))) as client:
            client.messages.create(**ask("plain", [*KNOWN_BEFORE, LOGIN]))
        proxied = httpx2.Client(proxy=f"http://me:{CLIENT_PROXY}@127.0.0.1:9", trust_env=False)
        with tap.wrap(
            anthropic.Anthropic(**options(upstream, http_client=proxied, base_url="http://nowhere.invalid"))
        ) as client:
            with pytest.raises(anthropic.APIConnectionError):
                client.messages.create(**ask("plain", [*KNOWN_BEFORE, CLIENT_PROXY]))
        for transport in (Refuses(), recorder.TapTransport(tap, Refuses())):
            one = anthropic.Anthropic(
                **options(upstream, base_url=base, http_client=httpx2.Client(transport=transport))
            )
            with tap.wrap(one) as client, pytest.raises(anthropic.APIConnectionError):
                client.messages.create(**ask("plain", KNOWN_BEFORE))
    check(tmp_path, log(), streams=5)


def test_a_key_that_comes_later_and_keys_of_other_clients_are_not_written(
    tmp_path: Path, log: Callable[[], str]
) -> None:
    tokens = iter(["41-azure-Token-1", "42-azure-Token-2"])
    with recorder.Tap(tmp_path) as tap, Upstream(answer) as upstream:
        with tap.wrap(anthropic.Anthropic(**options(upstream))) as client:
            client.api_key = LATER
            client.messages.create(**ask("plain", [*KNOWN_BEFORE, LATER]))
        foundry = anthropic.AnthropicFoundry(api_key=FOUNDRY, base_url=upstream.url, max_retries=0)
        with tap.wrap(foundry) as client:
            client.messages.create(**ask("stream", [*KNOWN_BEFORE, FOUNDRY]), stream=True).close()
        entra = anthropic.AnthropicFoundry(
            azure_ad_token_provider=lambda: next(tokens), base_url=upstream.url, max_retries=0
        )
        with tap.wrap(entra) as client:
            client.messages.create(**ask("plain", KNOWN_BEFORE))
            client.messages.create(**ask("plain", [*KNOWN_BEFORE, "41-azure-Token-1"]))
    check(tmp_path, log(), streams=4, secrets=[*ALL, "41-azure-Token-1", "42-azure-Token-2"])
