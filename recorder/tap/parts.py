"""What a request sends, its JSON or its files, without reading a stream that the SDK is about to read."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from recorder.log.items import SentPart

if TYPE_CHECKING:
    from anthropic import APIRequest

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
            return msgspec.json.encode(data, enc_hook=str)
        except (ValueError, OverflowError):  # half a surrogate pair, or a number beyond 64 bits
            return json.dumps(data, default=str).encode()
    content = getattr(options, "content", None)
    return content if isinstance(content, bytes) else b""


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
