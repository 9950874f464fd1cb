"""Which streams a question is about, and by what they are told apart: the beginning of a query."""

from __future__ import annotations

import re

from msgspec import Struct

from .quoting import literal

_TAG = "tag:"
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_GROUPS = {
    "model": "coalesce(request_model, model, '(unknown)')",
    "hour": "strftime(wall, '%Y-%m-%dT%H:00Z')",
    "day": "strftime(wall, '%Y-%m-%d')",
    "hour-of-day": "strftime(wall, '%H:00Z')",
}
_TIMES = ("hour", "day", "hour-of-day")
"""Groups whose order is that of time, not of size."""
NO_GROUP = "(none)"
"""The group of streams that have no such tag, or NULL in that column."""


class Selection(Struct, kw_only=True, frozen=True):
    """Streams, grouped.

    `by`: `model` (the one that was asked for; the one that answered often has another name), `hour`, `day`,
    `hour-of-day` (UTC), `tag:NAME`, or a column of `streams`. `since_ns`, `until_ns`: Unix time in ns, of the
    send; from the one, and before the other. `where`: a condition in SQL over the columns of `streams`.

    Raises ValueError for a `by` that is none of these.
    """

    by: str = "model"
    since_ns: int | None = None
    until_ns: int | None = None
    where: str | None = None

    def __post_init__(self) -> None:
        if not (self.by.removeprefix(_TAG) if self.by.startswith(_TAG) else _is_group(self.by)):
            raise ValueError(f"{self.by!r} is none of {', '.join(_GROUPS)}, tag:NAME, a column of streams")

    def sql(self) -> str:
        """A CTE `chosen`: the rows of `streams`, with `grp`, and whether it was to be a stream (`streaming`)."""
        conditions = ["call IS NOT NULL"]
        conditions += [f"wall_ns >= {self.since_ns:d}"] if self.since_ns is not None else []
        conditions += [f"wall_ns < {self.until_ns:d}"] if self.until_ns is not None else []
        conditions += [f"(\n{self.where}\n)"] if self.where else []  # a comment in it ends with its line
        return f"""
chosen AS (
    SELECT
        *,
        coalesce(CAST({self._group()} AS VARCHAR), '{NO_GROUP}') AS grp,
        coalesce(streamed, request_model IS NULL) OR events > 0 AS streaming
    FROM streams
    WHERE {" AND ".join(conditions)}
)"""  # noqa: S608 - a condition of the user's own, over tables of the user's own

    @property
    def label(self) -> str:
        """What the groups are, as the name of a column beside others."""
        return self.by if self.by in _GROUPS or self.by.startswith(_TAG) else f"streams.{self.by}"

    def order(self) -> str:
        """How groups follow each other, by `grp` and the number of their `streams`."""
        return "grp" if self.by in _TIMES else "streams DESC, grp"

    def _group(self) -> str:
        if self.by.startswith(_TAG):
            return f"tags[{literal(self.by.removeprefix(_TAG))}]"
        return _GROUPS.get(self.by) or f'"{self.by}"'


def _is_group(name: str) -> bool:
    return name in _GROUPS or _COLUMN.fullmatch(name) is not None
