"""Claude on other platforms: every client of the SDK is recorded, and replayed, as its own one is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import pytest

import recorder
from recorder.log.streams import Stream
from recorder.log.verify import verify
from recorder.testing import Received, Reply, Upstream, bedrock_exception, bedrock_reply, message_events

ASK: dict[str, Any] = {"model": "claude-test:0", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
SECRETS = {
    name: f"{name}-{'0123456789' * 3}"
    for name in ("aws_access_key", "aws_secret_key", "aws_session_token", "api_key", "token")
}
AWS = {name: SECRETS[name] for name in ("aws_access_key", "aws_secret_key", "aws_session_token")}
EVENTS = message_events("Hel", "lo")
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-test",
    "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn", "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 2},
}  # fmt: skip


class Platform(NamedTuple):
    """How to make its clients, and what it sends."""

    name: str
    base: str
    options: dict[str, Any]
    needs: str | None = None
    stream: Callable[..., Reply] = Reply.sse


PLATFORMS = {
    "bedrock": Platform("AnthropicBedrock", "", {"aws_region": "us-east-1", **AWS}, "boto3", bedrock_reply),
    "bedrock by key": Platform(
        "AnthropicBedrock", "", {"aws_region": "us-east-1", "api_key": SECRETS["api_key"]}, "boto3", bedrock_reply
    ),
    "mantle": Platform("AnthropicBedrockMantle", "/anthropic", {"aws_region": "us-east-1", **AWS}, "boto3"),
    "aws": Platform("AnthropicAWS", "", {"aws_region": "us-east-1", "workspace_id": "wrkspc_1", **AWS}, "boto3"),
    "vertex": Platform(
        "AnthropicVertex", "/v1", {"region": "us-east5", "project_id": "p1", "access_token": SECRETS["token"]}
    ),
    "foundry": Platform("AnthropicFoundry", "/anthropic", {"api_key": SECRETS["api_key"]}),
    "foundry by token": Platform(
        "AnthropicFoundry", "/anthropic", {"azure_ad_token_provider": lambda: SECRETS["token"]}
    ),
    "google cloud": Platform(
        "AnthropicGoogleCloud",
        "/v1/workspaces/w1",
        {"project": "p1", "location": "us", "workspace_id": "w1", "token_provider": lambda: SECRETS["token"]},
        "google.auth",
    ),
}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_BEARER_TOKEN_BEDROCK", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=PLATFORMS)
def platform(request: pytest.FixtureRequest) -> Platform:
    one = PLATFORMS[request.param]
    if one.needs:
        pytest.importorskip(one.needs, reason=f"needs {one.needs}")
    if not hasattr(anthropic, one.name):
        pytest.skip(f"this version of the SDK has no {one.name}")
    return one


def client(platform: Platform, url: str, **options: Any) -> Any:
    return getattr(anthropic, platform.name)(
        base_url=url + platform.base, **{"max_retries": 0, **platform.options, **options}
    )


def async_client(platform: Platform, url: str, **options: Any) -> Any:
    given = dict(platform.options)
    if "token_provider" in given:

        async def token() -> str:
            return SECRETS["token"]

        given["token_provider"] = token
    kind = getattr(anthropic, f"Async{platform.name}")
    return kind(base_url=url + platform.base, **{"max_retries": 0, **given, **options})


def replies(platform: Platform) -> Callable[[Received], Reply]:
    """An overloaded server first, then the stream."""
    script = iter(
        [
            Reply.error(529, "overloaded_error", "Overloaded", headers={"retry-after-ms": "1"}),
            platform.stream(EVENTS, headers={"x-amz-secret": "hush"}),
            Reply.json(200, MESSAGE),
        ]
    )
    return lambda _: next(script)


def recorded(path: Path) -> list[Stream]:
    return sorted(recorder.open(path).streams(), key=lambda stream: stream.request.mono)


def check(path: Path, platform: Platform) -> None:
    refused, streamed, plain = recorded(path)
    assert refused.call == streamed.call != plain.call
    assert [one.request.attempt for one in (refused, streamed, plain)] == [0, 1, 0]
    assert [one.request.body["model"] for one in (refused, streamed, plain)] == ["claude-test:0"] * 3
    assert [one.event for one in streamed.events] == [str(event["type"]) for event in EVENTS]
    assert streamed.body() == b"".join(step.data for step in platform.stream(EVENTS).steps)
    assert streamed.end is not None
    assert (streamed.end.end, streamed.end.complete) == ("read", True)
    assert streamed.end.summary is not None
    assert streamed.end.summary.stop_reason == "end_turn"
    message = streamed.message()
    assert message is not None
    assert message["content"][0]["text"] == "Hello"
    assert plain.message() == MESSAGE
    for segment in path.iterdir():
        assert [problem for one in verify([segment]) for problem in one.problems] == []
        written = segment.read_bytes()
        for secret in (*SECRETS.values(), "AWS4-HMAC", "hush", "x-amz-date", "authorization"):
            assert secret.encode() not in written.lower().replace(b"aws4-hmac", b"AWS4-HMAC")


def test_a_sync_client_is_recorded_and_replayed(tmp_path: Path, platform: Platform) -> None:
    def use(one: Any) -> list[Any]:
        with one.messages.stream(**ASK) as events:
            streamed = events.get_final_message().to_dict()
        return [streamed, one.messages.create(**ASK).to_dict()]

    with Upstream(replies(platform)) as upstream, recorder.Tap(tmp_path) as tap:
        with client(platform, upstream.url, max_retries=1) as one:
            seen = use(tap.wrap(one))
    with Upstream(replies(platform)) as upstream, client(platform, upstream.url, max_retries=1) as plain:
        assert use(plain) == seen
    check(tmp_path, platform)

    with (
        recorder.replay(tmp_path) as replay,
        client(platform, "https://nowhere.invalid", max_retries=1) as offline,
    ):
        assert use(offline) == seen
        assert replay.unused == []
        with pytest.raises(recorder.NoMatch, match="no recorded request is equal"):
            offline.messages.create(**{**ASK, "model": "claude-other"})


async def test_an_async_client_is_recorded_and_replayed(tmp_path: Path, platform: Platform) -> None:
    async def use(one: Any) -> list[Any]:
        events = [event.to_dict() async for event in await one.messages.create(**ASK, stream=True)]
        return [events, (await one.beta.messages.create(**ASK)).to_dict()]

    with Upstream(replies(platform)) as upstream, recorder.Tap(tmp_path) as tap:
        async with async_client(platform, upstream.url, max_retries=1, middleware=[tap]) as one:
            seen = await use(one)
    with Upstream(replies(platform)) as upstream:
        async with async_client(platform, upstream.url, max_retries=1) as plain:
            assert await use(plain) == seen
    check(tmp_path, platform)

    with recorder.replay(tmp_path) as replay:
        async with async_client(platform, "https://nowhere.invalid", max_retries=1) as offline:
            assert await use(offline) == seen
            assert replay.unused == []


def test_a_refused_connection_replays_though_the_path_came_later(tmp_path: Path, platform: Platform) -> None:
    upstream = Upstream([])
    upstream.close()
    with recorder.Tap(tmp_path) as tap, client(platform, upstream.url) as one:
        with pytest.raises(anthropic.APIConnectionError):
            tap.wrap(one).messages.create(**ASK, stream=True)

    [stream] = recorded(tmp_path)
    assert stream.response is None
    assert stream.url.startswith(upstream.url)
    assert [problem for one in verify([*tmp_path.iterdir()]) for problem in one.problems] == []
    with recorder.replay(tmp_path) as replay, client(platform, "https://nowhere.invalid") as offline:
        with pytest.raises(anthropic.APIConnectionError):
            offline.messages.create(**ASK, stream=True)
        assert replay.unused == []


@pytest.mark.parametrize("seam", ["middleware", "transport"])
def test_an_exception_of_bedrock_is_an_error_event(tmp_path: Path, seam: str) -> None:
    pytest.importorskip("boto3", reason="needs boto3")
    platform = PLATFORMS["bedrock"]
    reply = bedrock_reply([EVENTS[0], bedrock_exception("throttlingException", "Too many")])
    with Upstream(lambda _: reply) as upstream, recorder.Tap(tmp_path) as tap:
        options = {} if seam == "middleware" else {
            "http_client": anthropic.DefaultHttpxClient(transport=recorder.TapTransport(tap))
        }  # fmt: skip
        with client(platform, upstream.url, **options) as one, client(platform, upstream.url) as plain:
            errors = []
            for each in (plain, tap.wrap(one) if seam == "middleware" else one):
                with pytest.raises((anthropic.APIStatusError, ValueError)) as caught:
                    [*each.messages.create(**ASK, stream=True)]
                if not isinstance(caught.value, anthropic.APIStatusError):
                    pytest.skip("this version of the SDK makes no event of an exception of Bedrock's")
                errors.append((type(caught.value), str(caught.value), caught.value.body))

    assert errors[0] == errors[1]
    [stream] = recorded(tmp_path)
    assert stream.events[-1].event == "error"
    assert stream.end is not None
    assert stream.end.summary is not None
    assert stream.end.summary.error is not None
    assert stream.end.summary.error.type == "throttlingException"
    with recorder.replay(tmp_path), client(platform, "https://nowhere.invalid") as offline:
        with pytest.raises(anthropic.APIStatusError, match="Too many"):
            [*offline.messages.create(**ASK, stream=True)]


def test_what_the_transport_saw_of_bedrock_replays_too(tmp_path: Path) -> None:
    pytest.importorskip("boto3", reason="needs boto3")
    platform = PLATFORMS["bedrock"]
    with Upstream(lambda _: bedrock_reply(EVENTS)) as upstream, recorder.Tap(tmp_path) as tap:
        http = anthropic.DefaultHttpxClient(transport=recorder.TapTransport(tap))
        with client(platform, upstream.url, http_client=http) as one:
            seen = [event.to_dict() for event in one.messages.create(**ASK, stream=True)]

    [stream] = recorded(tmp_path)
    assert "model" not in stream.request.body
    with recorder.replay(tmp_path), client(platform, "https://nowhere.invalid") as offline:
        assert [event.to_dict() for event in offline.messages.create(**ASK, stream=True)] == seen


def test_a_request_to_a_platform_that_was_not_recorded_never_leaves(tmp_path: Path) -> None:
    with recorder.Tap(tmp_path) as tap, Upstream([Reply.json(200, MESSAGE)]) as upstream:
        with anthropic.Anthropic(base_url=upstream.url, api_key="k") as one:
            tap.wrap(one).messages.create(**ASK)
    with Upstream([]) as upstream, recorder.replay(tmp_path):
        with client(PLATFORMS["vertex"], upstream.url) as one, pytest.raises(recorder.NoMatch):
            one.messages.create(**ASK)
        assert upstream.received == []
