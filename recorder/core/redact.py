"""What may reach a disk: an allow-list of headers, and no secret anywhere.

Headers that are not named here are dropped, in both directions: a secret header that nobody thought of is
dropped too. What it carried is remembered, and removed wherever else it appears (`Secrets`), however it is
spelt: JSON escapes of any depth, and percent-encoding in URLs. `guard.py` finds what is split over events.
"""

from __future__ import annotations

import re
from base64 import b64decode
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from json import dumps
from typing import NamedTuple, cast
from urllib.parse import quote

from .urls import login_of, safe_urls_in

REQUEST_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "anthropic-beta",
        "anthropic-version",
        "content-encoding",
        "content-type",
        "traceparent",
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
KEY = re.compile(r"sk-ant-[A-Za-z0-9_\-]{8,}")
"""Anything shaped like an Anthropic key, whoever's it is."""
_KEY_HEAD = "sk-ant-"
_KEY_AT_END = re.compile(r"sk-ant-[A-Za-z0-9_\-]*\Z")
REDACTED = "[redacted]"
SHORTEST = 8
"""A shorter value would be found inside ordinary words, and is no key. As many characters of a secret at the end
of an event are taken for its beginning."""
_REMEMBERED = 64
"""Values removed at a time, beside the lasting ones: tokens that are renewed all day must not make every event
slower. The one used least recently is forgotten."""
_FEW = 8
"""Up to so many strings are found faster one by one than by a pattern."""

_SECRET_WORDS = ("token", "secret", "key", "password", "passwd", "credential", "credentials", "auth", "apikey")
_HARMLESS_WORDS = frozenset({"idempotency", "cache", "surrogate", "ratelimit", "limit", "stainless"})
_SECRET_HEADERS = frozenset(
    {
        "authorization", "proxy-authorization", "cookie", "set-cookie", "x-amz-security-token",
        "anthropic-organization-id", "anthropic-workspace-id", "anthropic-user-profile-id",
        "openai-organization", "x-goog-user-project", "x-goog-iam-authorization-token",
    }
)  # fmt: skip
_ENVIRONMENT = re.compile(
    r"(ANTHROPIC|CLAUDE|AWS|AZURE|GOOGLE)_(\w+_)?(KEY|API_KEY|TOKEN|SECRET|PASSWORD|KEY_ID|ORGANIZATION_ID|WORKSPACE_ID"
    r"|BEARER_TOKEN_BEDROCK)"
)
_PROXIES = re.compile(r"(HTTPS?|ALL|WSS?|SOCKS)_PROXY|ANTHROPIC_\w*BASE_URL", re.IGNORECASE)
_ESCAPES = re.compile(r"\\+(?:u00([0-9a-fA-F]{2})|(/))")
HALF_ESCAPE = re.compile(r"\\+(?:u[0-9a-fA-F]{0,3})?\Z")
"""The beginning of an escape, at the end of a text."""
_PERCENT = re.compile(r"%([0-9a-fA-F]{2})()")


def request_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The request headers that may be written: lower-case names, repeated ones joined by `, `."""
    return _kept(pairs, _is_request_header)


def response_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The response headers that may be written: lower-case names, repeated ones joined by `, `."""
    return _kept(pairs, _is_response_header)


def _is_request_header(name: str) -> bool:
    return name in REQUEST_HEADERS


def _is_response_header(name: str) -> bool:
    return name in RESPONSE_HEADERS or name.startswith(RESPONSE_PREFIXES)


