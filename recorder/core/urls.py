"""URLs without secrets: no login, and no value of a parameter that is not known to be harmless."""

from __future__ import annotations

import re
from urllib.parse import unquote

PARAMETERS = frozenset(
    {
        "after_id", "alt", "api-version", "api_version", "before_id", "beta", "bucket_width", "created_at",
        "date", "depth", "ending_at", "ending_date", "exclude_deleted_users", "group_by", "has_error",
        "include_archived", "include_default", "include_inherited", "lifecycle", "limit", "model", "models",
        "order", "order_by", "page", "period", "service_tiers", "starting_at", "starting_date", "status",
        "statuses", "stream", "time_bucket_width", "type", "types", "version", "view",
    }
)  # fmt: skip
"""Query parameters whose values are written: paging, order, dates, kinds of things. None names a person."""
HIDDEN = "[redacted]"

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^\s\"'<>\\]+|(?<!\S)/[^\s\"'<>\\]*\?[^\s\"'<>\\]+")
_LOGIN = re.compile(r"(?<=://)([^/?#\s]*)@")


def safe_query(query: str) -> str:
    """The query with the value of each parameter that is not in `PARAMETERS` replaced. Doing it twice is doing it
    once, so a request that was recorded and one that is asked compare equal."""
    return "&".join(map(_safe_parameter, query.split("&"))) if query else query


def _safe_parameter(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    if not equals or not value or unquote(name).partition("[")[0] in PARAMETERS:
        return parameter
    return f"{name}={HIDDEN}"


def safe_url(url: str) -> str:
    """`url` without `user:password@`, without the values of unknown parameters, and without a fragment."""
    before, mark, query = _LOGIN.sub("", url).partition("#")[0].partition("?")
    return before + mark + safe_query(query)


def safe_urls_in(text: str) -> str:
    """`text`, a URL or a message that quotes some, with each of them safe."""
    if "?" not in text and "@" not in text and "#" not in text:
        return text
    return _URL.sub(lambda found: safe_url(found[0]), text)


def login_of(url: str) -> list[str]:
    """Login and password in a URL, as they stand there and without percent-encoding."""
    found = _LOGIN.search(url)
    if found is None:
        return []
    password = found[1].partition(":")[2]
    return list(dict.fromkeys(one for one in (found[1], password, unquote(found[1]), unquote(password)) if one))
