"""`recorder make`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .errors import Exit, Failure, note
from .text import count, seconds

if TYPE_CHECKING:
    from recorder.hygiene.script import Call

_PATH = click.Path(path_type=Path, allow_dash=True)
_INT = click.IntRange(min=0)


@click.command
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--text", help="The answer.")
@click.option("--text-file", type=_PATH, metavar="FILE", help="The answer, from a file; - is standard input.")
@click.option("--script", type=_PATH, metavar="FILE", help="Calls and answers, step by step; - is standard input.")
@click.option("--prompt", help="What is asked.  [default: Say something.]")
@click.option("--model", default="claude-haiku-4-5", show_default=True, help="Who answers, and how fast.")
@click.option("--max-tokens", type=click.IntRange(min=1), default=1024, show_default=True, help="As it is asked.")
@click.option("--system", help="The system prompt, as it is asked.  [default: none]")
@click.option("--seed", type=_INT, metavar="N", help="The same seed makes the same streams.  [default: drawn]")
def make(target: Path, seed: int | None, **said: Any) -> None:
    """Make a recording of an answer that you write, in realistic times.

    For who has no API key: OUT answers `client.messages.stream(model=..., max_tokens=..., messages=[{"role":
    "user", "content": PROMPT}])` by the text, in deltas of some words, at the pace of the model by public
    measurements. It says that it is synthetic. OUT must not be there, and ends in .jsonl.

    A script is JSON Lines. A line with a prompt begins a call (beside it model, max_tokens, system, tags, and
    request, an object of more fields of the body); what follows is its answer, one thing a line: text,
    thinking, or tool with its input; wait, seconds of silence; event, any payload; refused, a status by which
    an attempt is answered first; stop_reason; error, the type of an error event, with a message; end:
    truncated, failed, timeout, closed or lost.

    \b
    recorder make hello.jsonl --prompt Hi --text 'Hello, how can I help?'
    recorder make tool.jsonl --seed 7 --script - <<'END'
    {"prompt": "Weather in Paris?"}
    {"thinking": "I should look it up."}
    {"wait": 2.5}
    {"tool": "get_weather", "input": {"city": "Paris"}}
    END
    """
    from recorder.hygiene.make import make as make_recording
    from recorder.hygiene.script import ScriptError

    try:
        made = make_recording(target, _calls(**said), seed=seed)
    except ScriptError as error:
        raise Failure(str(error), Exit.USAGE) from None
    note(
        f"{target}: synthetic, {count(made.streams, 'stream')}, {count(made.events, 'event')}, "
        f"{seconds(made.seconds)} s, seed {made.seed}"
    )


def _calls(
    *, text: str | None, text_file: Path | None, script: Path | None, prompt: str | None, **defaults: Any
) -> list[Call]:
    """What is asked and answered. Raises UsageError, and ScriptError for a script that says no such thing."""
    from recorder.hygiene.script import call_of, read_script

    if sum(given is not None for given in (text, text_file, script)) != 1:
        raise click.UsageError("give one of --text, --text-file and --script")
    if script is None:
        call = call_of("Say something." if prompt is None else prompt, **defaults)
        call.steps.append({"text": text if text_file is None else _read(text_file)})
        return [call]
    if prompt is not None:
        raise click.UsageError("--prompt goes with a text; a script has its own prompts")
    return read_script(_read(script).split("\n"), _named(script), **defaults)


def _named(path: Path) -> str:
    return "standard input" if _is_dash(path) else str(path)


def _is_dash(path: Path) -> bool:
    return str(path) == "-"


def _read(path: Path) -> str:
    """Raises Failure for what is no UTF-8."""
    data = sys.stdin.buffer.read() if _is_dash(path) else path.read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Failure(f"{_named(path)}: not UTF-8 at byte {error.start}", Exit.USAGE) from None
