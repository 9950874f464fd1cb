"""What other tools have kept becomes a recording: each file a segment, sealed, without secrets."""

from __future__ import annotations

import os
import re
import secrets as random
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from recorder.core.capture import Capture
from recorder.core.lines import encode_line
from recorder.core.records import FORMAT, VERSION, Event, Header, Request, StreamRecord
from recorder.core.redact import Secrets
from recorder.core.rules import Given, RuleError
from recorder.log.files import RecordingError
from recorder.log.items import Stats
from recorder.log.segment import Segment
from recorder.version import __version__

from .exchange import Exchange
from .limits import Refused, Room, read_file, read_stream
from .read import Format, read_exchanges

STDIN = Path("-")
_ENDINGS = re.compile(r"(?:\.(?:ya?ml|json|jsonl|har|sse|txt|http|gz))+$", re.IGNORECASE)


class Imported(Struct, frozen=True):
    """What became of one file: the segment, and how many streams are in it and were left out."""

    path: Path
    streams: int
    left_out: int
    """Neither to Claude nor streams of events."""


def names_of(sources: Iterable[Path]) -> list[str]:
    """What the segments of these files are called: as the files, and no two alike."""
    taken: dict[str, int] = {}
    names: list[str] = []
    for source in sources:
        name = "stdin" if source == STDIN else _ENDINGS.sub("", source.name) or source.name
        taken[name] = nth = taken.get(name, 0) + 1
        names.append(f"{name}-{nth}" if nth > 1 else name)
    return names


def import_file(
    source: Path,
    target: Path,
    *,
    form: Format | None = None,
    everything: bool = False,
    request: bytes | None = None,
    url: str | None = None,
    rules: Sequence[Given] = (),
    secrets: Secrets,
    failed: Callable[[RuleError], None],
) -> Imported:
    """Make the segment `target` of a file (`-`: of the standard input) in another tool's format.

    `form` says which, where it cannot be seen. Exchanges that are neither with Claude nor streams of events are
    left out, unless `everything` is wanted. `request` and `url` are those of files that do not hold any. All of a
    file or nothing is imported. Raises RecordingError for a file that cannot be, or was already; OSError.
    """
    try:
        data = read_stream(sys.stdin.buffer) if source == STDIN else read_file(source)
        exchanges = read_exchanges(data, form)
        wanted = [_asked(one, request, url) for one in exchanges if everything or one.is_wanted]
        if not wanted:
            raise Refused("holds no call to Claude and no stream of events" if exchanges else "holds nothing")
        kept = Capture("full", rules, failed=failed)
        records = (one for made in _streams(wanted, secrets) for one in map(kept, made))
        _write(target, wanted[0].source, records)
    except Refused as refused:
        raise RecordingError(source, refused.reason, refused.hint) from None
    except FileExistsError:
        raise RecordingError(
            source, f"{target} is there already", "nothing was written; name another place"
        ) from None
    return Imported(target, len(wanted), len(exchanges) - len(wanted))


def _asked(one: Exchange, request: bytes | None, url: str | None) -> Exchange:
    """With the request that the user gave, where the file has none."""
    if "request" not in one.missing or (request is None and url is None):
        return one
    missing = tuple(name for name in one.missing if name != "request" or request is None)
    return replace(one, body=request or b"", url=url or one.url, missing=missing)


def _streams(exchanges: Iterable[Exchange], secrets: Secrets) -> Iterator[list[StreamRecord]]:
    room = Room()
    calls: dict[tuple[bytes, int], str] = {}
    exchanges = list(exchanges)
    for one in exchanges:
        one.learn(secrets)
    for number, one in enumerate(exchanges):
        stream = random.token_hex(8)
        attempt = one.attempt
        call = calls.pop((one.asked, attempt - 1), stream)
        calls[one.asked, attempt] = call
        yield one.records(stream=stream, call=call, mono=number, secrets=secrets, room=room)


def _write(path: Path, source: str, records: Iterable[StreamRecord]) -> None:
    """All of it, sealed, or nothing. Raises OSError."""
    segment = Segment.create(path, _header(source))
    stats = Stats()
    try:
        for record in records:
            _append(segment, encode_line(record), stats)
            stats.streams += isinstance(record, Request)
            stats.events += isinstance(record, Event)
        segment.end(msgspec.to_builtins(stats))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        segment.close()


def _append(segment: Segment, line: bytes, stats: Stats) -> None:
    view = memoryview(line)
    while view:
        view = view[segment.write(view) :]
    stats.lines += 1
    stats.written_bytes += len(line)


def _header(source: str) -> Header:
    return Header(
        format=FORMAT,
        v=VERSION,
        segment=random.token_hex(8),
        wall=time.time_ns(),
        mono=0,  # streams of a file are numbered instead: their order is known, their times are not
        recorder=__version__,
        pid=os.getpid(),
        source=source,
    )
