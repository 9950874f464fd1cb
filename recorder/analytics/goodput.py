"""Goodput: the share of the calls sent that met every limit given. What failed, or never answered, did not."""

from __future__ import annotations

import re
from fractions import Fraction

from msgspec import Struct

from .report import Tables
from .selection import Selection

LIMITS = {
    "ttft": "ttft_call_s <= {0}",
    "ttft_text": "ttft_text_call_s <= {0}",
    "gap": "coalesce(gap_max_s <= {0}, outcome = 'complete')",
    "tpot": "coalesce(tpot_s <= {0}, outcome = 'complete')",
    "duration": "duration_call_s <= {0}",
}
"""What may be limited, in seconds, as SQL over a call and its last attempt. A call without the number did not
meet the limit; but a complete one may be too short to have a gap or a time per token."""
COMPLETE = "complete"
_UNITS_S = {"us": Fraction(1, 1_000_000), "ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60)}
_LIMIT = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(us|ms|s|m)")
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)%")


class Slo(Struct, frozen=True):
    """`limits`: seconds by name (see LIMITS); `complete`: the terminal event must have been seen."""

    limits: dict[str, float]
    complete: bool = False

    @property
    def names(self) -> list[str]:
        return [*self.limits, *([COMPLETE] if self.complete else [])]


class Goodput(Struct, kw_only=True):
    """Of all calls (`group` None) or those of one group that asked for a stream.

    A call belongs to the group of its last attempt.
    """

    group: str | None
    calls: int
    met: int
    """Every limit."""
    missed: dict[str, int]
    """Calls that missed a limit, by its name; a call may have missed several."""

    @property
    def goodput(self) -> float | None:
        """None of no calls."""
        return self.met / self.calls if self.calls else None

    def reaches(self, share: Fraction) -> bool:
        """Exactly: 99 of 100 calls reach 99 %."""
        return self.calls > 0 and Fraction(self.met, self.calls) >= share


def parse_slo(text: str) -> Slo:
    """`ttft=2s,gap=1s,tpot=50ms,duration=30s,complete`. Raises ValueError, with what is wrong."""
    limits: dict[str, float] = {}
    complete = False
    for part in text.split(","):
        name, is_limit, value = part.strip().partition("=")
        if name == COMPLETE and not is_limit:
            complete = True
            continue
        found = _LIMIT.fullmatch(value.strip())
        if name not in LIMITS or found is None:
            raise ValueError(f"{part.strip()!r} is no limit; {', '.join(LIMITS)} =2s or =50ms, and complete, are")
        if name in limits:
            raise ValueError(f"{name} is limited twice")
        limits[name] = float(Fraction(found[1]) * _UNITS_S[found[2]])
    return Slo(limits, complete)


def parse_share(text: str) -> Fraction:
    """`99%`, `99.5%`. Raises ValueError."""
    found = _SHARE.fullmatch(text)
    share = Fraction(found[1]) / 100 if found else None
    if share is None or share > 1:
        raise ValueError(f"{text!r} is no share; 99% and 99.5% are")
    return share


def goodput(tables: Tables, slo: Slo, selection: Selection | None = None) -> list[Goodput]:
    """All calls together first, then by group. Raises QueryError."""
    selection = selection or Selection()
    met = [LIMITS[name].format(repr(limit)) for name, limit in slo.limits.items()]
    met += ["outcome = 'complete'"] if slo.complete else []
    names = slo.names
    columns = ", ".join(f"coalesce({one}, false) AS met_{n}" for n, one in enumerate(met))
    missed = ", ".join(f"count(*) FILTER (NOT met_{n})" for n in range(len(names)))
    every = " AND ".join(f"met_{n}" for n in range(len(names)))
    query = _GOODPUT.format(selection.sql(), columns, every, missed, selection.order())
    return [
        Goodput(group=group, calls=calls, met=good, missed=dict(zip(names, counts, strict=True)))
        for group, calls, good, *counts in tables.query(query).rows
    ]


_GOODPUT = """
WITH {0},

sent AS (
    SELECT
        chosen.grp,
        chosen.outcome,
        chosen.gap_max_s,
        chosen.tpot_s,
        c.ttft_call_s,
        c.ttft_call_s - chosen.ttft_s + chosen.ttft_text_s AS ttft_text_call_s,
        c.duration_call_s
    FROM calls AS c
    INNER JOIN chosen USING (stream)
    WHERE chosen.streaming
),

judged AS (SELECT grp, {1} FROM sent)

SELECT grp, count(*) AS streams, count(*) FILTER ({2}), {3}
FROM judged
GROUP BY GROUPING SETS ((), (grp))
ORDER BY grouping(grp) DESC, {4}
"""
