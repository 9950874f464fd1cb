"""What a request sends, its JSON or its files, without reading a stream that the SDK is about to read."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, cast

import msgspec

from recorder.log.items import SentPart

if TYPE_CHECKING:
    from anthropic import APIRequest

_ENCODER = msgspec.json.Encoder(enc_hook=str)
HASHED = 16 << 20
"""Bytes of one request that are hashed, by the writer: they are held until then. Past it only sizes are noted."""


def json_of(request: APIRequest) -> bytes:
    """The JSON that is about to be sent. Files are noted by `parts_of`, streamed bodies not looked into."""
    options = request.options
    if options.files:
        return b""
    data = cast("object", options.json_data)
    extra = options.extra_json
    if extra:
        data = {**cast("Mapping[str, object]", data), **extra} if isinstance(data, Mapping) else extra
    if isinstance(data, Mapping | list | tuple):
        try:
            return _ENCODER.encode(data)
        except (ValueError, OverflowError):  # half a surrogate pair, or a number beyond 64 bits
            return json.dumps(data, default=str).encode()
    content = getattr(options, "content", None)
    return content if isinstance(content, bytes) else b""


class Asked(TypedDict):
    """A request, as the tap is told it. `before` is what the writer does before it writes it."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes
    call: str | None
    attempt: int
    parts: NotRequired[Iterable[SentPart]]
    before: NotRequired[Callable[[], None]]


def asked_of(request: APIRequest, body: bytes, call: str) -> Asked:
    """A request of the SDK's, whose `json_of` is `body`."""
    options = request.options
    return Asked(
        method=options.method,
        url=options.url,
        headers=[(name, value) for name, value in request.headers.items() if isinstance(value, str)],
        body=body,
        call=call,
        attempt=request.retries_taken,
        parts=parts_of(options.files) if options.files else (),
    )


def parts_of(files: Any) -> list[SentPart]:
    """The files of `options.files`, a mapping or pairs: name to content, or to (filename, content, type, …)."""
    named = cast("Iterable[tuple[str, Any]]", files.items() if isinstance(files, Mapping) else files)
    left, parts = HASHED, list[SentPart]()
    for name, file in named:
        given = cast("tuple[Any, ...]", file) if isinstance(file, tuple) else (None, file)
        filename, content, kind = (*given, None, None)[:3]
        filename = filename if isinstance(filename, str) else _name_of(content)
        data = _bytes_of(content)
        size = len(data) if data is not None else _size_of(content)
        if data is not None and len(data) > left:
            data = None
        left -= len(data or b"")
        parts.append(SentPart(name, filename, kind if isinstance(kind, str) else None, size, data))
    return parts


def _bytes_of(content: object) -> bytes | None:
    """Bytes that are in memory already; not what has to be read."""
    if isinstance(content, str):
        return content.encode("utf-8", "surrogatepass")
    if type(content) is io.BytesIO:
        return content.getvalue()  # shares its memory and leaves its position
    return content if isinstance(content, bytes) else None


def _size_of(content: Any) -> int | None:
    try:
        return os.fstat(content.fileno()).st_size
    except (AttributeError, OSError, TypeError, ValueError):
        return None


def _name_of(content: object) -> str | None:
    name = getattr(content, "name", None)
    return os.path.basename(name) if isinstance(name, str) else None  # noqa: PTH119 - a name, not a path of ours