def _kept(pairs: Iterable[tuple[str, str]], keep: Callable[[str], bool]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in pairs:
        name = name.lower()
        if keep(name):
            kept[name] = f"{kept[name]}, {value}" if name in kept else value
    return kept


def credentials(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> list[str]:
    """The secrets that headers carry, of a request or a response, without scheme (`Bearer`) or cookie name.

    A header is secret when it is known to be, or when its name says so; never one that is written.
    """
    pairs = cast("Mapping[str, str]", headers).items() if isinstance(headers, Mapping) else headers
    return [
        secret
        for name, value in pairs
        if is_secret_name(name.lower())
        for secret in _secrets_of(name.lower(), value)
        if len(secret) >= SHORTEST
    ]


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Whether a header (lower case) or a parameter of this name holds a credential."""
    if _is_request_header(name) or _is_response_header(name):
        return False
    words = re.split(r"[^a-z0-9]+", name)
    if _HARMLESS_WORDS.intersection(words):
        return False
    return name in _SECRET_HEADERS or any(word.endswith(_SECRET_WORDS) for word in words)


def _secrets_of(name: str, value: str) -> list[str]:
    value = value.strip()
    if name in ("cookie", "set-cookie"):
        parts = value.split(";") if name == "cookie" else [value.partition(";")[0]]
        values = (part.partition("=")[2].strip().strip('"') for part in parts)
        return [one for one in values if not re.fullmatch(r"[a-z_\-]{0,15}|[\d.,:\-]*", one)]
    if "authorization" not in name:
        return [] if re.fullmatch(r"[\d.,:TZ\-]*", value) else [value]
    scheme, _, rest = value.rpartition(" ")
    if scheme.lower() == "basic":
        return [rest, *_login(rest)]
    named = re.findall(r'(?:credential|signature|response|nonce)="?([^\s,"/]+)', value, re.IGNORECASE)
    return named or [rest]


def _login(encoded: str) -> list[str]:
    """The login and the password of Basic credentials."""
    try:
        login = b64decode(encoded, validate=True).decode("utf-8")
    except ValueError:
        return []
    return [login, login.partition(":")[2]]


def environment_secrets(environ: Mapping[str, str]) -> list[str]:
    """The keys that environment variables hold, those of Anthropic and of the clouds that serve Claude, and the
    logins in the URLs of proxies."""
    found: list[str] = []
    for name, value in environ.items():
        if name == "ANTHROPIC_CUSTOM_HEADERS":
            lines = (line.partition(":") for line in value.splitlines())
            found += credentials([(name.strip(), rest.strip()) for name, _, rest in lines])
        elif _PROXIES.fullmatch(name):
            found += login_of(value)
        elif _ENVIRONMENT.fullmatch(name):
            found.append(value.strip())
    return found


class Unescaped(NamedTuple):
    """A text without its escapes, and where each of its characters stands in the text."""

    text: str
    plain: list[int]
    raw: list[int]

    def place(self, position: int) -> int:
        """In the escaped text, of `position` in this one."""
        if not self.plain:
            return position
        nearest = bisect_right(self.plain, position) - 1
        return self.raw[nearest] + position - self.plain[nearest]


def unescaped(text: str, escapes: re.Pattern[str] = _ESCAPES) -> Unescaped:
    """`text` without the escapes that can hide a character of a key: `\\u0061`, `\\/`, at any depth."""
    parts: list[str] = []
    plain, raw = [0], [0]
    at = size = 0
    for found in escapes.finditer(text):
        size += found.start() - at
        parts += text[at : found.start()], chr(int(found[1], 16)) if found[1] else found[2]
        plain += size, size + 1
        raw += found.start(), found.end()
        at, size = found.end(), size + 1
    if not parts:
        return Unescaped(text, [], [])
    return Unescaped("".join([*parts, text[at:]]), plain, raw)


class Secrets:
    """The values to remove. Knows keys by their shape, and learns the values that it is told."""

    __slots__ = ("_found", "_lasting", "_learned", "_literals", "_slashes", "begins_in")

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._lasting: dict[str, None] = {}
        self._learned: dict[str, None] = {}
        for value in values:
            if len(value) >= SHORTEST:
                self._lasting[value] = None
        self._prepare()

    @property
    def lasting(self) -> list[str]:
        """The values that it was made with."""
        return list(self._lasting)

    @property
    def learned(self) -> list[str]:
        """The values that it remembers beside the lasting ones, the one to be forgotten next first."""
        return list(self._learned)

    def learn(self, value: str) -> None:
        """Remove `value` from everything written from now on, or until `_REMEMBERED` others were learned.

        One thread at a time.
        """
        if len(value) < SHORTEST or value in self._lasting:
            return
        known = value in self._learned
        self._learned.pop(value, None)
        self._learned[value] = None
        if known:
            return
        if len(self._learned) > _REMEMBERED:
            del self._learned[next(iter(self._learned))]
        self._prepare()

    def _prepare(self) -> None:
        spelt = {way for value in (*self._lasting, *self._learned) for way in _spellings(value)}
        # Longest first: a secret that begins another would leave the other's end behind.
        self._literals = tuple(sorted(spelt, key=lambda one: (-len(one), one)))
        self._slashes = any("/" in one for one in self._literals)
        self._found = (*tuple(one.encode("latin-1", "replace") for one in self._literals), _KEY_HEAD.encode())
        heads = {one[:SHORTEST] for one in self._literals if not one.startswith(_KEY_HEAD)}
        self.begins_in = _finder((_KEY_HEAD, *sorted(heads), *(("\\/",) if self._slashes else ())))
        """Fast, called for every event: whether a secret may begin in a text that hides nothing by `\\u`."""

    def found_in(self, data: bytes) -> bool:
        """Fast: whether `data` may hold a secret."""
        for secret in self._found:
            if secret in data:
                return True
        return b"\\u00" in data or (self._slashes and b"\\/" in data)

    def spans(self, text: str, *, open_end: bool = False) -> list[tuple[int, int]]:
        """Where secrets stand in unescaped `text`, in order, none touching another. `open_end`: also at least
        `SHORTEST` characters at its end that begin one."""
        found = [match.span() for match in KEY.finditer(text)]
        for secret in self._literals:
            at = text.find(secret)
            while at >= 0:
                found.append((at, at + len(secret)))
                at = text.find(secret, at + 1)
        if open_end and (begun := self.begun(text)) >= SHORTEST:
            found.append((len(text) - begun, len(text)))
        merged: list[tuple[int, int]] = []
        for start, stop in sorted(found):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
            else:
                merged.append((start, stop))
        return merged

    def begun(self, text: str) -> int:
        """How many characters at the end of unescaped `text` begin a secret."""
        key = _KEY_AT_END.search(text)
        longest = len(key[0]) if key else _overlap(text, _KEY_HEAD)
        for secret in self._literals:
            longest = max(longest, _overlap(text, secret, longest))
        return longest

    def beginning(self, text: str) -> str:
        """The end of unescaped `text` that begins a secret; of a mere shape of a key, enough to tell."""
        begun = text[len(text) - self.begun(text) :]
        known = any(one.startswith(begun) for one in self._literals)
        return begun if known else begun[: len(_KEY_HEAD) + SHORTEST]

    def remove(self, data: bytes) -> bytes:
        """`data` with each secret replaced; as long as it was JSON, it still is."""
        return self._cleaned(data.decode("latin-1"), _ESCAPES).encode("latin-1")

    def remove_from_text(self, text: str) -> str:
        """The same for a string that may hold anything; half a surrogate pair becomes its escape."""
        encoded = text.encode("utf-8", "backslashreplace")
        return (self.remove(encoded) if self.found_in(encoded) else encoded).decode("utf-8")

    def remove_from_url(self, text: str) -> str:
        """The same for a URL, or a message that may quote some: without logins in them, and without the values of
        parameters that are not known to be harmless."""
        text = self.remove_from_text(safe_urls_in(text))
        return self._cleaned(text, _PERCENT) if "%" in text else text

    def _cleaned(self, text: str, escapes: re.Pattern[str]) -> str:
        plain = unescaped(text, escapes)
        spans = self.spans(plain.text)
        return replaced(text, [(plain.place(start), plain.place(stop)) for start, stop in spans])

    def cut_before_secret(self, data: bytes) -> int:
        """Where to cut `data` so that no secret that begins in it goes on behind the cut; 0: nowhere."""
        plain = unescaped(data[-_LONGEST:].decode("latin-1"))
        half = HALF_ESCAPE.search(plain.text)
        text = plain.text[: half.start()] if half else plain.text
        return max(0, len(data) - _LONGEST) + plain.place(len(text) - self.begun(text))


_LONGEST = 1 << 16
"""Bytes at the end of a piece that are searched for the beginning of a secret: more than a header may hold."""


def replaced(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """`text` with each span replaced. Half an escape before one goes, too: its other half is no longer there."""
    parts: list[str] = []
    at = 0
    for start, stop in spans:
        parts += HALF_ESCAPE.sub("", text[at:start]), REDACTED
        at = stop
    return "".join([*parts, text[at:]])


def _overlap(text: str, secret: str, more_than: int = 0) -> int:
    """Length of the longest end of `text` that begins `secret` and is not all of it; 0 if not `more_than`."""
    for length in range(min(len(secret) - 1, len(text)), more_than, -1):
        if text.endswith(secret[:length]):
            return length
    return 0


def _spellings(value: str) -> set[str]:
    """`value` as it is, in the bytes of UTF-8, in JSON and JSON in JSON, and in a URL."""
    once = dumps(value, ensure_ascii=False)[1:-1]
    twice = dumps(once, ensure_ascii=False)[1:-1]
    ways = {value, once, twice, dumps(value)[1:-1], quote(value, safe="")}
    ways |= {unescaped(way).text for way in ways}
    ways |= {way.encode("utf-8", "surrogatepass").decode("latin-1") for way in ways}
    return {way for way in ways if len(way) > SHORTEST // 2}


def _finder(marks: tuple[str, ...]) -> Callable[[str], object]:
    if len(marks) > _FEW:
        return re.compile("|".join(map(re.escape, marks))).search

    def find(text: str) -> bool:
        for mark in marks:  # noqa: SIM110 - a third of the time that any() takes
            if mark in text:
                return True
        return False

    return find
