"""What may reach a disk: an allow-list of headers, and no API key anywhere.

Headers that are not named here are dropped, in both directions: a secret header that nobody thought of is
dropped too. Organisation and workspace ids are secrets as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

REQUEST_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "anthropic-beta",
        "anthropic-version",
        "content-encoding",
        "content-type",
        "user-agent",
        "x-stainless-arch",
        "x-stainless-async",
        "x-stainless-helper",
        "x-stainless-helper-method",
        "x-stainless-lang",
        "x-stainless-os",
        "x-stainless-package-version",
        "x-stainless-read-timeout",
        "x-stainless-retry-count",
        "x-stainless-runtime",
        "x-stainless-runtime-version",
        "x-stainless-timeout",
    }
)
RESPONSE_HEADERS = frozenset(
    {
        "cache-control",
        "cf-ray",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "request-id",
        "retry-after",
        "retry-after-ms",
        "server",
        "transfer-encoding",
        "via",
        "x-envoy-upstream-service-time",
        "x-should-retry",
    }
)
RESPONSE_PREFIXES = ("anthropic-ratelimit-",)
_CREDENTIAL_HEADERS = ("authorization", "x-api-key")
KEY = re.compile(rb"sk-ant-[A-Za-z0-9_\-]{8,}")
"""Anything shaped like an Anthropic key, whoever's it is."""
REDACTED = b"[redacted]"
_REMEMBERED = 64
"""Values removed at a time: tokens that are renewed all day must not make every event slower."""
_SHORTEST_SECRET = 8
"""A shorter value would be found inside ordinary words, and is no key."""


def request_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The request headers that may be written: lower-case names, repeated ones joined by `, `."""
    return _kept(pairs, lambda name: name in REQUEST_HEADERS)


def response_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The response headers that may be written: lower-case names, repeated ones joined by `, `."""
    return _kept(pairs, lambda name: name in RESPONSE_HEADERS or name.startswith(RESPONSE_PREFIXES))


def _kept(pairs: Iterable[tuple[str, str]], keep: Callable[[str], bool]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in pairs:
        name = name.lower()
        if keep(name):
            kept[name] = f"{kept[name]}, {value}" if name in kept else value
    return kept


def credentials(headers: Mapping[str, str]) -> list[str]:
    """The keys that a request carries, without their scheme (`Bearer`). `headers`: its names in lower case, or
    compared without case."""
    return [value.rpartition(" ")[2] for name in _CREDENTIAL_HEADERS if (value := headers.get(name))]


class Secrets:
    """The values to remove. Knows keys by their shape, and learns the values that it is told."""

    __slots__ = ("_known", "_learned")

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._learned: tuple[bytes, ...] = ()
        self._known: tuple[bytes, ...] = ()
        for value in values:
            self.learn(value)

    def learn(self, value: str) -> None:
        """Remove `value` from everything written from now on, or the last `_REMEMBERED`. One thread at a time."""
        secret = value.encode("utf-8", "surrogatepass")
        if len(secret) < _SHORTEST_SECRET or secret in self._learned:
            return
        self._learned = (*self._learned[1 - _REMEMBERED :], secret)
        # Longest first: a secret that begins another would leave the other's end behind.
        self._known = tuple(sorted(self._learned, key=len, reverse=True))

    def found_in(self, data: bytes) -> bool:
        """Fast: called for every event."""
        for secret in self._known:
            if secret in data:
                return True
        return b"sk-ant-" in data

    def remove(self, data: bytes) -> bytes:
        """`data` with each secret replaced; as long as it was JSON, it still is."""
        for secret in self._known:
            data = data.replace(secret, REDACTED)
        return KEY.sub(REDACTED, data)

    def remove_from_text(self, text: str) -> str:
        """The same for a string that may hold anything; half a surrogate pair becomes its escape."""
        encoded = text.encode("utf-8", "backslashreplace")
        return (self.remove(encoded) if self.found_in(encoded) else encoded).decode("utf-8")
