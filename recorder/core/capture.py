"""What of a record is kept: the user's own rules, and recordings without text. Records in, records out.

It works on finished records, so the tap and `recorder redact` do the same to a stream and to a file.

`timing` keeps what the metrics need (types, sizes, usage, stop reasons, times) and what a request asks for in
numbers and names; nothing that a person or a model wrote: an allow-list, so that a field of the future is left
out. What is left out of an event or a body leaves its size behind (`size`), so that chunks and totals can still
be checked.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from . import aws, wire
from .framing import block_of
from .payload import as_object, is_strict, lenient, read
from .records import (
    NO_DATA,
    Bytes,
    End,
    ErrorInfo,
    Event,
    Gap,
    Request,
    Response,
    StreamRecord,
    Summary,
)
from .rules import Given, Rule, RuleError, rule_of

Mode = Literal["full", "timing"]
"""`full`: everything but secrets. `timing`: no prompt, no output, no free text."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@/+\-]{0,199}")
"""What may stand where a name is expected: an id, a type, a model. Words in a row are no name."""
_OF_REQUEST = frozenset(
    {
        "model", "max_tokens", "max_tokens_to_sample", "stream", "temperature", "top_p", "top_k", "service_tier",
        "speed", "inference_geo", "anthropic_version", "anthropic_beta", "betas",
    }
)  # fmt: skip
_NESTED = {"thinking": {"type", "budget_tokens", "display"}, "tool_choice": {"type"}, "output_config": {"effort"}}
"""Parameters that are objects, and what of them is kept."""


class Capture:
    """Applies the rules, then the mode, to each record. Never raises for what a rule does.

    `failed` is called with a rule that raised: its record then goes on without its payload. Raises ValueError
    for an unknown mode and for what is no rule.
    """

    def __init__(
        self,
        mode: Mode = "full",
        rules: Iterable[Given] = (),
        *,
        failed: Callable[[RuleError], None] = lambda _: None,
    ) -> None:
        if mode not in ("full", "timing"):
            raise ValueError(f"capture is {mode!r}; it is 'full' or 'timing'")
        self._timing = mode == "timing"
        self._rules: Sequence[Rule] = [rule_of(one, n) for n, one in enumerate(rules, 1)]
        self._failed = failed
        self._in_pieces: set[str] = set()
        """Streams of which a piece was no JSON of its own, and so was left out: what follows is, too."""

    @property
    def changes(self) -> bool:
        """Whether it does anything at all."""
        return self._timing or bool(self._rules)

    def __call__(self, record: StreamRecord) -> StreamRecord:
        """What is kept of `record`."""
        for rule in self._rules:
            if rule.needs_json and self._is_part(record):
                return marked(_without_payload(record), (rule.name,))
            try:
                record = _ruled(record, rule)
            except Exception as error:
                self._failed(RuleError(rule.name, error))
                return marked(_without_payload(record), (f"{rule.name} failed",))
        return _without_text(record) if self._timing else record

    def _is_part(self, record: StreamRecord) -> bool:
        """Whether its payload is a part of JSON, in which no path leads anywhere."""
        if isinstance(record, End):
            self._in_pieces.discard(record.stream)
        if not isinstance(record, Request | Event | Bytes):
            return False
        payload = wire.payload(record)
        if record.stream not in self._in_pieces and (b"{" not in payload or lenient(payload) is not None):
            return False
        if isinstance(record, Bytes):
            self._in_pieces.add(record.stream)
        return True


def _ruled(record: StreamRecord, rule: Rule) -> StreamRecord:
    """`record` after one of the user's rules."""
    changed: dict[str, Any] = {}
    match record:
        case Request():
            changed = _payload_changes(record, rule)
            for name in ("url", "tags", "parts"):
                changed |= _changes(record, name, rule)
        case Response():
            changed = _changes(record, "url", rule)
        case Event() | Bytes():
            changed = _payload_changes(record, rule)
        case End():
            for name in ("url", "error", "summary"):
                changed |= _changes(record, name, rule)
            if record.summary and record.summary.error:
                changed |= _error_changes(record.summary, record.summary.error, rule)
        case _:
            pass
    return marked(replace(record, **changed), (rule.name,)) if changed else record


def _changes(record: StreamRecord, name: str, rule: Rule) -> dict[str, Any]:
    """The field `name` after a rule on strings, if that changes it."""
    value = getattr(record, name)
    if value is None:
        return {}
    kept = rule.in_field(msgspec.to_builtins(value))
    if isinstance(value, Summary | ErrorInfo):
        kept = msgspec.convert(kept, type(value))
    return {} if kept == value else {name: kept}


def _error_changes(summary: Summary, error: ErrorInfo, rule: Rule) -> dict[str, Any]:
    """The summary repeats the error of a payload: it is treated as that was."""
    given = {"type": "error", "error": {"type": error.type, "message": error.message}}
    kept = as_object((as_object(rule.in_payload(given)) or {}).get("error")) or {}
    said = ErrorInfo(type=str(kept.get("type", "error")), message=str(kept.get("message", "")))
    return {} if said == error else {"summary": replace(summary, error=said)}


