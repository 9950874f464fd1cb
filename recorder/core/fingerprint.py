"""What makes two requests the same request: the canonical JSON of method, path and body.

Left out are the fields in `VOLATILE`, which change from run to run and do not change the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

from .payload import as_object
from .urls import safe_query

VOLATILE = ("metadata.user_id",)
"""Body fields that are not compared, as dotted paths."""

_PLATFORM = re.compile(
    r"/model/[^/?]+/invoke(?:-with-response-stream)?(?=\?|$)"
    r"|/projects/[^/?]+/locations/[^/?]+/publishers/anthropic/models/[^/?]+:(?:streamR|r)awPredict(?=\?|$)"
)
"""Bedrock's and Vertex's paths. They say the model, and whether to stream, that the body says elsewhere."""
_ON_PLATFORMS = ("model", "stream", "anthropic_version", "anthropic_beta")
"""Members that the SDK moves between body, path and headers there, after its middleware saw the request."""
_COUNTS_TOKENS = "/models/count-tokens:"
"""Vertex's path for it names no model: there the body does."""

_encode = msgspec.json.Encoder(order="deterministic").encode


def attempt_of(headers: Mapping[str, str]) -> int:
    """Which attempt of its call a request is, from the header in which the SDKs say it; 0 for the first."""
    retries = headers.get("x-stainless-retry-count", "0")
    return int(retries) if retries.isdecimal() else 0


def path_of(url: str) -> str:
    """The path and query of a URL, from `/v1/` on or as the platform has it: the base URL does not matter.

    Values of parameters that are not recorded are not compared either.
    """
    parts = urlsplit(url)
    path = parts.path
    at = platform.start() if (platform := _PLATFORM.search(path)) else path.find("/v1/")
    return (path[at:] if at >= 0 else path) + (f"?{safe_query(parts.query)}" if parts.query else "")


def is_platform(path: str) -> bool:
    """True for a path on which Bedrock or Vertex serves Claude."""
    return _PLATFORM.match(path) is not None


def is_to_claude(headers: Mapping[str, str], url: str) -> bool:
    """True for a request to Claude: it says so, or its path does. `headers`: names in any case, or lower-case."""
    return "anthropic-version" in headers or is_platform(path_of(url).partition("?")[0])


def canonical(method: str, url: str, body: Any, ignore: Sequence[str] = ()) -> bytes:
    """The bytes that are compared. `body`: decoded JSON, a text, or None; `ignore`: fields left out as well."""
    path = path_of(url)
    request = [method.upper(), path, compared(path, body, ignore)]
    try:
        return _encode(request)
    except (UnicodeEncodeError, OverflowError):  # half a surrogate pair, a number beyond 64 bits
        return json.dumps(request, sort_keys=True).encode("ascii")


def fingerprint(method: str, url: str, body: Any, ignore: Sequence[str] = ()) -> str:
    """32 hex digits; equal for equal requests."""
    return blake2b(canonical(method, url, body, ignore), digest_size=16).hexdigest()


def differences(recorded: Any, asked: Any, path: str = "$") -> Iterator[str]:
    """Where two JSON values differ, a line each: `$.messages[0].content: "a" recorded, "b" asked`."""
    ours, theirs = as_object(recorded), as_object(asked)
    if ours is not None and theirs is not None:
        for key in [*ours, *(key for key in theirs if key not in ours)]:
            if key not in theirs:
                yield f"{path}.{key}: {_short(ours[key])} recorded, absent in the request"
            elif key not in ours:
                yield f"{path}.{key}: {_short(theirs[key])} asked, absent in the recording"
            else:
                yield from differences(ours[key], theirs[key], f"{path}.{key}")
    elif isinstance(recorded, list) and isinstance(asked, list):
        left, right = cast("list[Any]", recorded), cast("list[Any]", asked)
        if len(left) != len(right):
            yield f"{path}: {len(left)} items recorded, {len(right)} asked"
        for n, (a, b) in enumerate(zip(left, right, strict=False)):
            yield from differences(a, b, f"{path}[{n}]")
    elif recorded != asked or isinstance(recorded, bool) != isinstance(asked, bool):
        yield f"{path}: {_short(recorded)} recorded, {_short(asked)} asked"


def compared(path: str, body: Any, ignore: Sequence[str] = ()) -> Any:
    """`body` as it is compared, without what is `VOLATILE` there and what `ignore` names. `path`: of `path_of`."""
    for name in (*volatile(path), *ignore):
        body = _without(body, name.split("."))
    return body


def volatile(path: str) -> tuple[str, ...]:
    """The body fields, as dotted paths, that are not compared in requests for this path (of `path_of`)."""
    if not is_platform(path):
        return VOLATILE
    return (*VOLATILE, *(name for name in _ON_PLATFORMS if name != "model" or _COUNTS_TOKENS not in path))


def _without(value: Any, path: Sequence[str]) -> Any:
    """`value` without what `path` leads to, in every item of a list on the way; without what is empty then."""
    if isinstance(value, list):
        return [_without(item, path) for item in cast("list[Any]", value)]
    fields = as_object(value)
    if fields is None or path[0] not in fields:
        return value
    kept = {key: item for key, item in fields.items() if key != path[0]}
    if len(path) > 1 and (rest := _without(fields[path[0]], path[1:])) != {}:
        kept[path[0]] = rest
    return kept


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"
