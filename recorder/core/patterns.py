"""What secrets look like, by name: for finding those that got into a recording all the same.

A pattern must not match what recordings are full of: ids of messages and requests, signatures, images in
base64, hashes. Where a secret has no shape of its own (an AWS secret key is 40 characters of base64), it is only
found beside a word that says what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from .redact import KEY, SHORTEST

_QUOTES = r"[\"'\\\s]*"

PATTERNS: dict[str, re.Pattern[str]] = {
    "anthropic-key": re.compile(rf"(?<![A-Za-z0-9]){KEY.pattern}"),
    "aws-access-key": re.compile(r"(?<![A-Za-z0-9+/=])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9+/=])"),
    "aws-secret-key": re.compile(
        rf"(?i:secret_?(?:access_?)?key){_QUOTES}[:=]{_QUOTES}[A-Za-z0-9/+]{{40}}(?![A-Za-z0-9/+=])"
    ),
    "github-token": re.compile(r"(?<![A-Za-z0-9_])(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60})"),
    "google-api-key": re.compile(r"(?<![A-Za-z0-9+/_\-])AIza[A-Za-z0-9_\-]{35}(?![A-Za-z0-9+/_=\-])"),
    "google-access-token": re.compile(r"(?<![A-Za-z0-9+/])ya29\.[A-Za-z0-9_\-]{30,}"),
    "slack-token": re.compile(r"(?<![A-Za-z0-9])xox[abeoprs]-[A-Za-z0-9]+-[A-Za-z0-9\-]{8,}"),
    "slack-webhook": re.compile(
        r"hooks\.slack\.com/(?:services|workflows)/T[A-Z0-9]{6,}/[A-Za-z0-9]{6,}/[A-Za-z0-9]{16,}"
    ),
    "openai-key": re.compile(
        r"(?<![A-Za-z0-9])sk-(?:(?:proj|svcacct|admin)-[A-Za-z0-9_\-]{40,}|[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20})"
    ),
    "azure-key": re.compile(
        r"(?<![A-Za-z0-9])[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{26}(?![A-Za-z0-9])"
        rf"|AccountKey=[A-Za-z0-9+/]{{86}}==|(?i:\bapi[-_]key){_QUOTES}[:=]{_QUOTES}[0-9a-f]{{32}}(?![0-9A-Za-z])"
    ),
    "private-key": re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"),
    "jwt": re.compile(r"(?<![A-Za-z0-9+/_\-])eyJ[A-Za-z0-9_\-]{10,}\.eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{16,}"),
    "bearer-token": re.compile(r"(?i:\bbearer)\s+(?=[A-Za-z._~+/\-]*\d)[A-Za-z0-9._~+/\-]{20,}=*"),
    "basic-login": re.compile(
        rf"(?i:\bauthorization){_QUOTES}[:=]{_QUOTES}(?i:basic)\s+[A-Za-z0-9+/]{{8,}}={{0,2}}"
    ),
    "url-login": re.compile(
        r"[A-Za-z][A-Za-z0-9+.\-]{1,15}://[^\s:/?#@\"'\\<>\[\]]+:[^\s/?#@\"'\\<>\[\]]{3,}@[\w.\-\[]"
    ),
}
"""Name of the rule, and what it finds."""
ENVIRONMENT = "environment"
"""Name of the rule that finds values of the environment's own keys."""


class Match(Struct, frozen=True, order=True):
    """A secret in a text: from where to where, and which rule found it."""

    start: int
    stop: int
    rule: str


def find(text: str, known: Iterable[str] = ()) -> Iterator[Match]:
    """The secrets in unescaped `text`, in order; of those that overlap the first, and of these the longest.

    `known`: values to look for as they are.
    """
    found = [Match(m.start(), m.end(), rule) for rule, pattern in PATTERNS.items() for m in pattern.finditer(text)]
    for value in known:
        if len(value) >= SHORTEST:
            at = text.find(value)
            while at >= 0:
                found.append(Match(at, at + len(value), ENVIRONMENT))
                at = text.find(value, at + len(value))
    end = -1
    for match in sorted(found, key=lambda one: (one.start, -one.stop)):
        if match.start >= end:
            yield match
            end = match.stop


def masked(secret: str, rule: str) -> str:
    """Something to know a secret by that does not give it away: how it begins, if that is nothing but its kind."""
    shown = re.match(r"sk-ant-|AKIA|ASIA|gh[pousr]_|github_pat_|AIza|ya29\.|xox[a-z]-|eyJ|sk-|-----BEGIN", secret)
    head = shown[0] if shown and rule != ENVIRONMENT else ""
    return f"{head}… ({len(secret)} characters)"
