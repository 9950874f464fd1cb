"""A line of the log written again with other values: what this version does not know stays as it stands."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from .lines import encode_line
from .records import Record

_fields = msgspec.json.Decoder(dict[str, Raw]).decode


def rewritten(line: bytes, old: Record, new: Record) -> bytes:
    """`line`, which is `old`, as `new`. Fields that did not change are copied, those of no known name too."""
    if old == new:
        return line
    was, now = _fields(line), _fields(encode_line(new))
    for name in now:
        if name in was and getattr(old, name, None) == getattr(new, name, None):
            now[name] = was[name]
    known = {"kind", *type(new).__struct_fields__}
    return _line({**now, **{name: value for name, value in was.items() if name not in known}})


def with_fields(line: bytes, **values: object) -> bytes:
    """`line`, of any kind, with other values in fields that it has."""
    was = _fields(line)
    changed = {name: Raw(msgspec.json.encode(value)) for name, value in values.items() if name in was}
    return _line({**was, **changed})


def _line(fields: dict[str, Raw]) -> bytes:
    members = (msgspec.json.encode(name) + b":" + bytes(value) for name, value in fields.items())
    return b"{" + b",".join(members) + b"}\n"