def _payload_changes(record: Request | Event | Bytes, rule: Rule) -> dict[str, Any]:
    payload = wire.payload(record)
    if not payload:
        return {}
    value = lenient(payload)
    text = payload.decode("utf-8", "replace")
    kept = rule.in_payload(text if value is None and payload != b"null" else value)
    if kept == (text if value is None else value) and not (
        isinstance(record, Event) and rule.changes(_odd(record))
    ):
        return {}
    return with_payload(record, kept.encode() if isinstance(kept, str) and value is None else _encoded(kept))


def _odd(event: Event) -> list[str]:
    """Text of an event beside its payload: comments, unknown fields, an id."""
    return [*(event.frame or ()), event.raw or "", event.id or ""]


def with_payload(record: Request | Event | Bytes, payload: bytes) -> dict[str, Any]:
    """Fields of `record` with another payload, spelt in the usual way or framed as before."""
    strict = is_strict(payload)
    data = Raw(payload) if strict and payload else NO_DATA
    fields: dict[str, Any] = {
        "data": data,
        "text": None if data is not NO_DATA else payload.decode("utf-8"),
        "base64": None,
    }
    if isinstance(record, Event):
        if record.base64 is not None and (block := block_of(wire.wire(record))) is not None and block.framed:
            fields["base64"] = b64encode(aws.with_payload(block.wire, payload).wire).decode("ascii")
        said = read(record.event, payload)
        fields |= {"frame": None, "raw": None, "id": None, "retry": None}
        fields |= {"block": said.block, "delta": said.delta, "chars": said.chars}
    return fields


def _encoded(value: object) -> bytes:
    return msgspec.json.encode(value)


_R = TypeVar("_R", bound=StreamRecord)


def marked(record: _R, names: tuple[str, ...]) -> _R:
    """`record` with the names of rules that changed it."""
    if isinstance(record, Gap):
        return record
    before = record.redacted or ()
    return replace(record, redacted=(*before, *(name for name in names if name not in before)))


def _without_text(record: StreamRecord) -> StreamRecord:
    """What is left of a record in a recording of times."""
    match record:
        case Request():
            return _request(record)
        case Event() | Bytes():
            return _sized(record)
        case End():
            return replace(record, error=_error(record.error), summary=_summary(record.summary))
        case _:
            return record


def _without_payload(record: StreamRecord) -> StreamRecord:
    """What is left of a record when it is not known what a rule would have left of its payload."""
    if isinstance(record, Request):
        return replace(record, data=NO_DATA, text=None, base64=None)
    return _without_text(record)


def _request(request: Request) -> Request:
    fields = as_object(lenient(wire.payload(request)))
    kept = {name: item for name, value in (fields or {}).items() if (item := _parameter(name, value)) is not None}
    data = Raw(_encoded(kept)) if kept else NO_DATA
    parts = tuple(replace(part, filename=None) for part in request.parts) if request.parts else None
    return marked(replace(request, data=data, text=None, base64=None, parts=parts), ("timing",))


def _parameter(name: str, value: object) -> object:
    if name in _NESTED:
        items = (as_object(value) or {}).items()
        return {key: item for key, item in items if key in _NESTED[name] and _is_plain(item)} or None
    if name not in _OF_REQUEST:
        return None
    if isinstance(value, list):
        return [item for item in cast("list[object]", value) if _is_plain(item)]
    return value if _is_plain(value) else None


def _is_plain(value: object) -> bool:
    """A number, true, false, or a name."""
    if isinstance(value, str):
        return _NAME.fullmatch(value) is not None
    return isinstance(value, float | int)


def _sized(record: Event | Bytes) -> Event | Bytes:
    size = record.size if record.size is not None else len(wire.wire(record))
    fields: dict[str, Any] = {"data": NO_DATA, "text": None, "base64": None, "size": size}
    if isinstance(record, Event):
        fields |= {
            "event": _name(record.event),
            "delta": _name(record.delta),
            "frame": None,
            "raw": None,
            "id": None,
        }
    return replace(record, **fields)


def _name(value: str | None) -> str | None:
    return value if value is not None and _NAME.fullmatch(value) else None


def _error(error: ErrorInfo | None) -> ErrorInfo | None:
    return error and ErrorInfo(type=_name(error.type) or "error", message="")


def _summary(summary: Summary | None) -> Summary | None:
    if summary is None:
        return None
    return Summary(
        id=_name(summary.id),
        model=_name(summary.model),
        stop_reason=_name(summary.stop_reason),
        usage=_numbers(summary.usage) if summary.usage else None,
        error=_error(summary.error),
    )


def _numbers(usage: Mapping[str, object]) -> dict[str, object]:
    """Of what was used, the numbers and names, however deep."""
    kept: dict[str, object] = {}
    for name, value in usage.items():
        inner = as_object(value)
        if _NAME.fullmatch(name) and (inner is not None or _is_plain(value)):
            kept[name] = _numbers(inner) if inner is not None else value
    return kept
