"""What a program needs in its environment to find one of our servers on the loopback."""

from __future__ import annotations

from collections.abc import Mapping

KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
BASE_URLS = ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_URL", "ANTHROPIC_API_BASE")
"""Read by Anthropic's SDKs in every language; by langchain-anthropic; by LiteLLM."""


def environment_for(given: Mapping[str, str], url: str, *, placeholder: str | None = None) -> dict[str, str]:
    """`given`, but for where the API is, and without a proxy in between: it would not find our loopback.

    `placeholder`: the key for a program that has none, where none is needed.
    """
    environment = {**given, **dict.fromkeys(BASE_URLS, url)}
    for name in ("NO_PROXY", "no_proxy"):
        environment[name] = ",".join(filter(None, (given.get(name), "127.0.0.1")))
    if placeholder is not None and not any(given.get(name) for name in KEYS):
        environment["ANTHROPIC_API_KEY"] = placeholder
    return environment
