"""The names that OpenTelemetry gives to what we measure, by version: they move, and dashboards do not.

The GenAI conventions are in development. 1.36 is what instrumentations go on emitting unless asked for more; 1.41
is the last version of the common repository; `genai-dev` is what their own repository has had since, unreleased.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from msgspec import Struct

SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
"""Bounds of the buckets that the conventions recommend."""


class Instrument(Struct, kw_only=True, frozen=True):
    """One metric: `value` names what is measured, of each call (`gap_s`: of each gap of its last attempt)."""

    name: str
    value: str
    unit: str
    bounds: tuple[float, ...] | None
    """None for a counter."""
    attributes: dict[str, str] = {}


class Names(Struct, kw_only=True, frozen=True):
    """One version. `attributes`: the name of each attribute of a span that this version has, by our column."""

    schema_url: str
    provider: str
    instruments: tuple[Instrument, ...]
    attributes: dict[str, str]


def _seconds(name: str, value: str) -> Instrument:
    return Instrument(name=name, value=value, unit="s", bounds=SECONDS)


def _tokens(name: str, value: str, **attributes: str) -> Instrument:
    return Instrument(name=name, value=value, unit="{token}", bounds=TOKENS, attributes=attributes)


def _counter(name: str, value: str) -> Instrument:
    return Instrument(name=name, value=value, unit="{token}", bounds=None)


_USAGE = (
    _tokens("gen_ai.client.token.usage", "all_input_tokens", **{"gen_ai.token.type": "input"}),
    _tokens("gen_ai.client.token.usage", "output_tokens", **{"gen_ai.token.type": "output"}),
)
_ATTRIBUTES = {
    "request_model": "gen_ai.request.model",
    "model": "gen_ai.response.model",
    "message_id": "gen_ai.response.id",
    "finish_reasons": "gen_ai.response.finish_reasons",
    "max_tokens": "gen_ai.request.max_tokens",
    "all_input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
}
_STREAMED = {
    "streaming": "gen_ai.request.stream",
    "ttft_call_s": "gen_ai.response.time_to_first_chunk",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
}
VERSIONS = {
    "1.36": Names(
        schema_url="https://opentelemetry.io/schemas/1.36.0",
        provider="gen_ai.system",
        instruments=(_seconds("gen_ai.client.operation.duration", "duration_call_s"), *_USAGE),
        attributes=_ATTRIBUTES,
    ),
    "1.41": Names(
        schema_url="https://opentelemetry.io/schemas/1.41.0",
        provider="gen_ai.provider.name",
        instruments=(
            _seconds("gen_ai.client.operation.duration", "duration_call_s"),
            _seconds("gen_ai.client.operation.time_to_first_chunk", "ttft_call_s"),
            _seconds("gen_ai.client.operation.time_per_output_chunk", "gap_s"),
            *_USAGE,
        ),
        attributes={
            **_ATTRIBUTES,
            **_STREAMED,
            "cache_write_tokens": "gen_ai.usage.cache_creation.input_tokens",
            "thinking_tokens": "gen_ai.usage.reasoning.output_tokens",
        },
    ),
    "genai-dev": Names(
        schema_url="https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev",
        provider="gen_ai.provider.name",
        instruments=(
            _seconds("gen_ai.client.inference.duration", "duration_call_s"),
            _seconds("gen_ai.client.inference.time_to_first_chunk", "ttft_call_s"),
            _seconds("gen_ai.client.inference.time_per_output_chunk", "gap_s"),
            _tokens("gen_ai.client.inference.operation.input_tokens", "all_input_tokens"),
            _tokens("gen_ai.client.inference.operation.output_tokens", "output_tokens"),
            _counter("gen_ai.client.inference.usage.input_tokens", "all_input_tokens"),
            _counter("gen_ai.client.inference.usage.output_tokens", "output_tokens"),
            _counter("gen_ai.client.inference.usage.cache_read.input_tokens", "cache_read_tokens"),
            _counter("gen_ai.client.inference.usage.cache_write.input_tokens", "cache_write_tokens"),
            _counter("gen_ai.client.inference.usage.reasoning.output_tokens", "thinking_tokens"),
        ),
        attributes={
            **_ATTRIBUTES,
            **_STREAMED,
            "cache_write_tokens": "gen_ai.usage.cache_write.input_tokens",
            "thinking_tokens": "gen_ai.usage.reasoning.output_tokens",
        },
    ),
}
DEFAULT = "1.41"

MODEL_CALL = r"/messages$|/invoke(-with-response-stream)?$|:(streamR|r)awPredict$"
"""Paths of requests that ask a model for an answer; for Python's `re` and for DuckDB's alike."""
_HOST = re.compile(r"^[a-z]+://(\[[^\]]*\]|[^/:?#]+)(?::([0-9]+))?")


class Server(NamedTuple):
    """Who was asked."""

    provider: str
    address: str | None
    port: int | None


def server_of(url: str) -> Server:
    """What the conventions say of a URL; without a host, it is Anthropic's."""
    found = _HOST.match(url)
    if found is None:
        return Server("anthropic", None, None)
    host, port = found.groups()
    provider = "anthropic"
    if "bedrock" in host:
        provider = "aws.bedrock"
    elif host.endswith("aiplatform.googleapis.com"):
        provider = "gcp.vertex_ai"
    return Server(provider, host, int(port) if port else 443 if url.startswith("https:") else 80)


def attributes(
    names: Names,
    *,
    provider: str,
    request_model: str | None,
    model: str | None,
    address: str | None,
    port: int | None,
    error: str | None,
) -> dict[str, Any]:
    """What spans and metrics of a call share, as far as it is known."""
    named = {
        "gen_ai.operation.name": "chat",
        names.provider: provider,
        "gen_ai.request.model": request_model,
        "gen_ai.response.model": model,
        "server.address": address,
        "server.port": port,
        "error.type": error,
    }
    return {name: value for name, value in named.items() if value is not None}
