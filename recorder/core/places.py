"""Places in a recorded stream, written as one value:

12                  event 12, counted from 0 (`message_start`); -1 is the last one
50%                 the event half way through the stream
text_delta          the first event of that name, type of delta or type of block
text_delta:3        the third after it
2.5s                what arrived 2.5 s after the send, or later
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .payload import as_object, lenient
from .records import Event, Request, StreamRecord
from .wire import payload

_NUMBER = re.compile(r"-?\d{1,9}")
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d+)?)%")
_TIME = re.compile(r"(\d{1,9}(?:\.\d+)?)s")
_KIND = re.compile(r"([A-Za-z_][\w.-]*)(?::(\d{1,9}))?")


def check_place(place: str) -> str:
    """`place`. Raises ValueError for what is none."""
    percent = _PERCENT.fullmatch(place)
    known = (_NUMBER, _TIME, _KIND)
    if not any(one.fullmatch(place) for one in known) and not (percent and float(percent[1]) <= 100):
        raise ValueError(f"{place!r} is no place; 12 (event 12), -1, 50%, text_delta, text_delta:3 and 2.5s are")
    return place


def time_of(place: str) -> int | None:
    """ns since the send, of a place that is a time."""
    found = _TIME.fullmatch(place)
    return round(float(found[1]) * 1e9) if found else None


def find(records: Sequence[StreamRecord], place: str) -> int | None:
    """Position of the record at that place; None when the stream has no such place."""
    if (time := time_of(place)) is not None:
        later = (n for n, one in enumerate(records) if not isinstance(one, Request) and one.at >= time)
        return next(later, None)
    events = [n for n, one in enumerate(records) if isinstance(one, Event)]
    if not events:
        return None
    if _NUMBER.fullmatch(place):
        number = int(place)
        return events[number] if -len(events) <= number < len(events) else None
    if percent := _PERCENT.fullmatch(place):
        return events[min(int(float(percent[1]) / 100 * len(events)), len(events) - 1)]
    kind = _KIND.fullmatch(place)
    assert kind is not None, "places are checked when they are given"
    named = [n for n in events if _is_called(records[n], kind[1])]
    number = int(kind[2] or 0)
    return named[number] if number < len(named) else None


def _is_called(record: StreamRecord, name: str) -> bool:
    if not isinstance(record, Event):
        return False
    if name in (record.event, record.delta):
        return True
    return record.event is None and (as_object(lenient(payload(record))) or {}).get("type") == name
