"""Which format a file is in, by what stands in it, and what it holds."""

from __future__ import annotations

import re
from typing import Literal, TypeVar

import msgspec
from msgspec import Raw, Struct

from .ant import read_ant
from .exchange import Exchange
from .har import read_har
from .limits import Refused
from .sse import read_sse
from .vcr import read_vcr_json, read_vcr_yaml

Format = Literal["sse", "ant", "vcr", "har"]

_BOM = b"\xef\xbb\xbf"
_EVENT_STREAM = re.compile(rb"(?:event|data|id|retry)?:")
_FIRST_LINE = 1 << 20


class _Line(Struct):
    type: str | None = None
    kind: str | None = None
    format: str | None = None


class _Document(Struct):
    log: Raw = Raw(b"")


def read_exchanges(data: bytes, form: Format | None = None) -> list[Exchange]:
    """What the file holds, in `form`, or in the format that it is seen to be in. Raises Refused."""
    if not data.strip():
        raise Refused("is empty")
    text = data.removeprefix(_BOM).lstrip()
    match form or _format_of(text):
        case "sse":
            return read_sse(data)
        case "ant":
            return read_ant(text)
        case "har":
            return read_har(text)
        case "vcr":
            return read_vcr_json(text) if text[:1] == b"{" else read_vcr_yaml(text)


def _format_of(text: bytes) -> Format:
    if text.startswith(b"HTTP/") or _EVENT_STREAM.match(text):
        return "sse"
    if text[:1] != b"{":
        return "vcr"
    line = _decoded(text.partition(b"\n")[0][:_FIRST_LINE], _Line)
    if line is not None and line.kind == "header":
        raise Refused("is a recording already", "use it as it is")
    if line is not None and line.type is not None:
        return "ant"
    document = _decoded(text, _Document)
    return "har" if document is not None and bytes(document.log) else "vcr"


T = TypeVar("T")


def _decoded(text: bytes, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
