"""What an invented recording is to hold, written as JSON Lines: `recorder make --script`.

    {"prompt": "Weather in Paris?", "model": "claude-haiku-4-5", "max_tokens": 1024}
    {"thinking": "I should look it up."}
    {"text": "One moment."}
    {"wait": 2.5}
    {"tool": "get_weather", "input": {"city": "Paris"}}

    prompt        begins a call; beside it `model`, `max_tokens`, `system`, `tags`, and `request`, an object of
                  more fields of the body (or all of it: then without `prompt`)
    text, thinking, tool    a block; one of the type of the block before goes on with it
    wait          seconds of silence
    event         any payload, as it stands: {"event": {"type": "ping"}}
    refused       a status: an attempt is answered by it first, and the call is sent again
    stop_reason   instead of `end_turn`, or `tool_use`
    error         the type of an `error` event that ends the stream, with a `message`
    end           how else it ends: truncated, failed, timeout, closed, lost

Each line has one of these, in the order in which things happen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, cast, get_args

from msgspec import Struct, field

HowItEnds = Literal["complete", "truncated", "failed", "timeout", "closed", "lost", "error_event"]
Step = Mapping[str, Any]
MODEL = "claude-haiku-4-5"
MAX_TOKENS = 1024
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_OF_CALL = {"prompt", "model", "max_tokens", "system", "tags", "request"}
_OF = {
    "text": {"text"},
    "thinking": {"thinking"},
    "tool": {"tool", "input"},
    "wait": {"wait"},
    "event": {"event"},
    "refused": {"refused"},
    "stop_reason": {"stop_reason"},
    "error": {"error", "message"},
    "end": {"end"},
}
_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("prompt", "model", "system", "text", "thinking", "tool", "stop_reason"), str),
    **dict.fromkeys(("error", "message", "end"), str),
    **dict.fromkeys(("request", "input", "event", "tags"), dict),
    "max_tokens": int,
    "refused": int,
    "wait": (int, float),
}


class ScriptError(ValueError):
    """A line of a script cannot be meant: says which, and why."""


class Call(Struct):
    """One call: what is asked, which attempts are refused first, what comes, and how it ends."""

    request: dict[str, Any]
    tags: dict[str, str] | None = None
    refused: list[int] = field(default_factory=list[int])
    steps: list[Step] = field(default_factory=list[Step])
    stop_reason: str | None = None
    end: HowItEnds = "complete"
    error: tuple[str, str] = ("", "")


def call_of(
    prompt: str, *, model: str = MODEL, max_tokens: int = MAX_TOKENS, system: str | None = None, **more: Any
) -> Call:
    """A call that streams, as the SDK asks it: `more` are further fields of its body."""
    body: dict[str, Any] = {
        "max_tokens": max_tokens,
        "messages": [{"role": "user", "content": prompt}],
        "model": model,
        **({"system": system} if system is not None else {}),
        **more,
        "stream": True,
    }
    return Call(body)


def read_script(lines: Iterable[str], name: str, **defaults: Any) -> list[Call]:
    """The calls of a script; `defaults` are `model`, `max_tokens` and `system` where a call says nothing.

    Raises ScriptError, which begins with `name` and the number of the line.
    """
    calls: list[Call] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            step = json.loads(line)
        except ValueError as error:
            raise ScriptError(f"{name}:{number}: not JSON: {error}") from None
        try:
            take_step(calls, step, defaults)
        except ScriptError as error:
            raise ScriptError(f"{name}:{number}: {error}") from None
    if not calls:
        raise ScriptError(f"{name}: an empty script: its first line is {{'prompt': ...}}".replace("'", '"'))
    return calls


def take_step(calls: list[Call], step: Any, defaults: Mapping[str, Any]) -> None:
    """Add what one line of a script says to the calls before it. Raises ScriptError."""
    if not isinstance(step, dict):
        raise ScriptError("not an object")
    fields = cast("dict[str, Any]", step)
    begins = "prompt" in fields or "request" in fields
    kind = "prompt" if begins else next((name for name in _OF if name in fields), None)
    if kind is None:
        raise ScriptError(f"says none of prompt, {', '.join(_OF)}")
    _check(fields, _OF_CALL if begins else _OF[kind], kind)
    if begins:
        calls.append(_begun(fields, defaults))
    elif not calls:
        raise ScriptError(f"{kind} before the first prompt")
    else:
        _add(calls[-1], kind, fields)


def _check(fields: dict[str, Any], known: set[str], kind: str) -> None:
    if unknown := [name for name in fields if name not in known]:
        raise ScriptError(f"{unknown[0]!r} does not go with {kind}")
    for name, value in fields.items():
        wanted = _TYPES[name]
        if not isinstance(value, wanted) or isinstance(value, bool):
            one = wanted if isinstance(wanted, type) else wanted[-1]
            named = {str: "a string", dict: "an object", int: "a whole number", float: "a number"}[one]
            raise ScriptError(f"{name} is {json.dumps(value, ensure_ascii=False)[:40]}; it is {named}")


def _begun(fields: dict[str, Any], defaults: Mapping[str, Any]) -> Call:
    body = fields.get("request", {})
    given = {name: fields[name] for name in ("model", "max_tokens", "system") if name in fields}
    if "prompt" in fields:
        call = call_of(fields["prompt"], **{**defaults, **given, **body})
    elif isinstance(body.get("messages"), list) and isinstance(body.get("model"), str):
        call = Call({**body, **given, "stream": True})
    else:
        raise ScriptError("request has no messages or no model; or give a prompt")
    call.tags = {str(key): str(value) for key, value in fields.get("tags", {}).items()} or None
    return call


def _add(call: Call, kind: str, fields: dict[str, Any]) -> None:
    if call.end != "complete":
        raise ScriptError(f"{kind} after the end of its stream")
    take: dict[str, Callable[[], None]] = {
        "refused": lambda: _refuse(call, fields["refused"]),
        "stop_reason": lambda: setattr(call, "stop_reason", fields["stop_reason"]),
        "error": lambda: _fail(call, fields),
        "end": lambda: _end(call, fields["end"]),
    }
    if kind == "wait" and not 0 <= fields["wait"] <= 86_400:
        raise ScriptError(f"wait is {fields['wait']}; it is a number of seconds, a day at most")
    if kind == "event" and not _NAME.fullmatch(str(fields["event"].get("type", ""))):
        raise ScriptError("event has no type that is a name")
    take.get(kind, lambda: call.steps.append(fields))()


def _refuse(call: Call, status: int) -> None:
    if not 400 <= status <= 599:
        raise ScriptError(f"refused is {status}; it is a status from 400 to 599")
    if call.steps:
        raise ScriptError("refused after the answer has begun")
    call.refused.append(status)


def _fail(call: Call, fields: dict[str, Any]) -> None:
    call.end, call.error = "error_event", (fields["error"], fields.get("message", ""))


def _end(call: Call, how: str) -> None:
    known = [one for one in get_args(HowItEnds) if one != "error_event"]
    if how not in known:
        raise ScriptError(f"end is {how!r}; it is one of {', '.join(known)}")
    call.end = cast("HowItEnds", how)
