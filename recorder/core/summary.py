"""What the payloads of a stream said, in one record: id, model, stop reason, usage, the API's own error."""

from __future__ import annotations

from typing import Any

from .payload import as_object, lenient
from .records import ErrorInfo, Summary


class Summarizer:
    """Takes the payloads of one stream as they come; `record()` is what they said."""

    def __init__(self) -> None:
        self.stopped = False
        self._id: str | None = None
        self._model: str | None = None
        self._stop_reason: str | None = None
        self._usage: dict[str, object] = {}
        self._error: ErrorInfo | None = None

    def event(self, name: str | None, value: dict[str, Any]) -> None:
        match value.get("type") or name:
            case "message_start":
                self._message(value.get("message"), partial=True)
            case "message_delta":
                self._take_stop(value.get("delta"))
                self._take_usage(value.get("usage"))
            case "message_stop":
                self.stopped = True
            case "error":
                self._take_error(value)
            case "completion":
                self._take_stop(value)
                self._model = _text(value.get("model")) or self._model
                self.stopped = self.stopped or value.get("stop_reason") is not None
            case _:
                pass

    def body(self, data: bytes, status: int) -> None:
        """A body that is no event stream: a whole message, or an error."""
        value = as_object(lenient(data))
        if value is None:
            return
        if status >= 400 or value.get("type") == "error":
            self._take_error(value)
        else:
            self._message(value, partial=False)

    def record(self) -> Summary | None:
        summary = Summary(
            id=self._id,
            model=self._model,
            stop_reason=self._stop_reason,
            usage=self._usage or None,
            error=self._error,
        )
        return None if summary == Summary() else summary

    def _message(self, message: object, *, partial: bool) -> None:
        fields = as_object(message)
        if fields is None:
            return
        self._id = _text(fields.get("id"))
        self._model = _text(fields.get("model"))
        self._take_stop(fields)
        self._take_usage(fields.get("usage"))
        if partial:
            self._usage.pop("output_tokens", None)  # a placeholder until message_delta

    def _take_stop(self, fields: object) -> None:
        self._stop_reason = _text((as_object(fields) or {}).get("stop_reason")) or self._stop_reason

    def _take_usage(self, usage: object) -> None:
        items = (as_object(usage) or {}).items()
        self._usage.update({name: value for name, value in items if value is not None})

    def _take_error(self, value: dict[str, Any]) -> None:
        fields = as_object(value.get("error")) or value
        self._error = ErrorInfo(
            type=_text(fields.get("type")) or "error", message=_text(fields.get("message")) or ""
        )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
